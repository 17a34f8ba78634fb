"""Real nodes, real faults, and clients whose history is judged. `python -m chaos --help`."""
