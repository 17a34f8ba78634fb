"""Figures, not tests: real nodes on this machine, real disks, fsync on. `python -m benchmarks --help`."""
