"""`hraft.testing`, and the example of docs/simulation.md, run as it stands there."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hraft.errors import ChangeRefused, OutcomeUnknown
from hraft.kv.commands import Set, encode_command
from hraft.testing import Cluster, PromiseBroken, hraft_cluster  # noqa: F401 - the fixture is found by its name

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "simulation.md"
[EXAMPLE] = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
EXAMPLE_TESTS = re.findall(r"^def (test_\w+)", EXAMPLE, re.MULTILINE)


@pytest.mark.parametrize("name", EXAMPLE_TESTS)
def test_the_example(name: str, hraft_cluster: Callable[..., Cluster]) -> None:  # noqa: F811
    """What the page promises to those who copy it."""
    namespace: dict[str, Any] = {}
    exec(compile(EXAMPLE, str(PAGE), "exec"), namespace)
    namespace[name](hraft_cluster)


def test_every_call_of_the_page() -> None:
    """The page's table names calls that are there."""
    table = PAGE.read_text("utf-8").partition("| call | what it does |")[2]
    rows = [row for row in table.splitlines() if row.startswith("| `")]
    names = {name for row in rows for name in re.findall(r"`(\w+)", row.split("|")[1])} - {"Cluster", "now"}
    assert names <= set(dir(Cluster)), names - set(dir(Cluster))
    assert len(names) > 20


class Moody:
    """Not a function of its commands: what it answers depends on which copy of it is asked."""

    made_count = 0

    def __init__(self) -> None:
        Moody.made_count += 1
        self.number = Moody.made_count

    def apply(self, index: int, command: bytes) -> int:
        """Another answer on every node."""
        return self.number

    def snapshot(self) -> list[bytes]:
        """Nothing worth keeping."""
        return []

    def restored(self, lines: object) -> Moody:
        """As new."""
        return Moody()


def test_a_state_machine_that_is_not_deterministic() -> None:
    """It is found out at its first step on a second node."""
    cluster = Cluster(seed=1, state_machine=Moody)
    cluster.propose(b'"anything"')
    with pytest.raises(PromiseBroken, match="state machines differ"):
        cluster.settle()


def test_what_clients_are_told(hraft_cluster: Callable[..., Cluster]) -> None:  # noqa: F811
    """Errors are those of the real service, and a broken connection is one whose outcome nobody knows."""
    cluster = hraft_cluster(seed=2)
    with pytest.raises(ChangeRefused):
        cluster.remove("node77")
    asked = cluster.submit(encode_command(Set(b"a", b"1")))
    with pytest.raises(ValueError, match="no answer yet"):
        asked.result()
    cluster.crash(cluster.leader())
    with pytest.raises(OutcomeUnknown):
        asked.result()
    with pytest.raises(PromiseBroken, match="seed 2: nothing happens any more: not within 1 s: the impossible"):
        cluster.until(lambda: False, "the impossible", seconds=1.0)


def test_the_same_seed_is_the_same_cluster() -> None:
    """So that a failure can be looked at again and again."""
    hashes = set()
    for _ in range(2):
        cluster = Cluster(seed=4)
        cluster.propose(encode_command(Set(b"a", b"1")))
        cluster.pause()
        cluster.advance(3.0)
        cluster.resume()
        cluster.close()
        hashes.add(cluster.world.story.trace_hash())
    assert len(hashes) == 1
