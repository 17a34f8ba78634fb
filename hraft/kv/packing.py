r"""Records as bytes, many in one object: beside its key and value each takes some ten bytes.

    leaf      \xff record \xff record \xff ... record \xff      in any order
    record    key \0\0 content
    content   numbers ; value                                   or nothing, where the record is kept elsewhere
    numbers   mod_revision, in hexadecimal                      or mod,create,version,lease unless it is the first of its key

No UTF-8 text has a byte \xff or \xfe. In other keys and values they are escaped, as a zero byte is in keys. So there is a \xff
only where a record begins or ends, and one search in C finds that of a key. And records sort as their keys do, since \0\0 comes
before whatever may follow in a longer key. Knows nothing of where leaves are kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from hraft.kv.records import Record

BORDER: Final = b"\xff"
EMPTY_LEAF: Final = BORDER
#: The content of a record that is kept elsewhere.
ELSEWHERE: Final = b""
_KEY_END: Final = b"\0\0"


def packed_key(key: bytes) -> bytes:
    """What the packed record of this key begins with, and no other does."""
    if key.isascii() and b"\0" not in key:
        return key + _KEY_END
    return _escaped(key.replace(b"\0", b"\0\1")) + _KEY_END


def packed_key_of(record: bytes) -> bytes:
    """The packed key of a packed record."""
    return record[: record.index(_KEY_END) + len(_KEY_END)]


def key_and_content(record: bytes) -> tuple[bytes, bytes]:
    """The key of a packed record as it was, and its content, still packed."""
    key, _, content = record.partition(_KEY_END)
    if not key.isascii() or b"\0" in key:
        key = _unescaped(key).replace(b"\0\1", b"\0")
    return key, content


def packed_content(record: Record) -> bytes:
    """All of a record."""
    value = record.value if record.value.isascii() else _escaped(record.value)
    if record.version == 1 and record.create_revision == record.mod_revision and not record.lease:
        return b"%x;%b" % (record.mod_revision, value)
    return b"%x,%x,%x,%x;%b" % (record.mod_revision, record.create_revision, record.version, record.lease, value)


def unpacked_content(content: bytes) -> Record:
    """The record that was packed; it must not be one that is kept elsewhere."""
    numbers, _, value = content.partition(b";")
    if b"\xfe" in value:
        value = _unescaped(value)
    if b"," not in numbers:
        revision = int(numbers, 16)
        return Record(value, revision, revision, 1)
    mod_revision, create_revision, version, lease = numbers.split(b",")
    return Record(value, int(create_revision, 16), int(mod_revision, 16), int(version, 16), int(lease, 16))


def _escaped(data: bytes) -> bytes:
    return data.replace(b"\xfe", b"\xfe\2").replace(b"\xff", b"\xfe\3")


def _unescaped(data: bytes) -> bytes:
    # The other way round, \xfe\2\3 would become \xff.
    return data.replace(b"\xfe\3", b"\xff").replace(b"\xfe\2", b"\xfe")


# --- leaves ---------------------------------------------------------------------------------------


def leaf_of(records: Iterable[bytes]) -> bytes:
    """All these records in one object."""
    return b"\xff%b\xff" % BORDER.join(records)


def records_of(leaf: bytes) -> list[bytes]:
    """The records of a leaf, in order."""
    if leaf == EMPTY_LEAF:
        return []
    records = leaf[1:-1].split(BORDER)
    records.sort()
    return records


def in_pieces(records: Iterable[bytes], piece_bytes: int) -> Iterator[list[bytes]]:
    """The same records in pieces of at most so many bytes each, but for one that has a single record."""
    piece: list[bytes] = []
    size_bytes = 0
    for record in records:
        size_bytes += len(record) + 1
        if piece and size_bytes > piece_bytes:
            yield piece
            piece, size_bytes = [], len(record) + 1
        piece.append(record)
    if piece:
        yield piece
