"""Transactions: if all comparisons hold, do one list of operations, else the other; as one step, at one revision.

    {"op":"txn","compare":[{"key":"a","target":"version","is":"=","number":0}],"then":[{"op":"put","key":"a","value":"1"}],"else":[]}

The model is etcd's. Knows nothing of the store's contents; `hraft.kv.transacting` carries them out.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from hraft.kv.texts import Base64, Text, joined, optional, split, split_optional

Target: TypeAlias = Literal["value", "version", "create_revision", "mod_revision", "lease"]
Relation: TypeAlias = Literal["=", "!=", "<", ">"]
_Number = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
_Positive = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]

#: The end of a range that has none.
TO_THE_LAST = b""


class Compare(msgspec.Struct, frozen=True):
    """Whether `target` of the key, or of each key in `[key, end)`, stands in this relation to `operand`.

    A missing key has 0 for every number. Its value compares to nothing: that is false whatever the relation.
    """

    key: bytes
    target: Target
    relation: Relation
    operand: bytes | int
    end: bytes | None = None


class Put(msgspec.Struct, frozen=True):
    """Give `key` this value, attached to `lease` (0: to none)."""

    key: bytes
    value: bytes
    lease: int = 0
    wants_previous: bool = False


class DeleteRange(msgspec.Struct, frozen=True):
    """Take away the key `start`, or with an `end` all keys in `[start, end)`; an empty end means up to the last key."""

    start: bytes
    end: bytes | None = None
    wants_previous: bool = False


class GetRange(msgspec.Struct, frozen=True):
    """Read the key `start` or `[start, end)` as it is at this place of the transaction, at most `limit` keys."""

    start: bytes
    end: bytes | None = None
    limit: int | None = None
    keys_only: bool = False


Operation: TypeAlias = Put | DeleteRange | GetRange


class Transaction(msgspec.Struct, frozen=True):
    """See the module's docstring. Operations take effect in their order, and those that read see those before them."""

    compare: tuple[Compare, ...] = ()
    then: tuple[Operation, ...] = ()
    otherwise: tuple[Operation, ...] = ()

    def check(self) -> None:
        """Raise ValueError where a branch writes a key twice: which of the two would a watcher be told?"""
        for branch in (self.then, self.otherwise):
            _check_branch(branch)


def prefix_end(prefix: bytes) -> bytes:
    """The end of the range of all keys with this prefix; TO_THE_LAST where no key could come after them."""
    kept = prefix.rstrip(b"\xff")
    return kept[:-1] + bytes([kept[-1] + 1]) if kept else TO_THE_LAST


def is_within(key: bytes, start: bytes, end: bytes | None) -> bool:
    """Whether a range as above has this key."""
    return key == start if end is None else start <= key and (end == TO_THE_LAST or key < end)


def _check_branch(operations: tuple[Operation, ...]) -> None:
    put_keys: set[bytes] = set()
    for operation in operations:
        if isinstance(operation, Put):
            if operation.key in put_keys:
                raise ValueError(f"the key {operation.key!r} is put twice in one branch")
            put_keys.add(operation.key)
    for operation in operations:
        if isinstance(operation, DeleteRange):
            for key in put_keys:
                if is_within(key, operation.start, operation.end):
                    raise ValueError(f"the key {key!r} is both put and deleted in one branch")


# --- JSON ----------------------------------------------------------------------------------------


class _Compare(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    key: Text = UNSET
    key_base64: Base64 = UNSET
    end: Text = UNSET
    end_base64: Base64 = UNSET
    target: Target
    relation: Relation = msgspec.field(name="is")
    number: _Number | UnsetType = UNSET
    value: Text = UNSET
    value_base64: Base64 = UNSET


class _Put(msgspec.Struct, tag_field="op", tag="put", forbid_unknown_fields=True, omit_defaults=True):
    key: Text = UNSET
    key_base64: Base64 = UNSET
    value: Text = UNSET
    value_base64: Base64 = UNSET
    lease: _Number = 0
    wants_previous: bool = False


class _Range(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    start: Text = UNSET
    start_base64: Base64 = UNSET
    end: Text = UNSET
    end_base64: Base64 = UNSET


class _Delete(_Range, tag_field="op", tag="delete", forbid_unknown_fields=True, omit_defaults=True):
    wants_previous: bool = False


class _Get(_Range, tag_field="op", tag="get", forbid_unknown_fields=True, omit_defaults=True):
    limit: _Positive | None = None
    keys_only: bool = False


class TransactionRecord(msgspec.Struct, tag_field="op", tag="txn", forbid_unknown_fields=True, omit_defaults=True):
    """A transaction as it is written in the log."""

    compare: list[_Compare] = []
    then: list[_Put | _Delete | _Get] = []
    otherwise: list[_Put | _Delete | _Get] = msgspec.field(name="else", default_factory=list)


def to_record(transaction: Transaction) -> TransactionRecord:
    """What to encode."""
    return TransactionRecord(
        [_compare_record(compare) for compare in transaction.compare],
        [_operation_record(operation) for operation in transaction.then],
        [_operation_record(operation) for operation in transaction.otherwise],
    )


def from_record(record: TransactionRecord) -> Transaction:
    """What was encoded. Raises ValueError for what is no transaction."""
    transaction = Transaction(
        tuple(map(_compare, record.compare)), tuple(map(_operation, record.then)), tuple(map(_operation, record.otherwise))
    )
    transaction.check()
    return transaction


def _compare_record(compare: Compare) -> _Compare:
    key, key_base64 = split(compare.key)
    end, end_base64 = split_optional(compare.end)
    record = _Compare(
        key=key, key_base64=key_base64, end=end, end_base64=end_base64, target=compare.target, relation=compare.relation
    )
    if isinstance(compare.operand, int):
        record.number = compare.operand
    else:
        record.value, record.value_base64 = split(compare.operand)
    return record


def _compare(record: _Compare) -> Compare:
    if (record.target == "value") == (record.number is not UNSET):
        raise ValueError("a comparison of values needs a value, one of numbers a number")
    operand = joined(record.value, record.value_base64) if record.number is UNSET else record.number
    end = optional(record.end, record.end_base64)
    return Compare(joined(record.key, record.key_base64), record.target, record.relation, operand, end)


def _operation_record(operation: Operation) -> _Put | _Delete | _Get:
    if isinstance(operation, Put):
        return _Put(*split(operation.key), *split(operation.value), operation.lease, operation.wants_previous)
    where = (*split(operation.start), *split_optional(operation.end))
    if isinstance(operation, DeleteRange):
        return _Delete(*where, operation.wants_previous)
    return _Get(*where, operation.limit, operation.keys_only)


def _operation(record: _Put | _Delete | _Get) -> Operation:
    if isinstance(record, _Put):
        key, value = joined(record.key, record.key_base64), joined(record.value, record.value_base64)
        return Put(key, value, record.lease, record.wants_previous)
    start, end = joined(record.start, record.start_base64), optional(record.end, record.end_base64)
    if isinstance(record, _Delete):
        return DeleteRange(start, end, record.wants_previous)
    return GetRange(start, end, record.limit, record.keys_only)
