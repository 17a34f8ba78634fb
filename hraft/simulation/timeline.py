"""Histories for people: one line per operation, and a small drawing of who overlapped whom. Knows nothing of verdicts."""

from __future__ import annotations

from collections.abc import Sequence

from hraft.simulation.history import Operation, Seen, Written

SHOWN_OPERATIONS_COUNT = 14
WIDTH_CHARACTERS_COUNT = 48
VALUE_CHARACTERS_COUNT = 24


def describe(operation: Operation) -> str:
    """One line: `12.5 .. 13.25  c1  set a="1" b="2": done at revision 7`."""
    until = "?" if operation.returned_at is None else f"{operation.returned_at}"
    return f"{operation.invoked_at} .. {until}  {operation.client}  {_asked(operation)}: {_answered(operation)}"


def timeline(operations: Sequence[Operation], marked: Operation) -> str:
    """The last operations that could matter for `marked`, one a row; columns are the order of events, not their distances."""
    shown = sorted(_around(operations, marked), key=lambda operation: operation.invoked_at)
    times = sorted({time for operation in shown for time in (operation.invoked_at, operation.returned_at) if time is not None})
    step = max(1, min(3, WIDTH_CHARACTERS_COUNT // max(1, len(times))))
    column = {time: place * step for place, time in enumerate(times)}
    width = (len(times) - 1) * step + 2
    client_width = max(len(operation.client) for operation in shown)
    rows = []
    for operation in shown:
        start = column[operation.invoked_at]
        if operation.returned_at is None:
            bar = " " * start + "[" + "." * (width - start - 2) + "?"
        else:
            bar = " " * start + "[" + "=" * (column[operation.returned_at] - start) + "]"
        mark = "   <-- has no place" if operation is marked else ""
        rows.append(f"{operation.client:<{client_width}} {bar:<{width}} {_asked(operation)}: {_answered(operation)}{mark}")
    return "\n".join(rows)


def _around(operations: Sequence[Operation], marked: Operation) -> list[Operation]:
    """What shares a key with `marked` and was invoked before its end, those that ended last."""
    keys = set(marked.keys)
    near = [
        operation
        for operation in operations
        if operation is not marked
        and not keys.isdisjoint(operation.keys)
        and (marked.returned_at is None or operation.invoked_at <= marked.returned_at)
    ]
    near.sort(key=lambda operation: (operation.returned_at is not None, operation.returned_at or operation.invoked_at))
    return [*near[-SHOWN_OPERATIONS_COUNT:], marked]


def _asked(operation: Operation) -> str:
    words = [operation.kind.value]
    for place, key in enumerate(operation.keys):
        word = _short(key)
        if operation.expected:
            word += f"({_seen(operation.expected[place])})"
        if operation.values and (operation.values[place] is not None or operation.expected):
            word += f"={_value(operation.values[place])}"
        words.append(word)
    return " ".join(words)


def _answered(operation: Operation) -> str:
    if isinstance(operation.result, tuple):
        return "saw " + ", ".join(_seen(answer) for answer in operation.result)
    if isinstance(operation.result, Written):
        return _written(operation.result)
    return str(operation.outcome.value).replace("_", " ")


def _written(result: Written) -> str:
    words = ["done" if result.succeeded else "refused"]
    if result.revision is not None:
        words.append(f"at revision {result.revision}")
    if result.changed_count is not None:
        words.append(f"changing {result.changed_count}")
    return " ".join(words)


def _seen(answer: Seen) -> str:
    if answer.version == 0:
        return "nothing"
    words = [] if answer.value is None else [_value(answer.value)]
    words += [] if answer.revision is None else [f"revision {answer.revision}"]
    words += [] if answer.version is None else [f"version {answer.version}"]
    return " ".join(words) or "anything"


def _value(value: str | None) -> str:
    return "nothing" if value is None else f'"{_short(value)}"'


def _short(data: str) -> str:
    # Escapes what a terminal could not print, such as bytes that are no text.
    shown = data.encode("unicode_escape").decode("ascii")
    return shown if len(shown) <= VALUE_CHARACTERS_COUNT else f"{shown[: VALUE_CHARACTERS_COUNT - 3]}..."
