"""The `hraft` command: a cluster's keys, watches, leases, locks and members, for people and for scripts.

Knows only the client.
"""

from hraft.cli.main import main

__all__ = ["main"]
