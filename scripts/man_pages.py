"""The manual pages, made from the options that the commands have.

    python -m scripts.man_pages            write docs/man/*.1
    python -m scripts.man_pages --check    only say whether they are what would be written (exit status 1 if not)
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from hraft import __version__
from hraft.cli.main import main as hraft_command
from hraft.options import Options

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "man"
SEE_ALSO = "The documentation has docs/operating.md for operators and docs/http-api.md for programs."


def pages() -> dict[str, str]:
    """Each page's file name and text."""
    return {"hraft.1": _page(_of_hraft()), "twist-hraft.1": _page(_of_twist())}


def main(words: list[str]) -> int:
    """Write the pages, or look whether somebody has to."""
    if words == ["--check"]:
        stale = [name for name, text in pages().items() if not _has(FOLDER / name, text)]
        print("\n".join(f"{name} is not up to date: run python -m scripts.man_pages" for name in stale) or "up to date")
        return 1 if stale else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, "utf-8")
    return 0


def _has(path: Path, text: str) -> bool:
    return path.exists() and path.read_text("utf-8") == text


def _page(lines: Iterator[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _roff(text: str) -> str:
    """Text as troff takes it: backslashes and hyphens as they are, and no line that it would obey."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join(f"\\&{line}" if line.startswith((".", "'")) else line for line in escaped.splitlines())


def _head(name: str, summary: str, synopsis: str) -> Iterator[str]:
    yield '.\\" Made by scripts/man_pages.py: change the options instead.'
    yield f'.TH {name.upper()} 1 "" "hraft {__version__}" "hraft"'
    yield from (".SH NAME", f"{_roff(name)} \\- {_roff(summary)}", ".SH SYNOPSIS", _roff(synopsis))


def _item(term: str, text: str) -> Iterator[str]:
    yield from (".TP", f".B {_roff(term)}", _roff(text))


# --- hraft -----------------------------------------------------------------------------------------


def _of_hraft() -> Iterator[str]:
    context = click.Context(hraft_command, info_name="hraft")
    yield from _head("hraft", "ask a replicated key-value store", "hraft [OPTIONS] COMMAND [ARGS]...")
    yield from (".SH DESCRIPTION", _roff("Talks HTTP to a cluster, finds its leader, and goes on when a node fails."))
    yield ".SH OPTIONS"
    yield from _options(hraft_command)
    yield from _item("--version", "Say which release this is.")
    yield from _item("-h, --help", "Explain the command, or one subcommand.")
    yield ".SH COMMANDS"
    yield from _commands(hraft_command, context)
    yield from (".SH EXIT STATUS", *_verbatim(hraft_command.epilog or ""))
    yield from (".SH ENVIRONMENT", *_item("HRAFT_ENDPOINTS", "What --endpoints says, where it is not said."))
    yield from (".SH SEE ALSO", ".BR twist-hraft (1)", ".PP", _roff(SEE_ALSO))


def _commands(group: click.Group, context: click.Context) -> Iterator[str]:
    """Every subcommand in the order of its name, those of groups after their group."""
    for name in group.list_commands(context):
        command = group.commands[name]
        inner = click.Context(command, info_name=name, parent=context)
        arguments = [_argument(each) for each in command.params if isinstance(each, click.Argument)]
        yield from (".SS", _roff(" ".join([inner.command_path, *arguments])))
        yield from _prose(command.help or "")
        yield from _options(command)
        if isinstance(command, click.Group):
            yield from _commands(command, inner)


def _argument(argument: click.Argument) -> str:
    name = "|".join(argument.type.choices) if isinstance(argument.type, click.Choice) else (argument.name or "").upper()
    name += "..." if argument.nargs != 1 else ""
    return name if argument.required else f"[{name}]"


def _options(command: click.Command) -> Iterator[str]:
    """Not in click's own words, which differ from one release of it to the next."""
    for option in command.params:
        if isinstance(option, click.Option) and not option.hidden and "--version" not in option.opts:
            names = ", ".join([*option.opts, *option.secondary_opts])
            yield from _item(names + _value(option), (option.help or "") + _default(option))


def _value(option: click.Option) -> str:
    if option.is_flag or option.count:
        return ""
    if isinstance(option.type, click.Choice):
        return " " + "|".join(option.type.choices)
    return " " + (option.metavar or option.type.name.removesuffix(" range").upper())


def _default(option: click.Option) -> str:
    is_shown = option.show_default and not option.is_flag and isinstance(option.default, str | int | float)
    return f"  [default: {option.default}]" if is_shown else ""


def _prose(text: str) -> Iterator[str]:
    for paragraph in text.strip().split("\n\n"):
        if "\b" in paragraph:
            yield from _verbatim(paragraph)
        else:
            yield from (".PP", _roff(" ".join(paragraph.split())))


def _verbatim(text: str) -> Iterator[str]:
    yield from (".PP", ".nf", _roff(inspect.cleandoc(text.replace("\b", ""))), ".fi")


# --- twist hraft -----------------------------------------------------------------------------------


def _of_twist() -> Iterator[str]:
    options: Any = Options()  # type: ignore[no-untyped-call]
    synopsis = f"twist [TWIST OPTIONS] hraft {options.synopsis}"
    yield from _head("twist-hraft", "run one node of a replicated key-value store", synopsis)
    yield from (".SH DESCRIPTION", _roff(options.longdesc))
    yield from (".PP", _roff("Options of twist itself, such as --log-format and --reactor, come before the word hraft."))
    yield ".SH OPTIONS"
    parameters: list[Any] = options.optParameters
    for name, _, default, text, *_rest in parameters:
        said = "" if default is None else f" [default: {default}]"
        yield from _item(f"--{name} VALUE", text + said)
    flags: list[Any] = options.optFlags
    for name, _, text in flags:
        yield from _item(f"--{name}", text)
    yield from _item("--version", "Say which release this is.")
    yield ".SH EXIT STATUS"
    yield from _item("64", "The command line is wrong; one line on stderr says how.")
    yield from _item("1", "The node could not start, or had to stop at once; one line on stderr says why.")
    yield from _item("143", "It was stopped by SIGTERM, and ended well.")
    yield ".SH ENVIRONMENT"
    yield from _item("NOTIFY_SOCKET, WATCHDOG_USEC", "Of systemd, see sd_notify(3): it is told when the node has started.")
    yield from _item("LISTEN_FDS, LISTEN_PID, LISTEN_FDNAMES", "Of systemd, for --haddr systemd:domain=INET6:name=http.")
    yield from (".SH SEE ALSO", ".BR hraft (1)", ".PP", _roff(SEE_ALSO))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
