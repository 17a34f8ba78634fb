"""The algorithm. Pure: no reactor, clock, disk, socket, chance or log file."""
