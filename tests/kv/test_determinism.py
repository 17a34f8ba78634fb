"""Nothing of the process reaches the state: not its hash seed, not its set order."""

import os
import subprocess
import sys
from pathlib import Path
from unittest import TestCase

import pytest

import hraft

PROGRAM = """
from hraft.kv.commands import Delete, Set, SetMany, encode_command
from hraft.kv.store import KeyValueStore

store = KeyValueStore()
results = []
for index in range(1, 200):
    names = {b"key%d" % (index * n % 37) for n in range(5)}
    for command in (SetMany(tuple((name, b"%d" % index) for name in sorted(names))), Delete(b"key%d" % (index % 7))):
        results.append(store.apply(index, encode_command(command)))
results.append(store.apply(200, b"nonsense"))
print(store.state_hash(), results[-3:], [key for key, record in store.range(limit=5)])
"""


class DeterminismTests(TestCase):
    @pytest.mark.scenario("X5", "C8")
    def test_the_hash_seed_does_not_reach_the_state(self) -> None:
        """Two nodes always have different hash seeds; equal logs must give equal states and results on both."""
        outputs = {self.run_with_seed(seed) for seed in ("0", "1", "4711")}
        self.assertEqual(1, len(outputs), outputs)

    def run_with_seed(self, seed: str) -> str:
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(hraft.__file__).parents[1])}
        return subprocess.run(
            [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True, timeout=60
        ).stdout
