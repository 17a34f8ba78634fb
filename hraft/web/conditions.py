"""If-Match and If-None-Match: what a key must be for a request to be carried out. A key's entity tag is its mod_revision.

Pure: headers in, comparisons out. Knows nothing of the store's contents.
"""

from __future__ import annotations

import re
from typing import Final

from hraft.kv.transactions import Compare
from hraft.web.asked import Asked
from hraft.web.parameters import bad, shown

IF_MATCH: Final = b"if-match"
IF_NONE_MATCH: Final = b"if-none-match"

_REVISION = re.compile(rb'"([1-9][0-9]{0,17})"')
#: A list of entity tags (RFC 9110, Section 8.8.3), of which a read's client may have any.
_TAGS = re.compile(rb'\s*(?:W/)?"[!#-~\x80-\xff]*"\s*(?:,\s*(?:W/)?"[!#-~\x80-\xff]*"\s*)*')


def etag(revision: int) -> tuple[bytes, bytes]:
    """The header that a later condition is made of."""
    return b"ETag", b'"%d"' % revision


def comparisons(asked: Asked, key: bytes) -> tuple[Compare, ...]:
    """What must hold for a write to be done. Raises Problem for conditions that hraft does not know."""
    match, none_match = asked.header(IF_MATCH), asked.header(IF_NONE_MATCH)
    if match is not None and none_match is not None:
        raise bad("If-Match and If-None-Match together can never both be wanted")
    if none_match is not None:
        if none_match != b"*":
            raise bad(f"If-None-Match is * on a write (the key must not be there), and not {shown(none_match)}")
        return (Compare(key, "version", "=", 0),)
    if match is None:
        return ()
    if match == b"*":
        return (Compare(key, "version", "!=", 0),)
    found = _REVISION.fullmatch(match)
    if found is None:
        raise bad(f'If-Match is one mod_revision in quotation marks, like "7", or *, and not {shown(match)}')
    return (Compare(key, "mod_revision", "=", int(found[1])),)


def is_unchanged(asked: Asked, revision: int) -> bool:
    """Whether the client of a read has this revision already. Raises Problem for what is no list of entity tags."""
    tags = asked.header(IF_NONE_MATCH)
    if tags is None:
        return False
    if tags == b"*":
        return True
    if _TAGS.fullmatch(tags) is None:
        raise bad(f'If-None-Match is a list of entity tags, like "7", or *, and not {shown(tags)}')
    return b'"%d"' % revision in tags.replace(b"W/", b"").replace(b" ", b"").split(b",")
