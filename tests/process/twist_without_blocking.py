"""`twist` whose process says which blocking calls its reactor's thread makes, from SIGUSR1 on (X2).

Seen are syncs, files that are opened, renamed and removed, directories that are read, names that are resolved, and sleep.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any

#: What begins the line about each. The nodes' logs are searched for it.
BLOCKING = "BLOCKING CALL"
_AUDITED = {"open", "os.rename", "os.remove", "os.listdir", "os.scandir", "os.mkdir", "os.truncate", "time.sleep"}
_AUDITED |= {"socket.getaddrinfo", "socket.gethostbyname", "subprocess.Popen"}
#: What no disk and no network is asked for: modules and pages of the program's own, and figures of the kernel's.
_OWN = (".py", ".pyc", ".so", ".js", ".css", ".html", ".svg")
_is_armed = False


def _arm(*_: object) -> None:
    global _is_armed
    _is_armed = True
    os.write(2, b"armed\n")


def _say(what: str) -> None:
    if _is_armed and threading.current_thread() is threading.main_thread():
        stack = "".join(traceback.format_stack(limit=12)[:-2])
        os.write(2, f"{BLOCKING}: {what}\n{stack}".encode())


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    path = str(arguments[0]) if arguments else ""
    if event in _AUDITED and not path.startswith("/proc/") and not (event == "open" and path.endswith(_OWN)):
        _say(f"{event}{arguments}")


def _watched(name: str) -> Callable[[int], None]:
    real = getattr(os, name)

    def call(descriptor: int) -> None:
        _say(name)
        real(descriptor)

    return call


if __name__ == "__main__":
    # Before hraft is imported, which takes them from here.
    os.fsync, os.fdatasync = _watched("fsync"), _watched("fdatasync")
    sys.addaudithook(_audit)
    signal.signal(signal.SIGUSR1, _arm)
    from twisted.application.twist._twist import Twist

    Twist.main()
