"""POST /v1/txn: from JSON to a transaction of the store, and from its results to JSON.

Knows nothing of what the store has.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType
from twisted.internet.defer import Deferred

from hraft import limits
from hraft.kv.results import DeleteDone, GetDone, OperationDone, PutDone, Result, Transacted
from hraft.kv.texts import Base64, Text, joined, optional, split
from hraft.kv.transactions import (
    Compare,
    DeleteRange,
    GetRange,
    Operation,
    Put,
    Relation,
    Target,
    Transaction,
    prefix_end,
)
from hraft.web.answers import Answer
from hraft.web.api import REVISION, Route
from hraft.web.asked import Asked
from hraft.web.bodies import bad_body, decoded
from hraft.web.documents import RecordDocument, fill, json_answer, pair_document, record_document
from hraft.web.parameters import Wants, bad_key
from hraft.web.permissions import touches_of, writes
from hraft.web.problems import NOT_DONE, Problem
from hraft.web.ranges import ends
from hraft.web.writes import IDEMPOTENCY_KEY, REDIRECT, Writes

_WANTS: Final = Wants((REDIRECT,), (IDEMPOTENCY_KEY,))
_EXAMPLE: Final = (
    'JSON like {"compare":[{"key":"a","target":"version","version":0}],"then":[{"put":{"key":"a","value":"1"}}],"else":[]}'
)

_Number: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
_Positive: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]


# --- what is asked -------------------------------------------------------------------------------


class CompareBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Whether the target of a key, of all keys with a prefix, or of all from `key` on and before `end`, is so."""

    key: Text = UNSET
    key_base64: Base64 = UNSET
    end: Text = UNSET
    end_base64: Base64 = UNSET
    prefix: Text = UNSET
    prefix_base64: Base64 = UNSET
    target: Target
    op: Relation = "="
    value: Text = UNSET
    value_base64: Base64 = UNSET
    version: _Number | UnsetType = UNSET
    create_revision: _Number | UnsetType = UNSET
    mod_revision: _Number | UnsetType = UNSET
    lease: _Number | UnsetType = UNSET

    def compare(self) -> Compare:
        """What the store compares. Raises ValueError and Problem."""
        given = [name for name in ("value", "version", "create_revision", "mod_revision", "lease") if self._has(name)]
        if given != [self.target]:
            said = ", ".join(given) or "nothing"
            raise ValueError(f"a comparison whose target is {self.target} says the {self.target} to compare to, and not {said}")
        operand = joined(self.value, self.value_base64) if self.target == "value" else getattr(self, self.target)
        prefix = optional(self.prefix, self.prefix_base64)
        end = optional(self.end, self.end_base64)
        if prefix is None:
            key = _checked(joined(self.key, self.key_base64), 0 if end is not None else 1)
            return Compare(key, self.target, self.op, operand, None if end is None else _checked(end))
        if end is not None or optional(self.key, self.key_base64) is not None:
            raise ValueError("a comparison is of a key, or a prefix, or from a key to an end")
        return Compare(_checked(prefix), self.target, self.op, operand, prefix_end(prefix))

    def _has(self, name: str) -> bool:
        return getattr(self, name) is not UNSET or (name == "value" and self.value_base64 is not UNSET)


class PutBody(msgspec.Struct, forbid_unknown_fields=True):
    """Give a key a value."""

    key: Text = UNSET
    key_base64: Base64 = UNSET
    value: Text = UNSET
    value_base64: Base64 = UNSET
    lease: _Positive | None = None
    prev: bool = False

    def operation(self) -> Put:
        key = _checked(joined(self.key, self.key_base64), 1)
        return Put(key, joined(self.value, self.value_base64), self.lease or 0, self.prev)


class _RangeBody(msgspec.Struct, forbid_unknown_fields=True):
    key: Text = UNSET
    key_base64: Base64 = UNSET
    prefix: Text = UNSET
    prefix_base64: Base64 = UNSET
    start: Text = UNSET
    start_base64: Base64 = UNSET
    end: Text = UNSET
    end_base64: Base64 = UNSET

    def range(self) -> tuple[bytes, bytes | None]:
        """The two ends, as in `hraft.kv.transactions`."""
        key, prefix = optional(self.key, self.key_base64), optional(self.prefix, self.prefix_base64)
        start, end = optional(self.start, self.start_base64), optional(self.end, self.end_base64)
        for bound in (prefix, start, end):
            _checked(bound or b"")
        if key is None:
            if prefix is None and start is None:
                raise ValueError("say which keys: a key, a prefix (an empty one means all), or a start")
            return ends(prefix, start, end)
        if (prefix, start, end) != (None, None, None):
            raise ValueError("say a key, or a prefix, or a start and end")
        return _checked(key, 1), None


class DeleteBody(_RangeBody, forbid_unknown_fields=True):
    """Take keys away."""

    prev: bool = False

    def operation(self) -> DeleteRange:
        return DeleteRange(*self.range(), self.prev)


class GetBody(_RangeBody, forbid_unknown_fields=True):
    """Read keys as they are at this place of the transaction."""

    limit: _Positive | None = None
    keys_only: bool = False

    def operation(self) -> GetRange:
        return GetRange(*self.range(), self.limit, self.keys_only)


class OperationBody(msgspec.Struct, forbid_unknown_fields=True):
    """One of the three."""

    put: PutBody | UnsetType = UNSET
    delete: DeleteBody | UnsetType = UNSET
    get: GetBody | UnsetType = UNSET

    def operation(self) -> Operation:
        given = [body for body in (self.put, self.delete, self.get) if body is not UNSET]
        if len(given) != 1:
            raise ValueError("an operation is one put, or one delete, or one get")
        return given[0].operation()


class TransactionBody(msgspec.Struct, forbid_unknown_fields=True):
    """If all comparisons hold the one list of operations is done, else the other."""

    compare: list[CompareBody] = []
    then: list[OperationBody] = []
    otherwise: list[OperationBody] = msgspec.field(name="else", default_factory=list)


# --- what is answered ----------------------------------------------------------------------------


class PutResult(RecordDocument):
    """What the key has become, without the value."""

    prev: RecordDocument | UnsetType | None = UNSET


class DeleteResult(msgspec.Struct):
    """How many keys are gone, and what they were."""

    deleted: int
    prevs: list[RecordDocument] | UnsetType = UNSET


class GetResult(msgspec.Struct):
    """The first keys of the range, and how many it has."""

    kvs: list[RecordDocument]
    count: int


class OperationResult(msgspec.Struct):
    """One of the three."""

    put: PutResult | UnsetType = UNSET
    delete: DeleteResult | UnsetType = UNSET
    get: GetResult | UnsetType = UNSET


class TransactionDocument(msgspec.Struct):
    """Whether the comparisons held, the store's revision now, and what each operation gave."""

    succeeded: bool
    revision: int
    results: list[OperationResult]


_decoder: msgspec.json.Decoder[TransactionBody] = msgspec.json.Decoder(TransactionBody)


class TransactionApi:
    """Carries transactions to the store."""

    def __init__(self, writes: Writes) -> None:
        self._writes = writes

    def routes(self) -> Iterator[Route]:
        """Its part of the table."""
        codes = ("lease_not_found", "too_many_keys", "result_too_large", "too_many_operations", "key_written_twice")
        about = "Several comparisons and operations as one"
        answers = {200: TransactionDocument}
        # Whatever it does it is an entry of the log, so it is for writers.
        needs = writes(lambda asked: touches_of(transaction_of(asked.body)))
        yield Route(b"POST", b"/v1/txn", self._post, about, _WANTS, TransactionBody, answers, codes, needs)

    def _post(self, asked: Asked) -> Answer | Deferred[Answer]:
        given = _WANTS.of(asked)
        transaction = transaction_of(asked.body)
        branches = [transaction.otherwise, transaction.then]

        def done(result: Result) -> Answer:
            assert isinstance(result, Transacted)
            operations = branches[result.succeeded]
            results = [_result(operation, told) for operation, told in zip(operations, result.results, strict=True)]
            document = TransactionDocument(result.succeeded, result.revision, results)
            return json_answer(document, 200, (REVISION, b"%d" % result.revision))

        return self._writes.write(asked, transaction, done, REDIRECT.of(given))


def transaction_of(body: bytes) -> Transaction:
    """What a body asks for. Raises Problem."""
    wanted = decoded(_decoder, body, _EXAMPLE)
    for name, listed in (("compare", wanted.compare), ("then", wanted.then), ("else", wanted.otherwise)):
        if len(listed) > limits.TRANSACTION_OPERATIONS_COUNT:
            detail = f"{name} may have {limits.TRANSACTION_OPERATIONS_COUNT} members and not {len(listed)}"
            raise Problem(422, "too_many_operations", detail, outcome=NOT_DONE)
    try:
        compare = tuple(each.compare() for each in wanted.compare)
        then, otherwise = (tuple(each.operation() for each in listed) for listed in (wanted.then, wanted.otherwise))
    except ValueError as error:
        raise bad_body(str(error)) from error
    transaction = Transaction(compare, then, otherwise)
    try:
        transaction.check()
    except ValueError as error:
        raise Problem(422, "key_written_twice", str(error), outcome=NOT_DONE) from error
    return transaction


def _result(operation: Operation, told: OperationDone) -> OperationResult:
    if isinstance(told, PutDone):
        assert isinstance(operation, Put)
        put = PutResult(*split(operation.key), prev=pair_document(told.previous) if operation.wants_previous else UNSET)
        fill(put, told.record, has_value=False)
        return OperationResult(put=put)
    if isinstance(told, DeleteDone):
        assert isinstance(operation, DeleteRange)
        prevs = [record_document(pair.key, pair.record) for pair in told.previous]
        return OperationResult(delete=DeleteResult(told.deleted_count, prevs if operation.wants_previous else UNSET))
    assert isinstance(operation, GetRange)
    return OperationResult(get=_read(told, not operation.keys_only))


def _read(told: GetDone, has_values: bool) -> GetResult:
    return GetResult([record_document(pair.key, pair.record, has_values) for pair in told.pairs], told.count)


def _checked(key: bytes, least_bytes: int = 0) -> bytes:
    if not least_bytes <= len(key) <= limits.KEY_BYTES:
        raise bad_key(f"a key has {least_bytes} to {limits.KEY_BYTES} bytes and not {len(key)}")
    return key
