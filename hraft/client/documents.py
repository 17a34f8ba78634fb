"""The JSON that the client sends. Bytes are `"key": "text"` where they are UTF-8, else `"key_base64"`. Pure."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from hraft.client.transactions import Comparison, Delete, Get, Operation, Put, to_bytes


def field_of(name: str, value: bytes) -> dict[str, str]:
    """Some bytes as a member of a JSON object."""
    try:
        return {name: value.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": b64encode(value).decode()}


def transaction_document(
    compare: tuple[Comparison, ...], then: tuple[Operation, ...], otherwise: tuple[Operation, ...]
) -> dict[str, Any]:
    """The body of POST /v1/txn."""
    return {
        "compare": [_comparison(each) for each in compare],
        "then": [_operation(each) for each in then],
        "else": [_operation(each) for each in otherwise],
    }


def _comparison(comparison: Comparison) -> dict[str, Any]:
    where = field_of("prefix" if comparison.is_prefix else "key", comparison.key)
    operand = comparison.operand
    against: dict[str, Any] = dict(field_of("value", operand)) if isinstance(operand, bytes) else {comparison.target: operand}
    return {**where, "target": comparison.target, "op": comparison.relation, **against}


def _operation(operation: Operation) -> dict[str, Any]:
    if isinstance(operation, Put):
        put: dict[str, Any] = {**field_of("key", to_bytes(operation.key)), **field_of("value", to_bytes(operation.value))}
        if operation.lease is not None:
            put["lease"] = operation.lease
        return {"put": {**put, "prev": True} if operation.wants_previous else put}
    where = _where(operation)
    if isinstance(operation, Delete):
        return {"delete": {**where, "prev": True} if operation.wants_previous else where}
    if operation.limit is not None:
        where["limit"] = operation.limit
    return {"get": {**where, "keys_only": True} if operation.keys_only else where}


def _where(operation: Delete | Get) -> dict[str, Any]:
    start = to_bytes(operation.start)
    if operation.is_prefix:
        return dict(field_of("prefix", start))
    if operation.end is None:
        return dict(field_of("key", start))
    end = to_bytes(operation.end)
    return {**field_of("start", start), **(field_of("end", end) if end else {})}
