"""Fuzz targets: what may meet any bytes, and what it promises whatever they are. docs/testing.md says how to run them.

Two of them stand on what the tests of the same part have: a node alone on the stage, and both ways into the HTTP API.
"""

import sys
from pathlib import Path

for _part in (".", "raft", "web"):
    _folder = str(Path(__file__).resolve().parent.parent / "tests" / _part)
    if _folder not in sys.path:
        sys.path.append(_folder)
