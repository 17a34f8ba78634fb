"""What a start makes of a damaged log: a torn tail is dropped and told of, anything else is refused, nothing is silent."""

from __future__ import annotations

import re
from unittest import TestCase
from zlib import crc32

import pytest
from storage_samples import (
    check_shape,
    disk_with,
    durable,
    entries,
    entry,
    essence,
    recovered,
    save,
    snapshot,
    worst_luck,
)

from hraft import limits
from hraft.errors import LogCorrupted
from hraft.interfaces import Recovered
from hraft.raft.entry import Entry, EntryKind, HardState
from hraft.raft.ready import Save
from hraft.simulation.disk import SimulatedDisk
from hraft.storage.batch import encode_batch
from hraft.storage.log_reader import segment_name

SAVES: tuple[Save, ...] = (
    save(HardState(1, "n1"), entry(1, 1)),
    save(HardState(2, None)),
    save(HardState(2, "n1"), *entries(2, 5, 2)),
    save(HardState(2, "n1"), *entries(6, 9, 2)),
    save(HardState(3, None), *entries(4, 8, 3), truncate_from=4),
    save(HardState(4, "n3")),
    save(HardState(4, "n3"), *entries(9, 11, 4)),
)


#: Enough for a flip of every bit: two segments, two batches in each, a vote and a truncation.
FEW_SAVES: tuple[Save, ...] = (
    save(HardState(1, "n1"), *entries(1, 3, 1)),
    save(HardState(2, None), entry(2, 2), truncate_from=2),
    save(HardState(3, "n1")),
    save(HardState(3, "n1"), entry(3, 3)),
)


def built(padding_bytes: int = 0, count: int = len(SAVES), given: tuple[Save, ...] = SAVES) -> SimulatedDisk:
    disk = SimulatedDisk()
    storage = durable(disk, 500, padding_bytes)
    storage.recover()
    for item in given[:count]:
        storage.save(item)
    return disk


def segments(disk: SimulatedDisk) -> list[str]:
    return [path for path in disk.contents() if "/log/" in path]


def headers(data: bytes) -> list[int]:
    return [found.start() for found in re.finditer(rb'\{"batch"', data)]


class CutTests(TestCase):
    def setUp(self) -> None:
        self.files = built().contents()
        self.names = sorted(self.files)
        self.states = [essence(recovered(built(count=count))) for count in range(len(SAVES) + 1)]

    @pytest.mark.scenario("D5")
    def test_every_cut(self) -> None:
        """Wherever a crash cuts the log, the saves that are whole before the cut are kept, and the torn one is told of."""
        self.assertEqual(3, len(self.names))
        whole_before = 0
        for position, name in enumerate(self.names):
            data = self.files[name]
            ends = [*headers(data)[1:], len(data)]
            for cut in range(len(data) + 1):
                files = {earlier: self.files[earlier] for earlier in self.names[:position]} | {name: data[:cut]}
                where = f"segment {position}, cut at {cut}"
                disk = disk_with(files)
                found = recovered(disk)
                check_shape(found)
                count = whole_before + sum(end <= cut for end in ends)
                self.assertEqual(self.states[count], essence(found), where)
                self.assertEqual(cut not in ends, bool(found.notes), where)
                # The repair is durable, and told of once.
                again = recovered(disk.after_crash(worst_luck))
                self.assertEqual((self.states[count], ()), (essence(again), again.notes), where)
            whole_before += len(ends)

    @pytest.mark.scenario("D7")
    def test_every_cut_in_an_earlier_segment(self) -> None:
        """A segment that is cut short while a later one exists was whole once: refused, and nothing is changed."""
        for position, name in enumerate(self.names[:-1]):
            for cut in range(len(self.files[name])):
                files = {**self.files, name: self.files[name][:cut]}
                disk = disk_with(files)
                with self.assertRaises(LogCorrupted, msg=f"segment {position}, cut at {cut}"):
                    recovered(disk)
                self.assertEqual(files, disk.contents())

    def test_cut_in_the_padding(self) -> None:
        """Padding of any length, in any segment, is no damage."""
        for name in self.names:
            for padding in (b"\n", b"\n" * 511, b"\n" * 5000):
                with self.subTest(name=name, padding=len(padding)):
                    found = recovered(disk_with({**self.files, name: self.files[name] + padding}))
                    self.assertEqual((self.states[-1], ()), (essence(found), found.notes))


class FlipTests(TestCase):
    @pytest.mark.scenario("D8", "D9")
    def test_every_bit(self) -> None:
        """A flipped bit before the last save is refused; one in it is refused too, or takes it for torn, and says so."""
        files = built(padding_bytes=20, given=FEW_SAVES).contents()
        self.assertEqual(2, len(files))
        last = sorted(files)[-1]
        last_start = headers(files[last])[-1]
        whole, without_last = (essence(recovered(built(given=given))) for given in (FEW_SAVES, FEW_SAVES[:-1]))
        last_end = len(files[last].rstrip(b"\n")) + 1
        outcomes: dict[str, int] = {}
        for name, data in files.items():
            for bit in range(len(data) * 8):
                flipped = bytearray(data)
                flipped[bit // 8] ^= 1 << bit % 8
                in_last = name == last and bit // 8 >= last_start
                try:
                    found = recovered(disk_with({**files, name: bytes(flipped)}))
                except LogCorrupted:
                    outcome = "refused"
                else:
                    outcome = self.outcome(found, whole, without_last)
                    self.assertTrue(in_last, f"{name}, byte {bit // 8}: {outcome}")
                    self.assertEqual(bit // 8 >= last_end, outcome == "padding", f"byte {bit // 8}")
                outcomes[outcome] = outcomes.get(outcome, 0) + 1
        self.assertEqual({"refused", "last dropped", "padding"}, set(outcomes))

    def outcome(self, found: Recovered, whole: object, without_last: object) -> str:
        self.assertEqual(1, len(found.notes))
        if essence(found) == whole:
            return "padding"
        self.assertEqual(without_last, essence(found))
        return "last dropped"

    @pytest.mark.scenario("D8")
    def test_the_only_save_left(self) -> None:
        """When compaction left one segment, damage to its first batch is not a torn tail: hard state and log would be lost."""
        disk = SimulatedDisk()
        storage = durable(disk, segment_bytes=1, padding_bytes=0)
        storage.recover()
        storage.save(save(HardState(1, "n1"), *entries(1, 9, 1)))
        storage.save(save(HardState(7, "n2"), entry(10, 7)))
        storage.write_snapshot(snapshot(10, 7), [])
        storage.compact(11)
        (name,) = segments(disk)
        damaged = disk.contents()[name].replace(b"n2", b"n3")
        with self.assertRaisesRegex(LogCorrupted, "no earlier segment"):
            recovered(disk_with({**disk.contents(), name: damaged}))


class HoleTests(TestCase):
    """A batch that was not yet synced may be damaged anywhere in it, since its blocks are written in any order."""

    def setUp(self) -> None:
        self.files = built().contents()
        self.name = sorted(self.files)[-1]
        self.data = self.files[self.name]
        self.before = essence(recovered(built(count=len(SAVES) - 1)))

    @pytest.mark.scenario("D6")
    def test_holes(self) -> None:
        """A hole of zeros, or of the padding that was there before, with valid data behind it, is a torn tail."""
        start = headers(self.data)[-1]
        for filler in (b"\0", b"\n"):
            for hole_start in range(start, len(self.data) - 1, 7):
                for hole_end in (hole_start + 1, hole_start + 60, len(self.data)):
                    size = min(hole_end, len(self.data)) - hole_start
                    hole = self.data[:hole_start] + filler * size + self.data[hole_start + size :]
                    if hole == self.data:
                        continue
                    where = f"{size} of {filler!r} at {hole_start}"
                    found = recovered(disk_with({**self.files, self.name: hole}))
                    self.assertEqual(self.before, essence(found), where)
                    # A hole of padding over all of it is no trace of a save at all.
                    is_padding = not hole[start:].strip(b"\n")
                    self.assertEqual(not is_padding, bool(found.notes), where)

    @pytest.mark.scenario("D7")
    def test_damage_in_the_middle(self) -> None:
        """The same holes before a later save are corruption: the message names file, line, byte and what to do."""
        first, second = headers(self.data)[:2]
        for hole_start in range(first, second, 7):
            hole = self.data[:hole_start] + b"\0" + self.data[hole_start + 1 :]
            disk = disk_with({**self.files, self.name: hole})
            with self.subTest(start=hole_start), self.assertRaises(LogCorrupted) as caught:
                recovered(disk)
            self.assertRegex(str(caught.exception), rf"{self.name}, line 1, byte 0: .* at byte {second}\. .*Restore")
            self.assertEqual(hole, disk.contents()[self.name])

    @pytest.mark.scenario("D7")
    def test_damaged_newline(self) -> None:
        """The header of a later save counts though the newline before it is gone."""
        second = headers(self.data)[1]
        with self.assertRaises(LogCorrupted):
            recovered(disk_with({**self.files, self.name: self.data[: second - 1] + b"?" + self.data[second:]}))

    @pytest.mark.scenario("D5", "D7")
    def test_a_command_that_looks_like_a_header(self) -> None:
        """Nothing that a client writes can make a torn tail look like corruption, or like a batch."""
        fake = encode_batch(99, HardState(9, "evil"), None, ())[:-1]
        escaped = b'"' + fake.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
        for command in (fake, escaped, b"[" + fake + b"]", b'{"value":' + fake + b"}"):
            disk = built()
            storage = durable(disk, 10_000, 0)
            storage.recover()
            given = (Entry(index, 5, EntryKind.COMMAND, command) for index in (12, 13))
            storage.save(save(HardState(5, "n1"), *given))
            name = segments(disk)[-1]
            data = disk.contents()[name]
            start = len(built().contents()[name])
            for cut in range(start + 1, len(data)):
                for torn in (data[:cut], data[:start] + b"\n" * (cut - start) + data[cut:]):
                    if torn[start:].strip(b"\n"):
                        found = recovered(disk_with({**disk.contents(), name: torn}))
                        self.assertEqual((HardState(4, "n3"), 11), essence(found)[::3], f"{command!r} cut at {cut}")
                        self.assertEqual(1, len(found.notes))


class OrderTests(TestCase):
    """What has its checksums and yet cannot be: made by hand, since hraft does not write it."""

    def refused(self, message: str, *batches: bytes, name: str = segment_name(1, 1), **others: bytes) -> None:
        files = {f"node/log/{name}": b"".join(batches)}
        files.update({f"node/log/{other}": data for other, data in others.items()})
        with self.assertRaisesRegex(LogCorrupted, message):
            recovered(disk_with(files))

    @pytest.mark.scenario("D7", "D9")
    def test_gaps_and_repetitions(self) -> None:
        """Batches and indexes rise by one, in a segment and from one to the next."""
        one = encode_batch(1, HardState(1, None), None, entries(1, 2, 1))
        self.refused("batch 3 follows batch 1", one, encode_batch(3, HardState(1, None), None, ()))
        self.refused("batch 1 follows batch 1", one, one)
        self.refused("entry 4 stands where 3 is to be", one, encode_batch(2, HardState(1, None), None, entries(4, 5, 1)))
        self.refused("entry 2 stands where 3 is to be", one, encode_batch(2, HardState(1, None), None, entries(2, 3, 1)))
        gap = (*entries(3, 4, 1), *entries(6, 7, 1))
        self.refused("entry 6 stands where 5 is to be", one, encode_batch(2, HardState(1, None), None, gap))
        self.refused("truncates from 4 a log that ends at 2", one, encode_batch(2, HardState(1, None), 4, ()))
        self.refused("begins anew in the middle", one, encode_batch(2, HardState(1, None), 0, ()))
        later = encode_batch(3, HardState(1, None), None, ())
        self.refused("with batch 3, but .* end with batch 1", one, **{segment_name(3, 3): later})
        later = encode_batch(2, HardState(1, None), None, ())
        self.refused("to be 4, but the log goes on with 3", one, **{segment_name(2, 4): later})
        self.refused("batch 2 follows batch 0", later)

    @pytest.mark.scenario("S3")
    def test_log_without_its_beginning(self) -> None:
        """A log that begins after what the newest snapshot covers has a gap before it."""
        self.refused(
            r"begins with entry 5, but no sound snapshot .* covers the entries from 1 to 4",
            encode_batch(7, HardState(1, None), None, entries(5, 6, 1)),
            name=segment_name(7, 5),
        )

    def test_strange_files(self) -> None:
        """A file that is no segment may be one whose name was changed, so it is not passed over; other names are."""
        self.refused("is not named as a segment is", b"", name="1.jsonl")
        found = recovered(disk_with({"node/log/README": b"hello"}))
        self.assertEqual(Recovered(), Recovered(found.hard_state, None, found.base, tuple(found.entries)))

    @pytest.mark.scenario("D6")
    def test_segment_of_padding(self) -> None:
        """A segment of which only the padding reached the disk is a torn tail, and goes; in the middle it is corruption."""
        one = encode_batch(1, HardState(1, None), None, entries(1, 2, 1))
        first, second = f"node/log/{segment_name(1, 1)}", f"node/log/{segment_name(2, 3)}"
        for padding in (b"", b"\n" * 40):
            disk = disk_with({first: one, second: padding})
            self.assertEqual((2, 1), (essence(recovered(disk))[3], len(disk.contents())))
            third = encode_batch(3, HardState(1, None), None, ())
            self.refused("no batch, and later segments", one, **{segment_name(2, 3): padding, segment_name(3, 3): third})

    @pytest.mark.scenario("D10", "X3")
    def test_hostile_lines(self) -> None:
        """Whatever stands in the file is one typed error, at once and without a large allocation: no number is trusted."""
        sound = encode_batch(2, HardState(1, None), None, ())
        lines = (
            b"[" * 100_000,
            b'{"index":' + b"9" * 5000 + b"}",
            b'{"index":1,"term":1,"kind":"command","command":NaN}',
            b'{"index":1,"index":1,"term":1,"kind":"noop"}',
            b'{"index":1,"term":1,"kind":"command","command":"\\ud800"}'.replace(b"\\ud800", b"\xed\xa0\x80"),
            b'{"index":1,"term":1,"kind":"noop"}\0',
            b'{"index":1,"term":1,"kind":"dance"}',
            b'{"index":1e0,"term":1,"kind":"noop"}',
            b"",
            b"\xff",
        )
        for line in lines:
            with self.subTest(line=line[:60]):
                self.refused("has its checksum, but not entries", batch_of(line + b"\n", lines_count=1), sound)
        noop = b'{"index":1,"term":1,"kind":"noop"}\n'
        self.refused("has 1 lines, its header says 2", batch_of(noop, lines_count=2), sound)
        self.refused("its header says 9999999999999999999", batch_of(noop, lines_count=9999999999999999999), sound)
        self.refused("a vote that cannot be read", batch_of(b"", 0, vote=b'"\\q"'), sound)
        for size in (b"9999999999999999999", b"9" * 5000, b"-1", b"1e9", b"036"):
            batch = batch_of(noop, lines_count=1).replace(b'"bytes":35', b'"bytes":' + size)
            self.refused("line 1, byte 0", batch, sound)


def batch_of(lines: bytes, lines_count: int, vote: bytes = b"null") -> bytes:
    """A batch whose checksum is right, whatever is in it."""
    head = b'{"batch":1,"term":1,"voted_for":%b,"truncate_from":null,"lines":%d,"bytes":%d' % (vote, lines_count, len(lines))
    return b'%b,"crc":"%08x"}\n%b' % (head, crc32(lines, crc32(head)), lines)


class SizeTests(TestCase):
    @pytest.mark.scenario("D23")
    def test_what_is_kept_in_memory(self) -> None:
        """Of a long log only what follows the snapshot is kept, and as much before it as slow followers are given."""
        disk = SimulatedDisk()
        storage = durable(disk, segment_bytes=100_000)
        storage.recover()
        for first in range(1, 12_001, 500):
            storage.save(save(HardState(1, None), *entries(first, first + 499, 1)))
        storage.write_snapshot(snapshot(11_800, 1), [])
        found = recovered(disk)
        self.assertEqual((12_000 - 11_800 + limits.KEPT_ENTRIES_COUNT, 1_800), (len(found.entries), found.base.index))
        self.assertEqual(entries(11_801, 12_000, 1), essence(found)[2])


class FormatTests(TestCase):
    def test_bytes(self) -> None:
        """The bytes of docs/disk-format.md, so that no change of the code changes the format unnoticed."""
        command = Entry(4711, 7, EntryKind.COMMAND, b'{"op":"set","key":"foo","value":"bar"}')
        given = (command, Entry(4712, 7, EntryKind.NOOP))
        batch = encode_batch(812, HardState(7, "node1"), None, given)
        self.assertEqual(
            b'{"batch":812,"term":7,"voted_for":"node1","truncate_from":null,"lines":2,"bytes":128,"crc":"63baa5f5"}\n'
            b'{"index":4711,"term":7,"kind":"command","command":{"op":"set","key":"foo","value":"bar"}}\n'
            b'{"index":4712,"term":7,"kind":"noop"}\n',
            batch,
        )
        disk = SimulatedDisk()
        durable(disk).recover()
        storage = durable(disk, padding_bytes=4)
        storage.recover()
        storage.save(save(HardState(1, None), entry(1, 1)))
        (name,) = segments(disk)
        self.assertEqual("node/log/00000000000000000001-00000000000000000001.jsonl", name)
        self.assertTrue(disk.contents()[name].endswith(b"}\n\n\n\n\n"))
        storage.close()
        self.assertFalse(disk.contents()[name].endswith(b"\n\n"))

    @pytest.mark.scenario("D9")
    def test_what_is_not_written(self) -> None:
        """A log with a gap would be refused at the next start, so it is refused now: the mistake is near."""
        disk = built()
        storage = durable(disk)
        storage.recover()
        for wrong in (
            save(HardState(4, None), entry(13, 4)),
            save(HardState(4, None), entry(11, 4)),
            save(HardState(4, None), entry(12, 4), entry(14, 4)),
            save(HardState(4, None), entry(13, 4), truncate_from=13),
            save(HardState(4, None), truncate_from=0),
        ):
            with self.assertRaises(ValueError):
                storage.save(wrong)
        storage.save(save(HardState(4, None), entry(12, 4)))
