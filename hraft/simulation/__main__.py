"""`python -m hraft.simulation`: see `hraft.simulation.command`."""

import sys

from hraft.simulation.command import main

if __name__ == "__main__":
    sys.exit(main())
