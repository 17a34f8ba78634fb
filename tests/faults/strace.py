"""Faults put into a real node's system calls by strace: which call, what happens to it, and at which times.

`when` counts the calls of each thread from the moment strace is there, and a node writes its log in one thread. Knows nothing
of clusters.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from cluster import Node, wait_until

EIO = "error=EIO"
ENOSPC = "error=ENOSPC"
KILL = "signal=KILL"
#: Whatever lies in a data directory is changed by these.
DISK_CALLS = "openat,?rename,?renameat,?renameat2,?unlink,?unlinkat,?mkdir,?mkdirat,fsync,fdatasync,pwrite64,ftruncate"


def delay(seconds: float) -> str:
    """The fault of a disk that takes its time, but for one call does not fail."""
    return f"delay_enter={round(seconds * 1_000_000)}"


@dataclass(frozen=True)
class Injection:
    """`when` is as strace has it: `3` the third call, `3..5` those, `1+` every one."""

    call: str
    fault: str
    when: str = "1+"

    def options(self) -> list[str]:
        """Only a call that is traced can be injected."""
        return ["-e", f"trace={self.call}", "-e", f"inject={self.call}:{self.fault}:when={self.when}"]

    def __str__(self) -> str:
        return f"{self.fault} at {self.call} {self.when}"


class Strace:
    """strace on a node that runs, from `with` to its end. A call that is held up then goes on at once."""

    def __init__(self, node: Node, injection: Injection) -> None:
        assert node.process is not None
        self._node = node
        self._pid = node.process.pid
        self._command = ["strace", "-qq", "-f", "-p", str(self._pid), "-o", os.devnull, *injection.options()]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Strace:
        self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL)
        wait_until(lambda: self._is_traced() or not self._node.is_running(), f"strace holds all threads of {self._node.name}")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait()

    def _is_traced(self) -> bool:
        for path in Path(f"/proc/{self._pid}/task").glob("*/status"):
            with suppress(OSError):  # a thread that has ended meanwhile, or all of them: the fault strikes at once
                if re.search(r"^TracerPid:\t0$", path.read_text(), re.MULTILINE):
                    return False
        return True


def started_under(injection: Injection) -> tuple[str, ...]:
    """What stands before a node's command so that strace is there from the start; the node is still our own child (-D).

    Without --seccomp-bpf, with which strace injects no signals.
    """
    return ("strace", "-D", "-qq", "-f", "-o", os.devnull, *injection.options())


def recorded_into(path: Path) -> tuple[str, ...]:
    """What stands before a node's command so that what it does to its disk is written down."""
    return ("strace", "-D", "-qq", "--seccomp-bpf", "-f", "-y", "-s", "0", "-o", str(path), "-e", f"trace={DISK_CALLS}")


@dataclass(frozen=True)
class Call:
    """One recorded call that succeeded. `paths` are those that it names, by text or by descriptor."""

    name: str
    paths: tuple[str, ...]
    text: str


_LINE = re.compile(r"(\d+) +(?:<\.\.\. (\w+) resumed>)?(.*)")
_CALL = re.compile(r"(\w+)\((.*)\) += (-?\d+)")
_PATH = re.compile(r'"(/[^"]*)"|\d+<(/[^>]*)>')


def recorded_calls(path: Path) -> Iterator[Call]:
    """The calls of a record in the order in which they ended, those of several threads put together again."""
    begun: dict[str, str] = {}
    for line in path.read_text("utf-8", "replace").splitlines():
        parts = _LINE.fullmatch(line)
        if parts is None:
            continue
        pid, resumed, text = parts.groups()
        if resumed is not None:
            text = begun.pop(pid, "") + text
        elif text.endswith("<unfinished ...>"):
            begun[pid] = text.removesuffix("<unfinished ...>").rstrip()
            continue
        call = _CALL.match(text)
        if call is not None and int(call[3]) >= 0:
            paths = tuple(dict.fromkeys(one or other for one, other in _PATH.findall(call[2])))
            yield Call(call[1], paths, text)
