"""Keys, values and records as the JSON of /v1 spells them: bytes are texts where they are UTF-8, else base64 under another name.

Knows nothing of requests, and of what is asked.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from hraft.kv.records import KeyValue, Record
from hraft.kv.texts import Base64, Text, split
from hraft.web.answers import JSON, Answer, Header, headers_of

_JSON = headers_of(JSON)
_encoder = msgspec.json.Encoder()


class KeyDocument(msgspec.Struct, gc=False):
    """A key by its one or its other name."""

    key: Text = UNSET
    key_base64: Base64 = UNSET


class RecordDocument(KeyDocument, gc=False):
    """A key with all that the store knows of it. Without a value where that was not asked for."""

    value: Text = UNSET
    value_base64: Base64 = UNSET
    create_revision: int = 0
    mod_revision: int = 0
    version: int = 0
    lease: int | None = None


class DeletedDocument(msgspec.Struct):
    """How many keys are gone, and the store's revision after that. `prev` is what was there, if that was asked for."""

    deleted: int
    revision: int
    prev: RecordDocument | UnsetType | None = UNSET


def record_document(key: bytes, record: Record, has_value: bool = True) -> RecordDocument:
    """A key's record as JSON spells it."""
    document = RecordDocument(*split(key))
    fill(document, record, has_value)
    return document


def fill(document: RecordDocument, record: Record, has_value: bool = True) -> None:
    """Say in a document, which names the key, what the record is."""
    if has_value:
        document.value, document.value_base64 = split(record.value)
    document.create_revision = record.create_revision
    document.mod_revision = record.mod_revision
    document.version = record.version
    document.lease = record.lease or None


def pair_document(pair: KeyValue | None) -> RecordDocument | None:
    """The same for what may not have been there."""
    return None if pair is None else record_document(pair.key, pair.record)


def json_answer(document: Any, status: int = 200, *varying: Header) -> Answer:
    """An answer whose body is this document."""
    return Answer(status, _JSON, _encoder.encode(document), varying)
