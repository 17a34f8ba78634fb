"""All records as they were at one moment, while the store goes on changing: what a snapshot is written from.

Copying a million references would hold the reactor up for as long as many writes take. So nothing is copied: before a record is
changed, it is put by for every look at it that is still under way. Knows nothing of keys' order, and of how records are written.
"""

from __future__ import annotations

from weakref import ref

from hraft.kv.records import Record


class EarlierRecords:
    """May be read in another thread than the store's. Holds what has changed since, until it is let go itself."""

    __slots__ = ("__weakref__", "_present", "_put_by")

    def __init__(self, present: dict[bytes, Record]) -> None:
        self._present = present
        self._put_by: dict[bytes, Record] = {}

    def __getitem__(self, key: bytes) -> Record:
        """Only for a key that was there at that moment."""
        # In this order: a record is put by before the present one is changed, so what is found here first may be new, and then
        # the old one is there already.
        present = self._present.get(key)
        record = self._put_by.get(key, present)
        assert record is not None, key
        return record

    def put_by(self, key: bytes, record: Record) -> None:
        """This was the record until now; of several only the first counts."""
        self._put_by.setdefault(key, record)


class Looks:
    """Who looks at earlier records. Falsy while there is nobody, which is nearly always."""

    __slots__ = ("_looks",)

    def __init__(self) -> None:
        self._looks: list[ref[EarlierRecords]] = []

    def __len__(self) -> int:
        return len(self._looks)

    def begin(self, present: dict[bytes, Record]) -> EarlierRecords:
        """The records as they are now. It ends when the result is let go, in whatever thread."""
        earlier = EarlierRecords(present)
        self._looks.append(ref(earlier))
        return earlier

    def put_by(self, key: bytes, record: Record) -> None:
        """To be told before the record of a key is replaced or removed."""
        is_over = False
        for look in self._looks:
            earlier = look()
            if earlier is None:
                is_over = True
            else:
                earlier.put_by(key, record)
        if is_over:
            self._looks = [look for look in self._looks if look() is not None]
