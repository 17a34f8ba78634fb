"""Carries a transaction out on the keys: all of it or, where a limit or a lease forbids it, nothing.

Knows nothing of the log and of JSON.
"""

from __future__ import annotations

from collections import Counter
from operator import eq, gt, lt, ne
from typing import Any, Final

from hraft import limits
from hraft.kv.keyspace import Keyspace
from hraft.kv.records import KeyValue, Record
from hraft.kv.results import DeleteDone, GetDone, NotDone, OperationDone, PutDone, Transacted
from hraft.kv.transactions import Compare, DeleteRange, GetRange, Operation, Put, Transaction, is_within

_RELATIONS: Final = {"=": eq, "!=": ne, "<": lt, ">": gt}
#: What a missing key is compared as.
_MISSING = Record(b"", 0, 0, 0)


def transact(keyspace: Keyspace, transaction: Transaction) -> Transacted | NotDone:
    """Decide, check, carry out. Nothing was changed where NotDone is returned."""
    if sum(keyspace.found_count(compare.key, compare.end) for compare in transaction.compare) > limits.TRANSACTION_KEYS_COUNT:
        detail = f"more than {limits.TRANSACTION_KEYS_COUNT} keys would be compared at once; compare fewer"
        return NotDone("too_many_keys", detail)
    succeeded = all(_holds(keyspace, compare) for compare in transaction.compare)
    operations = transaction.then if succeeded else transaction.otherwise
    refusal = _refusal(keyspace, operations)
    if refusal is not None:
        return refusal
    results = tuple(_carry_out(keyspace, operation) for operation in operations)
    return Transacted(succeeded, keyspace.commit(), results)


def _holds(keyspace: Keyspace, compare: Compare) -> bool:
    found = keyspace.found(compare.key, compare.end)
    if not found:
        return compare.target != "value" and _compares(_MISSING, compare)
    return all(_compares(record, compare) for _, record in found)


def _compares(record: Record, compare: Compare) -> bool:
    relation: Any = _RELATIONS[compare.relation]
    return bool(relation(getattr(record, compare.target), compare.operand))


def _refusal(keyspace: Keyspace, operations: tuple[Operation, ...]) -> NotDone | None:
    """Why these may not be carried out. What is read is measured before anything is done: with what was put before it."""
    keys_count = size_bytes = deleted_count = 0
    put: dict[bytes, bytes] = {}
    attached_counts = Counter[int]()
    for operation in operations:
        if isinstance(operation, Put):
            refusal = _lease_refusal(keyspace, operation, attached_counts) if operation.lease else None
            if refusal is not None:
                return refusal
            read = _values(keyspace, operation.key, None, 1) if operation.wants_previous else {}
            put[operation.key] = operation.value
        elif isinstance(operation, DeleteRange):
            deleted_count += keyspace.found_count(operation.start, operation.end)
            if deleted_count > limits.DELETE_KEYS_COUNT:
                detail = f"more than {limits.DELETE_KEYS_COUNT} keys would be deleted at once; delete them in parts"
                return NotDone("too_many_keys", detail)
            read = _values(keyspace, operation.start, operation.end, _ROOM) if operation.wants_previous else {}
        else:
            read = _values(keyspace, operation.start, operation.end, min(operation.limit or _ROOM, _ROOM))
            read.update((key, value) for key, value in put.items() if is_within(key, operation.start, operation.end))
            if operation.keys_only:
                read = dict.fromkeys(read, b"")
        keys_count += len(read)
        size_bytes += sum(len(key) + len(value) for key, value in read.items())
        if keys_count > limits.TRANSACTION_KEYS_COUNT or size_bytes > limits.TRANSACTION_BYTES:
            detail = (
                f"it would read more than {limits.TRANSACTION_KEYS_COUNT} keys or {limits.TRANSACTION_BYTES} bytes; "
                "read less in a transaction, or in parts"
            )
            return NotDone("result_too_large", detail)
    return None


def _lease_refusal(keyspace: Keyspace, put: Put, attached_counts: Counter[int]) -> NotDone | None:
    """`attached_counts` are the keys that puts before it attach to each lease."""
    lease = keyspace.leases.get(put.lease)
    if lease is None:
        return NotDone("lease_not_found", f"there is no lease {put.lease} (any more)")
    attached_counts[put.lease] += put.key not in lease.keys
    if len(lease.keys) + attached_counts[put.lease] > limits.DELETE_KEYS_COUNT:
        # They end as one.
        return NotDone("too_many_keys", f"a lease may have {limits.DELETE_KEYS_COUNT} keys; grant another one")
    return None


#: One more than may be read, to see that it is too much.
_ROOM: Final = limits.TRANSACTION_KEYS_COUNT + 1


def _values(keyspace: Keyspace, start: bytes, end: bytes | None, limit: int) -> dict[bytes, bytes]:
    return {key: record.value for key, record in keyspace.found(start, end, limit)}


def _carry_out(keyspace: Keyspace, operation: Operation) -> OperationDone:
    if isinstance(operation, Put):
        previous = keyspace.table.get(operation.key) if operation.wants_previous else None
        record = keyspace.put(operation.key, operation.value, operation.lease)
        # The value is the client's own: it need not be told again.
        told = Record(b"", record.create_revision, record.mod_revision, record.version, record.lease)
        return PutDone(told, None if previous is None else KeyValue(operation.key, previous))
    if isinstance(operation, DeleteRange):
        deleted = keyspace.delete(operation.start, operation.end)
        return DeleteDone(len(deleted), tuple(deleted) if operation.wants_previous else ())
    return _read(keyspace, operation)


def _read(keyspace: Keyspace, operation: GetRange) -> GetDone:
    found = keyspace.found(operation.start, operation.end, operation.limit)
    if operation.keys_only:
        found = [(key, Record(b"", *_numbers(record))) for key, record in found]
    pairs = tuple(KeyValue(key, record) for key, record in found)
    return GetDone(pairs, keyspace.found_count(operation.start, operation.end))


def _numbers(record: Record) -> tuple[int, int, int, int]:
    return record.create_revision, record.mod_revision, record.version, record.lease
