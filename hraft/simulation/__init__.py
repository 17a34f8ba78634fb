"""A cluster in one thread from one seed: simulated disks and networks under the real code."""
