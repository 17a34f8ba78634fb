"""Nothing of the process reaches the state: not its hash seed, not its set order."""

import os
import subprocess
import sys
from pathlib import Path
from unittest import TestCase

import pytest

import hraft
from hraft.kv.commands import CloseSession, RevokeLease, SetMany, encode_command
from hraft.kv.store import KeyValueStore
from hraft.kv.transactions import Compare, DeleteRange, GetRange, Put, Transaction

PROGRAM = """
from hraft.kv.commands import Delete, GrantLease, Once, OpenSession, RevokeLease, SetMany, encode_command
from hraft.kv.transactions import Put, Transaction
from hraft.kv.store import KeyValueStore

store = KeyValueStore()
results = []
for index in range(1, 200):
    names = {b"key%d" % (index * n % 37) for n in range(5)}
    for command in (SetMany(tuple((name, b"%d" % index) for name in sorted(names))), Delete(b"key%d" % (index % 7))):
        results.append(store.apply(index, encode_command(command)))
store.apply(200, encode_command(GrantLease(5)))
store.apply(201, encode_command(OpenSession()))
puts = Transaction((), tuple(Put(b"key%d" % number, b"", 200) for number in range(20)))
results.append(store.apply(202, encode_command(Once(201, 1, puts))).succeeded)
store.apply(203, encode_command(RevokeLease(200)))
results.append(store.apply(204, b"nonsense"))
print(store.state_hash(), results[-3:], [key for key, record in store.range(limit=5)])
"""


class DeterminismTests(TestCase):
    @pytest.mark.scenario("X5", "C8")
    def test_the_hash_seed_does_not_reach_the_state(self) -> None:
        """Two nodes always have different hash seeds; equal logs must give equal states and results on both."""
        outputs = {self.run_with_seed(seed) for seed in ("0", "1", "4711")}
        self.assertEqual(1, len(outputs), outputs)

    def test_the_words_of_refusals(self) -> None:
        """Sessions keep and count them: nodes of two releases that word one otherwise would have two states, for ever."""
        every = Compare(b"", "version", ">", 0, b"")
        words = {
            "there is no lease 9 (any more)": Transaction((), (Put(b"a", b"", 9),)),
            "there is no lease 8 (any more)": RevokeLease(8),
            "client 7 is not known (any more)": CloseSession(7),
            "more than 10000 keys would be compared at once; compare fewer": Transaction((every,) * 3),
            "more than 20000 keys would be deleted at once; delete them in parts": Transaction((), (DeleteRange(b"", b""),) * 6),
            "it would read more than 10000 keys or 4194304 bytes; read less in a transaction, or in parts": Transaction(
                (), (GetRange(b"", b""),) * 3
            ),
        }
        store = KeyValueStore()
        store.apply(1, encode_command(SetMany(tuple((b"%d" % number, b"") for number in range(4_000)))))
        for expected, command in words.items():
            self.assertEqual(expected, getattr(store.apply(2, encode_command(command)), "detail", None))

    def run_with_seed(self, seed: str) -> str:
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(hraft.__file__).parents[1])}
        return subprocess.run(
            [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True, timeout=120
        ).stdout
