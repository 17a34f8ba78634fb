"""One node's disk: the log, its snapshots and the data directory they lie in (docs/disk-format.md). No reactor."""
