"""One key's record. Knows nothing of how it is written, and of other keys."""

from __future__ import annotations

import msgspec


class Record(msgspec.Struct, frozen=True, gc=False):
    """What the store knows of one key.

    The revisions at which it was created (after its last deletion) and last set, how often it was set since it was created, and
    the lease that it dies with (0: none).
    """

    value: bytes
    create_revision: int
    mod_revision: int
    version: int
    lease: int = 0


class KeyValue(msgspec.Struct, frozen=True, gc=False):
    """A key with its record."""

    key: bytes
    record: Record
