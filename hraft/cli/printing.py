"""What is printed: for people on a terminal, for pipes, or one JSON object a line for scripts. Knows nothing of clients."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterable, Sequence
from typing import IO, Any

from rich.console import Console
from rich.table import Table

#: What a table shows of a value at most.
_VALUE_CHARACTERS_COUNT = 60


class Printing:
    """Writes to stdout; what is not for the reader's eyes only goes there unchanged."""

    def __init__(self, is_json: bool, out: IO[str] | None = None) -> None:
        self.is_json = is_json
        self._out = sys.stdout if out is None else out
        self.console = Console(file=self._out, highlight=False, soft_wrap=True)

    @property
    def is_terminal(self) -> bool:
        return self._out.isatty()

    def document(self, fields: dict[str, Any]) -> None:
        """One line of JSON."""
        self._out.write(json.dumps(fields, ensure_ascii=False) + "\n")
        self._out.flush()

    def line(self, text: str) -> None:
        """One line as it is."""
        self._out.write(f"{text}\n")
        self._out.flush()

    def raw(self, data: bytes) -> None:
        """Bytes as they are."""
        self._out.flush()
        buffer = getattr(self._out, "buffer", None)
        if buffer is None:
            self._out.write(data.decode("utf-8", "surrogateescape"))
        else:
            buffer.write(data)
            buffer.flush()

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Columns on a terminal; in a pipe, tabs between them and no heading."""
        if not self.is_terminal:
            for row in rows:
                self.line("\t".join(row))
            return
        self.console.print(table_of(columns, rows))

    def flush(self) -> None:
        """What was printed shall be out before anything else is said."""
        self._out.flush()


def table_of(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """A table for a terminal. Texts are shown as they are: they may look like markup."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(*(_literal(cell) for cell in row))
    return table


def _literal(text: str) -> Any:
    from rich.text import Text

    return Text(text)


def shown(data: bytes) -> str:
    """Bytes for a person: text where it is text, and never anything that a terminal would obey."""
    text = data.decode("utf-8", "backslashreplace")
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def shortened(data: bytes) -> str:
    """The same, cut to what fits into a table."""
    text = shown(data[: 4 * _VALUE_CHARACTERS_COUNT])
    return text if len(text) <= _VALUE_CHARACTERS_COUNT else text[: _VALUE_CHARACTERS_COUNT - 1] + "…"


def field(name: str, data: bytes) -> dict[str, str]:
    """Bytes as JSON fields have them: text, or base64 under another name."""
    try:
        return {name: data.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": base64.b64encode(data).decode()}
