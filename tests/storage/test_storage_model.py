"""Random lives of a node: after any of them, the durable storage holds what its twin in memory does."""

from __future__ import annotations

from unittest import TestCase

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from storage_samples import CLUSTER, check_shape, durable, entry, essence, lines, receives, save, snapshot, worst_luck

from hraft.raft.entry import HardState
from hraft.raft.ready import Install, Save
from hraft.simulation.disk import SimulatedDisk
from hraft.storage.batch import encode_batch
from hraft.storage.log_reader import read_log
from hraft.storage.memory import MemoryStorage


class StorageLives(RuleBasedStateMachine):
    """Every rule keeps what Raft keeps: committed entries are not truncated, terms rise, a snapshot covers what is committed."""

    @initialize(segment_bytes=st.sampled_from((1, 300, 2000)), padding_bytes=st.sampled_from((0, 1, 700)))
    def start(self, segment_bytes: int, padding_bytes: int) -> None:
        self.sizes = segment_bytes, padding_bytes
        self.disk = SimulatedDisk()
        self.memory = MemoryStorage(CLUSTER)
        self.durable = durable(self.disk, *self.sizes)
        self.durable.recover()
        self.term = 1
        self.terms = {0: 0}
        self.last_index = self.committed_index = 0

    def both(self, given: Save) -> None:
        self.memory.save(given)
        self.durable.save(given)

    def grown(self, count: int) -> list[int]:
        """The indexes of so many new entries, which are of the present term."""
        indexes = list(range(self.last_index + 1, self.last_index + 1 + count))
        self.terms.update((index, self.term) for index in indexes)
        self.last_index += count
        return indexes

    @rule(count=st.integers(0, 6), size=st.sampled_from((0, 30, 900)), vote=st.sampled_from((None, "n1", 'ünïcode\n"\\')))
    def append(self, count: int, size: int, vote: str | None) -> None:
        self.both(save(HardState(self.term, vote), *(entry(index, self.term, size) for index in self.grown(count))))

    @rule(data=st.data(), count=st.integers(0, 6))
    def truncate(self, data: st.DataObject, count: int) -> None:
        self.term += 1
        index = data.draw(st.integers(self.committed_index + 1, self.last_index + 1))
        self.last_index = index - 1
        given = (entry(index, self.term) for index in self.grown(count))
        self.both(save(HardState(self.term, None), *given, truncate_from=index))

    @rule(data=st.data())
    def commit_and_take_snapshot(self, data: st.DataObject) -> None:
        self.committed_index = data.draw(st.integers(self.committed_index, self.last_index))
        if self.committed_index:
            for storage in (self.memory, self.durable):
                index = self.committed_index
                storage.write_snapshot(snapshot(index, self.terms[index]), lines(index))

    @rule(back=st.integers(-2, 5))
    def compact(self, back: int) -> None:
        for storage in (self.memory, self.durable):
            storage.compact(max(1, self.committed_index + 1 - back))

    @rule(data=st.data(), count=st.integers(0, 3))
    @precondition(lambda self: self.last_index > self.committed_index)
    def install_and_keep(self, data: st.DataObject, count: int) -> None:
        index = data.draw(st.integers(self.committed_index + 1, self.last_index))
        self.install(index, self.terms[index], True, count)

    @rule(ahead=st.integers(1, 9), count=st.integers(0, 3))
    def install_and_drop(self, ahead: int, count: int) -> None:
        self.term += 1
        index = self.committed_index + ahead
        self.last_index = index
        self.terms[index] = self.term
        self.install(index, self.term, False, count)

    def install(self, index: int, term: int, keep_suffix: bool, count: int) -> None:
        for storage in (self.memory, self.durable):
            receives(index, term)(storage)
        given = [entry(index, self.term) for index in self.grown(count)]
        self.both(save(HardState(self.term, "n2"), *given, install=Install(snapshot(index, term), keep_suffix)))
        self.committed_index = index

    @rule()
    def restart(self) -> None:
        self.durable.close()
        self.durable = durable(self.disk, *self.sizes)
        self.durable.recover()

    @rule()
    def lose_power(self) -> None:
        self.disk = self.disk.after_crash(worst_luck)
        self.durable = durable(self.disk, *self.sizes)
        self.durable.recover()

    @invariant()
    def survives(self) -> None:
        if hasattr(self, "disk"):
            found = durable(self.disk.after_crash(worst_luck), *self.sizes).recover()
            check_shape(found)
            assert found.notes == ()
            assert essence(self.memory.recover()) == essence(found)

    def teardown(self) -> None:
        """What lies on disk is also no more than what a reader without a snapshot to lean on can read."""
        if hasattr(self, "disk"):
            read_log(self.disk, "node/log", 0)


LivesTest = pytest.mark.scenario("M5", "S2", "S4", "D13")(StorageLives.TestCase)
LivesTest.settings = settings(max_examples=60, stateful_step_count=25, suppress_health_check=list(HealthCheck))


class AnyBytesTests(TestCase):
    @pytest.mark.scenario("D5", "D10")
    @settings(max_examples=300)
    @given(
        junk=st.one_of(
            st.binary(max_size=200),
            st.text(alphabet='{}[]":,0123456789\n\\ubatchindexterm', max_size=200).map(str.encode),
        )
    )
    def test_any_junk_behind_the_log(self, junk: bytes) -> None:
        """Any bytes behind a sound log are padding or a torn tail: the log before them stays."""
        sound = encode_batch(1, HardState(1, "n1"), None, tuple(entry(index, 1) for index in (1, 2, 3)))
        disk = SimulatedDisk()
        disk.put("node/log/00000000000000000001-00000000000000000001.jsonl", sound + junk)
        found = durable(disk).recover()
        self.assertEqual((HardState(1, "n1"), 3), essence(found)[::3])
        self.assertEqual(bool(junk.strip(b"\n")), bool(found.notes))
