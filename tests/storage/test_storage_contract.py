"""What `hraft.interfaces.Storage` promises, asked of the durable storage and of its twin in memory."""

from __future__ import annotations

from collections.abc import Iterator
from unittest import TestCase

import pytest
from storage_samples import (
    CLUSTER,
    CONFIGURATION,
    STORY,
    check_shape,
    compacts,
    durable,
    entries,
    entry,
    essence,
    expected,
    lines,
    receives,
    save,
    saves,
    snapshot,
    takes_snapshot,
)

from hraft.errors import FormatUnknown, LogCorrupted
from hraft.interfaces import Recovered, Storage
from hraft.raft.entry import ORIGIN, HardState
from hraft.raft.ready import Install
from hraft.simulation.disk import SimulatedDisk
from hraft.storage.memory import MemoryStorage


class Contract:
    """The tests; a subclass says how a storage is made and started again."""

    def setUp(self) -> None:
        self.storage = self.made()
        self.assertEqual(Recovered(), self.normal(self.storage.recover()))

    def made(self) -> Storage:
        raise NotImplementedError

    def restarted(self) -> Recovered:
        """Close, and see what the next start finds."""
        self.storage.close()
        self.storage = self.made()
        found = self.storage.recover()
        check_shape(found)
        return self.normal(found)

    def normal(self, found: Recovered) -> Recovered:
        return Recovered(found.hard_state, found.snapshot, found.base, tuple(found.entries), found.notes)

    def test_saves(self) -> None:
        """Hard state and entries come back, and a truncation takes what it should."""
        self.storage.save(save(HardState(1, "n1"), *entries(1, 6, 1)))
        self.storage.save(save(HardState(2, None)))
        self.assertEqual(Recovered(HardState(2, None), None, ORIGIN, entries(1, 6, 1)), self.restarted())
        self.storage.save(save(HardState(3, "n2"), entry(4, 3), truncate_from=4))
        self.storage.save(save(HardState(3, "n2"), truncate_from=4))
        self.storage.save(save(HardState(3, "n2"), *entries(4, 5, 3)))
        self.assertEqual((*entries(1, 3, 1), *entries(4, 5, 3)), self.restarted().entries)
        self.storage.save(save(HardState(4, None), truncate_from=1))
        self.assertEqual(Recovered(HardState(4, None), None, ORIGIN, ()), self.restarted())

    def test_wrong_order(self) -> None:
        """Entries that do not follow the log are refused."""
        self.storage.save(save(HardState(1, "n1"), *entries(1, 3, 1)))
        for wrong in (save(HardState(1, "n1"), entry(5, 1)), save(HardState(1, "n1"), truncate_from=5)):
            with self.assertRaises(ValueError):
                self.storage.save(wrong)
        self.assertEqual(entries(1, 3, 1), self.restarted().entries)

    @pytest.mark.scenario("M5", "E10", "S14")
    def test_snapshot_of_our_own(self) -> None:
        """A snapshot comes back with its configuration, the log behind it too; and so does the next; term and vote stay."""
        self.storage.save(save(HardState(3, "n2"), *entries(1, 30, 1)))
        for index in (10, 20):
            self.storage.write_snapshot(snapshot(index, 1), iter(lines(index)))
            self.storage.compact(index - 2)
            found = self.restarted()
            self.assertEqual((HardState(3, "n2"), snapshot(index, 1)), (found.hard_state, found.snapshot))
            self.assertEqual(CONFIGURATION, found.snapshot.configuration)
            self.assertEqual(entries(index + 1, 30, 1), essence(found)[2])
            with self.storage.read_snapshot(snapshot(index, 1)) as found_lines:
                self.assertEqual(lines(index), list(found_lines))

    @pytest.mark.scenario("S2")
    def test_compaction_without_snapshot(self) -> None:
        """Entries that no durable snapshot covers stay, whatever is asked."""
        # Large enough that each is a segment of its own.
        for index in range(1, 21):
            self.storage.save(save(HardState(1, "n1"), entry(index, 1, size=400)))
        before = self.restarted().entries
        self.storage.compact(15)
        self.assertEqual(before, self.restarted().entries)
        for index in (3, 6, 7, 13):
            self.storage.write_snapshot(snapshot(index, 1), [])
            self.storage.compact(15)
            self.assertEqual(before[index:], essence(self.restarted())[2])
            self.storage.compact(index)
            self.assertEqual(before[index:], essence(self.restarted())[2])

    def test_older_snapshot(self) -> None:
        """A snapshot that comes too late, after a newer one was installed, changes nothing."""
        self.storage.save(save(HardState(1, "n1"), *entries(1, 20, 1)))
        takes_snapshot(10, 1)(self.storage)
        takes_snapshot(5, 1)(self.storage)
        self.assertEqual(snapshot(10, 1), self.storage.open_snapshot().snapshot)
        self.assertEqual(snapshot(10, 1), self.restarted().snapshot)

    @pytest.mark.scenario("S3")
    def test_snapshot_ahead_of_the_log(self) -> None:
        """Others commit and we apply what is still on its way to our disk: our snapshot may be ahead of our log."""
        self.storage.save(save(HardState(1, "n1"), *entries(1, 8, 1)))
        takes_snapshot(10, 2)(self.storage)
        self.storage.compact(11)
        # The process may go on ...
        self.storage.save(save(HardState(2, None), *entries(9, 12, 2)))
        found = self.restarted()
        self.assertEqual((HardState(2, None), snapshot(10, 2), entries(11, 12, 2), 12), essence(found))
        # ... or end before the log has caught up; the term is then that of the snapshot at least.
        takes_snapshot(15, 4)(self.storage)
        found = self.restarted()
        self.assertEqual(Recovered(HardState(4, None), snapshot(15, 4), snapshot(15, 4).id, (), found.notes), found)
        self.storage.save(save(HardState(5, None), *entries(16, 17, 5)))
        self.assertEqual(entries(16, 17, 5), essence(self.restarted())[2])
        # A vote in a later term stays what it is.
        self.storage.save(save(HardState(9, "n2")))
        takes_snapshot(20, 6)(self.storage)
        self.assertEqual((HardState(9, "n2"), snapshot(20, 6), (), 20), essence(self.restarted()))

    @pytest.mark.scenario("S4", "S5", "S9")
    def test_received_but_not_installed(self) -> None:
        """A snapshot on its way in counts for nothing until it is installed, and a start finds no trace of it."""
        self.storage.save(save(HardState(1, "n1"), *entries(1, 8, 1)))
        receives(20, 1)(self.storage)
        with self.assertRaises(LogCorrupted):
            self.storage.open_snapshot()
        writer = self.storage.receive_snapshot(snapshot(30, 1))
        writer.append(b"{")
        self.assertEqual(Recovered(HardState(1, "n1"), None, ORIGIN, entries(1, 8, 1)), self.restarted())
        with self.assertRaisesRegex(ValueError, "was not received"):
            self.storage.save(save(HardState(1, "n1"), install=Install(snapshot(20, 1), False)))

    @pytest.mark.scenario("S4")
    def test_install_that_keeps_the_suffix(self) -> None:
        """A log that holds the snapshot's last entry keeps what follows it, and takes truncation and entries of the same save."""
        self.storage.save(save(HardState(1, "n1"), *entries(1, 8, 1)))
        receives(5, 1)(self.storage)
        install = Install(snapshot(5, 1), True)
        self.storage.save(save(HardState(2, None), *entries(8, 9, 2), truncate_from=8, install=install))
        suffix = (*entries(6, 7, 1), *entries(8, 9, 2))
        self.assertEqual((HardState(2, None), snapshot(5, 1), suffix, 9), essence(self.restarted()))

    @pytest.mark.scenario("S4")
    def test_install_that_drops_the_log(self) -> None:
        """Otherwise the whole log goes, also what is beyond the snapshot, and entries go on after the snapshot."""
        self.storage.save(save(HardState(1, "n1"), *entries(1, 8, 1)))
        receives(5, 2)(self.storage)
        self.storage.save(save(HardState(2, "n2"), install=Install(snapshot(5, 2), False)))
        self.assertEqual(Recovered(HardState(2, "n2"), snapshot(5, 2), snapshot(5, 2).id, ()), self.restarted())
        receives(50, 3)(self.storage)
        self.storage.save(save(HardState(3, None), *entries(51, 52, 3), install=Install(snapshot(50, 3), False)))
        self.storage.save(save(HardState(3, None), entry(53, 3)))
        found = self.restarted()
        self.assertEqual(Recovered(HardState(3, None), snapshot(50, 3), snapshot(50, 3).id, entries(51, 53, 3)), found)

    @pytest.mark.scenario("S13")
    def test_two_received_in_short_order(self) -> None:
        """The first may be installed after the second has come whole; one that is too old is forgotten."""
        for index in (10, 20, 20, 30):
            receives(index, 1)(self.storage)
        with self.assertRaisesRegex(ValueError, "was not received"):
            self.storage.save(save(HardState(1, None), install=Install(snapshot(10, 1), False)))
        self.storage.save(save(HardState(1, None), install=Install(snapshot(20, 1), False)))
        self.storage.save(save(HardState(1, None), install=Install(snapshot(30, 1), False)))
        self.assertEqual(Recovered(HardState(1, None), snapshot(30, 1), snapshot(30, 1).id, ()), self.restarted())

    def test_damaged_on_the_way(self) -> None:
        """A snapshot that did not arrive as it was sent is refused, whatever the damage."""
        self.storage.write_snapshot(snapshot(7, 1), lines(7))
        reader = self.storage.open_snapshot()
        data = reader.read(0, reader.size_bytes)
        self.assertEqual((b"", data[5:8]), (reader.read(reader.size_bytes, 10), reader.read(5, 3)))
        reader.close()
        other = MemoryStorage("cluster-b")
        other.write_snapshot(snapshot(7, 1), lines(7))
        stranger = other.open_snapshot()
        for damaged in (b"", data[:-1], data[:50], data.replace(b'"k0"', b'"k1"'), data + b"\n", stranger.read(0, 9999)):
            writer = self.storage.receive_snapshot(snapshot(7, 1))
            writer.append(damaged)
            with self.subTest(damaged=damaged), self.assertRaises(LogCorrupted):
                writer.complete()
            writer.abort()
            writer.abort()
        writer = self.storage.receive_snapshot(snapshot(7, 1))
        writer.append(data.replace(b'"format":1', b'"format":2'))
        with self.assertRaises(FormatUnknown):
            writer.complete()
        writer = self.storage.receive_snapshot(snapshot(7, 1))
        writer.append(data)
        self.assertEqual((snapshot(7, 1), len(data)), (writer.complete(), writer.size_bytes))
        writer.abort()

    def test_missing_snapshot(self) -> None:
        """A snapshot that is not there is a typed error."""
        with self.assertRaises(LogCorrupted), self.storage.read_snapshot(snapshot(5, 1)):
            self.fail("there is none")

    def test_reader_outlives_the_file(self) -> None:
        """A snapshot that is being sent stays readable when newer ones take its place."""
        self.storage.save(save(HardState(1, "n1"), *entries(1, 40, 1)))
        self.storage.write_snapshot(snapshot(5, 1), lines(5))
        reader = self.storage.open_snapshot()
        before = reader.read(0, reader.size_bytes)
        for index in (10, 20, 30):
            self.storage.write_snapshot(snapshot(index, 1), lines(index))
        self.storage.compact(31)
        self.assertEqual((snapshot(5, 1), before), (reader.snapshot, reader.read(0, reader.size_bytes)))
        reader.close()

    def test_life_beside_a_snapshot(self) -> None:
        """Saves, compactions and readers go on while a snapshot is being written, since it takes its time."""
        self.storage.save(save(HardState(1, "n1"), *entries(1, 20, 1)))
        takes_snapshot(5, 1)(self.storage)

        def slow_lines() -> Iterator[bytes]:
            for index in range(21, 41):
                yield b"%d" % index
                saves(entry(index, 1), term=1)(self.storage)
                compacts(index)(self.storage)
                self.storage.open_snapshot().close()

        self.storage.write_snapshot(snapshot(20, 1), slow_lines())
        found = self.restarted()
        self.assertEqual((snapshot(20, 1), entries(21, 40, 1)), (found.snapshot, essence(found)[2]))
        with self.storage.read_snapshot(snapshot(20, 1)) as found_lines:
            self.assertEqual([b"%d" % index for index in range(21, 41)], list(found_lines))

    def test_line_with_newline(self) -> None:
        """A state machine that gives a line with a newline would make a file that cannot be read: refused at once."""
        with self.assertRaisesRegex(ValueError, "newline"):
            self.storage.write_snapshot(snapshot(5, 1), [b"a\nb"])

    @pytest.mark.scenario("M5", "S2", "S4")
    def test_the_story(self) -> None:
        """After every step of the story a start finds the same in both kinds of storage."""
        for count, step in enumerate(STORY):
            step(self.storage)
            if "receive" not in step.__class__.__name__ + getattr(step, "__name__", ""):
                self.assertEqual(expected(count + 1), essence(self.restarted()))

    def test_compaction_does_not_touch_what_follows(self) -> None:
        """Compaction below everything, and twice, is harmless."""
        self.storage.save(save(HardState(1, "n1"), *entries(1, 20, 1)))
        takes_snapshot(10, 1)(self.storage)
        for first_index in (1, 8, 8, 3):
            compacts(first_index)(self.storage)
        saves(entry(21, 1), term=1)(self.storage)
        self.assertEqual(entries(11, 21, 1), essence(self.restarted())[2])


class DurableContractTests(Contract, TestCase):
    def setUp(self) -> None:
        self.disk = SimulatedDisk()
        super().setUp()

    def made(self) -> Storage:
        return durable(self.disk)


class MemoryContractTests(Contract, TestCase):
    def setUp(self) -> None:
        self.memory = MemoryStorage(CLUSTER)
        super().setUp()

    def made(self) -> Storage:
        return self.memory
