"""Bytes in JSON: a text under the plain field name where they are UTF-8, else base64 under `<name>_base64`.

So a log stays readable, and any bytes come back exactly. Knows nothing of what the bytes mean.
"""

from __future__ import annotations

from typing import TypeAlias

from msgspec import UNSET, UnsetType

#: A field's text, absent where the bytes are not UTF-8.
Text: TypeAlias = str | UnsetType
#: A field's bytes (msgspec spells them in base64), absent where they are UTF-8.
Base64: TypeAlias = bytes | UnsetType


def split(data: bytes) -> tuple[Text, Base64]:
    """The two fields that stand for `data`; one of them is absent."""
    try:
        return data.decode(), UNSET
    except UnicodeDecodeError:
        return UNSET, data


def joined(text: Text, base64: Base64) -> bytes:
    """The bytes that two fields stand for. Raises ValueError unless exactly one of them is there."""
    if base64 is UNSET:
        if text is UNSET:
            raise ValueError("a field is missing, both as text and as base64")
        return text.encode()
    if text is not UNSET:
        raise ValueError("a field is given twice, as text and as base64")
    return base64


def split_optional(data: bytes | None) -> tuple[Text, Base64]:
    """The two fields that stand for `data`; both are absent for None."""
    return (UNSET, UNSET) if data is None else split(data)


def optional(text: Text, base64: Base64) -> bytes | None:
    """The bytes that two fields stand for, None where neither is there. Raises ValueError where both are."""
    return None if text is UNSET and base64 is UNSET else joined(text, base64)
