"""What clients asked of a store and what they were told: the evidence that a checker judges.

One frozen `Operation` per request; `History` records them while a run goes on; one JSON line per operation keeps them, so that
runs of real processes are judged by the same code as simulated ones. Knows nothing of clusters, of models, or of any clock but
the one it is handed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, TypeAlias

from hraft.errors import BadMessage

#: Simulated seconds, or monotonic nanoseconds: whatever one history measures all its operations with.
Time: TypeAlias = int | float
#: A key or a value as a caller has it.
Data: TypeAlias = str | bytes


class Kind(Enum):
    """What is asked. Several keys in one operation are read or written as one: all at one moment, or not at all."""

    GET = "get"
    SET = "set"
    DELETE = "delete"
    COMPARE_AND_SET = "compare_and_set"


class Outcome(Enum):
    """What the client may believe."""

    #: It took effect once, between invocation and return, and the result is what it was told.
    OK = "ok"
    #: It certainly had no effect and never will have.
    NOT_DONE = "not_done"
    #: It may take effect once at any moment after its invocation, or never.
    UNKNOWN = "unknown"
    #: It was UNKNOWN to its client, but a read shows that it took effect before `returned_at`. Only the checker finds this out.
    OBSERVED = "observed"


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known, or demanded, of one key; None: not told. A key that is missing has version 0."""

    value: str | None = None
    revision: int | None = None
    version: int | None = None


#: The answer of a read that found nothing, and the demand of a write that must create.
MISSING = Seen(version=0)


@dataclass(frozen=True, slots=True)
class Written:
    """What a write was told; None: not told. A compare-and-set whose demand did not hold has not succeeded, but is done."""

    succeeded: bool = True
    revision: int | None = None
    changed_count: int | None = None


Result: TypeAlias = tuple[Seen, ...] | Written | None


@dataclass(frozen=True, slots=True)
class Operation:
    """One request of one client. `values` (None: delete), `expected` and what a read saw stand in the order of `keys`."""

    client: str
    kind: Kind
    keys: tuple[str, ...]
    values: tuple[str | None, ...]
    expected: tuple[Seen, ...]
    invoked_at: Time
    #: None only where the outcome is UNKNOWN: nobody knows when, if ever.
    returned_at: Time | None
    outcome: Outcome
    result: Result

    def __post_init__(self) -> None:
        keys_count = len(self.keys)
        if not keys_count or len(set(self.keys)) != keys_count:
            raise ValueError(f"an operation needs keys, each once, not {self.keys!r}")
        if len(self.values) != (0 if self.kind is Kind.GET else keys_count):
            raise ValueError(f"{self.kind.value} of {keys_count} keys cannot have the values {self.values!r}")
        if len(self.expected) != (keys_count if self.kind is Kind.COMPARE_AND_SET else 0):
            raise ValueError(f"{self.kind.value} of {keys_count} keys cannot expect {self.expected!r}")
        if self.kind is Kind.SET and None in self.values:
            raise ValueError(f"a set needs a value for each of {self.keys!r}, not {self.values!r}")
        if self.outcome is not Outcome.OBSERVED and (self.outcome is Outcome.OK) != (self.result is not None):
            raise ValueError(f"an outcome {self.outcome.value} cannot have the result {self.result!r}")
        if self.result is not None and (type(self.result) is tuple) != self.is_read:
            raise ValueError(f"{self.kind.value} cannot have the result {self.result!r}")
        if type(self.result) is tuple and len(self.result) != keys_count:
            raise ValueError(f"a read of {keys_count} keys cannot have seen {self.result!r}")
        if (self.outcome is Outcome.UNKNOWN) != (self.returned_at is None):
            raise ValueError(f"an outcome {self.outcome.value} cannot have returned at {self.returned_at}")
        if self.returned_at is not None and not self.invoked_at <= self.returned_at:
            raise ValueError(f"an operation invoked at {self.invoked_at} cannot have returned at {self.returned_at}")

    @property
    def is_read(self) -> bool:
        """Whether it changes nothing, whatever its outcome."""
        return self.kind is Kind.GET

    @property
    def may_write(self) -> bool:
        """Whether it may have changed a key: not a read, not refused, not certainly without effect."""
        refused = isinstance(self.result, Written) and not self.result.succeeded
        return not (self.is_read or refused or self.outcome is Outcome.NOT_DONE)

    def asked(self) -> Iterator[tuple[str, Seen]]:
        """Everything that it was told, or demanded, of each of its keys."""
        if isinstance(self.result, tuple):
            yield from zip(self.keys, self.result, strict=True)
        yield from zip(self.keys, self.expected, strict=False)


def text(data: Data) -> str:
    """A key or value as histories keep it. Different bytes stay different, also where they are not UTF-8."""
    return data.decode("utf-8", "surrogateescape") if isinstance(data, bytes) else data


def seen(value: Data | None, revision: int | None = None, version: int | None = None) -> Seen:
    """What a read of one key was told: a value, or None for a key that is missing."""
    return MISSING if value is None else Seen(text(value), revision, version)


class History:
    """Records the operations of one run. `now` may stand still between two calls, and may be simulated.

    Every call gets an instant of its own, later than that of the call before. So an operation that was answered before another
    was invoked comes before it also when the clock is too coarse to tell.
    """

    def __init__(self, now: Callable[[], Time]) -> None:
        self._now = now
        self._last: Time | None = None
        self._operations: list[Operation] = []
        self._open: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._operations)

    def invoke(
        self, client: str, kind: Kind, *keys: Data, values: Iterable[Data | None] = (), expected: Iterable[Seen] = ()
    ) -> int:
        """Call before the request is sent; the token names the operation. One client asks one thing at a time."""
        if client in self._open:
            asked = self._operations[self._open[client]]
            raise ValueError(f"{client} still waits for {asked.kind.value} {asked.keys}; what asks meanwhile needs another name")
        written = tuple(None if value is None else text(value) for value in values)
        if kind is Kind.DELETE and not written:
            written = (None,) * len(keys)
        names = tuple(text(key) for key in keys)
        operation = Operation(client, kind, names, written, tuple(expected), self._instant(), None, Outcome.UNKNOWN, None)
        token = self._open[client] = len(self._operations)
        self._operations.append(operation)
        return token

    def done(self, token: int, result: Seen | Result = None) -> None:
        """Call after the answer came: what a read saw (of one key: a `Seen`), or what a write was told, if anything."""
        if isinstance(result, Seen):
            result = (result,)
        if result is None and self._operations[token].kind is Kind.COMPARE_AND_SET:
            raise ValueError("a compare-and-set that was answered was told whether it succeeded")
        self._close(token, Outcome.OK, Written() if result is None else result)

    def not_done(self, token: int) -> None:
        """The operation certainly had no effect and never will have."""
        self._close(token, Outcome.NOT_DONE, None)

    def unknown(self, token: int) -> None:
        """Nobody knows whether the operation took effect, or still will. Its client may ask the next thing."""
        self._closed(token)

    def operations(self) -> tuple[Operation, ...]:
        """In the order of their invocations. What has no answer yet is unknown."""
        return tuple(self._operations)

    def _close(self, token: int, outcome: Outcome, result: Result) -> None:
        operation = self._closed(token)
        self._operations[token] = replace(operation, returned_at=self._instant(), outcome=outcome, result=result)

    def _closed(self, token: int) -> Operation:
        operation = self._operations[token]
        if self._open.get(operation.client) != token:
            raise ValueError(f"operation {token} of {operation.client} has its outcome already")
        del self._open[operation.client]
        return operation

    def _instant(self) -> Time:
        at = self._now()
        if self._last is not None and at <= self._last:
            at = self._last + 1 if isinstance(self._last, int) else math.nextafter(self._last, math.inf)
        self._last = at
        return at


# --- one JSON line per operation ------------------------------------------------------------------


def encode_operations(operations: Iterable[Operation]) -> Iterator[str]:
    """Lines without their newlines. What is not told is left out; text is ASCII, so that any bytes come back."""
    for operation in operations:
        fields: dict[str, Any] = {
            "client": operation.client,
            "kind": operation.kind.value,
            "keys": operation.keys,
            "values": operation.values,
            "expected": [_told(demand) for demand in operation.expected],
            "invoked_at": operation.invoked_at,
            "returned_at": operation.returned_at,
            "outcome": operation.outcome.value,
        }
        if isinstance(operation.result, tuple):
            fields["seen"] = [_told(answer) for answer in operation.result]
        elif operation.result is not None:
            fields["written"] = _told(operation.result)
        yield json.dumps({name: field for name, field in fields.items() if field not in (None, (), [])}, allow_nan=False)


def decode_operations(lines: Iterable[str]) -> tuple[Operation, ...]:
    """Read what `encode_operations` made; empty lines are passed over. Raises BadMessage for anything else."""
    operations = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                operations.append(_operation(json.loads(line, parse_constant=_no_number)))
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
                raise BadMessage(f"line {number} of the history is no operation: {error!r}: {line[:80]!r}") from error
    return tuple(operations)


def _operation(fields: dict[str, Any]) -> Operation:
    result: Result = None
    if "seen" in fields:
        result = tuple(_seen(answer) for answer in _typed(fields.pop("seen"), list))
    elif "written" in fields:
        result = _written(fields.pop("written"))
    operation = Operation(
        client=_typed(fields.pop("client"), str),
        kind=Kind(fields.pop("kind")),
        keys=tuple(_typed(key, str) for key in _typed(fields.pop("keys"), list)),
        values=tuple(_typed(value, str, type(None)) for value in _typed(fields.pop("values", []), list)),
        expected=tuple(_seen(demand) for demand in _typed(fields.pop("expected", []), list)),
        invoked_at=_typed(fields.pop("invoked_at"), int, float),
        returned_at=_typed(fields.pop("returned_at", None), int, float, type(None)),
        outcome=Outcome(fields.pop("outcome")),
        result=result,
    )
    if fields:
        raise ValueError(f"nothing is known of {sorted(fields)}")
    return operation


def _told(answer: Seen | Written) -> dict[str, Any]:
    told = {name: getattr(answer, name) for name in answer.__slots__}
    return {name: field for name, field in told.items() if field is not None}


def _seen(fields: dict[str, Any]) -> Seen:
    answer = Seen(**fields)
    _typed(answer.value, str, type(None))
    _typed(answer.revision, int, type(None))
    _typed(answer.version, int, type(None))
    return answer


def _written(fields: dict[str, Any]) -> Written:
    answer = Written(**fields)
    _typed(answer.succeeded, bool)
    _typed(answer.revision, int, type(None))
    _typed(answer.changed_count, int, type(None))
    return answer


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no time")


def _typed(field: Any, *types: type) -> Any:
    # bool is a subclass of int, so the exact type is asked for.
    if type(field) not in types:
        raise TypeError(f"{field!r} must be {' or '.join(wanted.__name__ for wanted in types)}")
    return field
