"""Counts calls of hraft's own functions: a cost that is the same on every machine, however busy it is."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import hraft

_HRAFT = str(Path(hraft.__file__).parent)
_SIMULATION = str(Path(hraft.__file__).parent / "simulation")


def calls_in(work: Callable[[], object]) -> int:
    """How many calls of hraft's functions, but for the simulator's, some work takes."""
    count = 0

    def looked(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal count
        if event == "call":
            name = frame.f_code.co_filename
            count += name.startswith(_HRAFT) and not name.startswith(_SIMULATION)

    before = sys.getprofile()
    sys.setprofile(looked)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count
