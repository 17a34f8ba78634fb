"""Every fuzz target meets damaged samples, and finds a bug that is planted. `python -m fuzz` is the same for longer."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Iterator
from functools import cache
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("httptools")

from fuzz import target as fuzz_target
from fuzz.__main__ import main
from fuzz.mutation import KINDS_COUNT, POSITIONS_COUNT, WORDS, Edit, Mutator, edited
from fuzz.table import TARGETS
from fuzz.target import Broken, Target

#: How many are fed whole and undamaged, at most.
SAMPLES_COUNT = 60
#: 60 where nothing is said: heavy ones have fewer.
EXAMPLES_COUNT = {"http": 20, "requests": 25, "accepted": 40}
PLANTED_RUNS_COUNT = 5000

positions = st.integers(0, POSITIONS_COUNT - 1)
words = st.sampled_from(WORDS) | st.binary(max_size=4)
edits = st.lists(st.builds(Edit, st.integers(0, KINDS_COUNT - 1), positions, positions, words), max_size=6)


@cache
def samples_of(name: str) -> list[bytes]:
    return TARGETS[name].samples()


def inputs(name: str) -> st.SearchStrategy[bytes]:
    """Valid samples with damage to them, and a few that are chance alone."""
    samples = st.sampled_from(samples_of(name))
    return st.one_of(*[st.builds(edited, samples, edits, samples)] * 7, st.binary(max_size=200))


@pytest.fixture()
def traced_memory() -> Iterator[None]:
    """So that a run's memory is counted, and not the process's."""
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.scenario("O10")
@pytest.mark.parametrize("name", TARGETS)
def test_nothing_but_typed_errors(name: str, traced_memory: None) -> None:
    """An error that is documented, or a value that comes back from its own bytes; in little time and memory."""
    for sample in samples_of(name)[:: 1 + len(samples_of(name)) // SAMPLES_COUNT]:
        TARGETS[name].check(sample)

    @settings(max_examples=EXAMPLES_COUNT.get(name, 60))
    @given(inputs(name))
    def fed(data: bytes) -> None:
        TARGETS[name].check(data)

    fed()


def _raising(*arguments: object) -> Any:
    raise KeyError("planted")


def _unchecked(value: Any, canonical: bytes, data: bytes) -> Any:
    return value


#: Target -> what is replaced, and by what: an error that is not translated, or a check that is not made.
PLANTED: dict[str, tuple[str, Any]] = {
    "log": ("hraft.storage.log_reader.BadMessage", KeyError),
    "snapshot-file": ("hraft.storage.snapshot_file.BadMessage", KeyError),
    "identity": ("hraft.storage.directory.LogCorrupted", KeyError),
    "entry": ("hraft.codec.BadMessage", KeyError),
    "entries": ("hraft.codec.BadMessage", KeyError),
    "configuration": ("hraft.codec._checked", _unchecked),
    "snapshot-description": ("hraft.codec._checked", _unchecked),
    "proposal": ("hraft.codec.BadCommand", KeyError),
    "command": ("hraft.kv.commands.BadCommand", KeyError),
    "result": ("hraft.kv.results.BadMessage", KeyError),
    "store": ("hraft.kv.store.BadCommand", KeyError),
    "store-snapshot": ("hraft.kv.snapshot_lines.LogCorrupted", KeyError),
    "boxes": ("hraft.peers.boxes.BadMessage", KeyError),
    "arguments": ("hraft.peers.arguments.BadMessage", KeyError),
    "accepted": ("hraft.peers.protocol.BadMessage", KeyError),
    "dialled": ("hraft.peers.protocol.BadMessage", KeyError),
    "step": ("hraft.raft.node.BadMessage", KeyError),
    "http": ("hraft.web.front.NotPlain", KeyError),
    "requests": ("hraft.web.bodies.bad_body", _raising),
    "bodies": ("hraft.web.bodies.bad_body", _raising),
    "watch": ("hraft.web.watch.wanted.bad_key", _raising),
    "client-endpoints": ("hraft.client.endpoints.BadAddress", KeyError),
    "client-answers": ("hraft.client.answers.BadAnswer", KeyError),
    "users": ("hraft.auth.user_file.BadUserFile", KeyError),
    "logins": ("hraft.auth.logins.LoginNeeded", KeyError),
    "hosts": ("hraft.web.hosts._is_address", lambda name: True),
    "addresses": ("hraft.addresses.AddressValueError", KeyError),
    "endpoints": ("hraft.endpoints.BadAddress", KeyError),
    "options": ("hraft.options.BadAddress", KeyError),
}


@pytest.mark.parametrize("name", TARGETS)
def test_a_planted_bug_is_found(name: str) -> None:
    """A target that cannot fail proves nothing; and what it says must repeat the failure."""
    replaced, by = PLANTED[name]
    mutator = Mutator(samples_of(name), seed=1)
    with mock.patch(replaced, by), pytest.raises(Broken) as caught:
        for _ in range(PLANTED_RUNS_COUNT):
            TARGETS[name].check(mutator.next())
    command = str(caught.value).splitlines()[-1]
    found = re.fullmatch(rf"python -m fuzz --target {name} --input ([0-9a-f]+|-)", command)
    assert found is not None, command
    data = bytes.fromhex(found[1].strip("-"))
    TARGETS[name].check(data)
    with mock.patch(replaced, by), pytest.raises(Broken):
        TARGETS[name].check(data)


def test_time_and_memory_are_promises_too(traced_memory: None) -> None:
    """A reader that takes minutes for a few bytes stops a node as surely as one that raises."""
    with pytest.raises(Broken, match="MiB"):
        Target("greedy", "", lambda data: bytes(fuzz_target.RUN_BYTES + 1) and None, list).check(b"")
    with mock.patch.object(fuzz_target, "RUN_SECONDS", -1.0), pytest.raises(Broken, match="processor time"):
        Target("slow", "", lambda data: None, list).check(b"")


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    """It feeds what it is told to, repeats an input, and tells a target that it does not know from one that it does."""
    assert main(["--target", "entry", "--input", "7b7d"]) == 0
    assert main(["--target", "entry", "--seconds", "0.1"]) == 0
    told = capsys.readouterr().out
    assert re.search(r"^nothing is wrong with it.*\nentry +[1-9]\d* runs +\d+/s +longest +[\d.]+ ms ", told), told
    with mock.patch("hraft.codec.BadMessage", KeyError):
        assert main(["--target", "entry", "--input", "7b7d"]) == 1
    with pytest.raises(SystemExit, match="no such target"):
        main(["--target", "nothing"])
