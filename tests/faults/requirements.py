"""What a machine must allow before a fault can be made on it, each as a mark that skips with the reason.

Everything is tried, not guessed: strace may be there and ptrace forbidden, root may be one without the right to mount.
"""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest


def without_strace() -> str:
    """Why strace cannot be used here; empty where it can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    with Path(sys.executable).open("rb") as interpreter:
        if interpreter.read(4) != b"\x7fELF":
            return f"{sys.executable} is a script, whose calls would be counted as the node's"
    # An fdatasync of nothing fails with EBADF by itself, with EIO only when the injection works.
    probe = [sys.executable, "-c", "import os\ntry: os.fdatasync(99)\nexcept OSError as error: raise SystemExit(error.errno)"]
    command = ["strace", "-D", "-qq", "-f", "-o", os.devnull, "-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO"]
    result = subprocess.run([*command, *probe], capture_output=True, text=True)
    return "" if result.returncode == 5 else f"strace cannot inject here: {result.stderr.strip() or result.returncode}"


def without_mount() -> str:
    """Why no tmpfs can be mounted here; empty where one can."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        return "mounting needs root on Linux"
    with tempfile.TemporaryDirectory() as folder:
        result = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True, text=True)
        if result.returncode != 0:
            return f"tmpfs cannot be mounted here: {result.stderr.strip()}"
        subprocess.run(["umount", folder], check=True)
    return ""


def without_fuse() -> str:
    """Why no FUSE file system can be mounted here; empty where one can."""
    if without_mount():
        return without_mount()
    if shutil.which("fusermount3") is None:
        return "fuse3 is not installed"
    try:
        os.close(os.open("/dev/fuse", os.O_RDWR))
        importlib.import_module("mfusepy")
    except (OSError, ImportError) as error:
        return f"FUSE cannot be used here: {error}"
    return ""


def _needs(reason: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(bool(reason), reason=reason)


needs_strace = _needs(without_strace())
needs_tmpfs = _needs(without_mount())
needs_fuse = _needs(without_fuse())
