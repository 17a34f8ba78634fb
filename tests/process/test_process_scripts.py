"""Scripts that use the blocking client: plain `python script.py`, Ctrl-C, and one that forgets to close. No node need answer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cluster import wait_until

import hraft
from chaos.ports import free_ports

#: The network's "nobody there": the name has to be looked up, in a thread, before it is refused.
HEAD = """
import sys, time
from hraft.client import Unavailable
from hraft.client.blocking import BlockingClient
client = BlockingClient("http://localhost:{port}", deadline_seconds={deadline})
print("made", flush=True)
"""


@contextmanager
def script(text: str, folder: Path, deadline: float) -> Iterator[subprocess.Popen[str]]:
    """A process that runs it."""
    path = folder / "script.py"
    path.write_text(HEAD.format(port=free_ports(1)[0], deadline=deadline) + text, "utf-8")
    environment = {**os.environ, "PYTHONPATH": str(Path(hraft.__file__).resolve().parent.parent)}
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, str(path)], stdout=pipe, stderr=pipe, text=True, env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_script_that_forgets_to_close(tmp_path: Path) -> None:
    """It ends when it is at its end, whatever threads there are; and it was told that nobody is there."""
    text = "try:\n    client.get('a')\nexcept Unavailable as error:\n    print(type(error).__name__)\n"
    with script(text, tmp_path, 0.5) as process:
        out, errors = process.communicate(timeout=120)
    assert (0, "made\nUnavailable\n", "") == (process.returncode, out, errors)


@pytest.mark.parametrize(
    "waits", ["client.get('a')", "client.lock('a').acquire()", "next(client.watch('a', patience_seconds=999))"]
)
def test_ctrl_c(waits: str, tmp_path: Path) -> None:
    """A call that waits ends at once with KeyboardInterrupt; `with` still closes, and the call is not heard of again."""
    caught = "    except KeyboardInterrupt:\n        print('interrupted', flush=True)\n        raise\n"
    text = f"with client:\n    try:\n        print('waits', flush=True)\n        {waits}\n{caught}"
    with script(text, tmp_path, 600) as process:
        assert process.stdout is not None
        assert ["made\n", "waits\n"] == [process.stdout.readline(), process.stdout.readline()]
        process.send_signal(signal.SIGINT)
        wait_until(lambda: process.poll() is not None, "the script ends")
        out, errors = process.communicate()
    assert "interrupted\n" == out
    assert errors.rstrip().endswith("KeyboardInterrupt"), errors
    assert -signal.SIGINT == process.returncode
