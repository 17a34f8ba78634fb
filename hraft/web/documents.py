"""Keys, values and records as the JSON of /v1 spells them: bytes are texts where they are UTF-8, else base64 under another name.

Knows nothing of requests, and of what is asked.
"""

from __future__ import annotations

from base64 import b64encode

from hraft.kv.records import Record


def bytes_member(name: str, data: bytes) -> dict[str, str]:
    """`{"key": "text"}`, or `{"key_base64": "..."}` for bytes that are no text."""
    try:
        return {name: data.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": b64encode(data).decode()}


def record_document(key: bytes, record: Record) -> dict[str, object]:
    """A key with all that the store knows of it."""
    return {
        **bytes_member("key", key),
        **bytes_member("value", record.value),
        "create_revision": record.create_revision,
        "mod_revision": record.mod_revision,
        "version": record.version,
        "lease": record.lease or None,
    }
