"""Every message survives the wire, in the form that its amp.Command declares."""

from __future__ import annotations

from dataclasses import fields
from typing import Any
from unittest import TestCase

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.protocols import amp

from hraft import limits
from hraft.codec import encode_entry
from hraft.errors import BadMessage
from hraft.interfaces import SnapshotChunk, SnapshotChunkResponse
from hraft.peers import commands
from hraft.peers.arguments import Blob
from hraft.peers.boxes import BoxParser
from hraft.questions import ForwardJoin
from hraft.raft import messages
from hraft.raft.configuration import Configuration
from hraft.raft.entry import Entry, EntryKind, Snapshot

counts = st.integers(0, 2**63 - 1)
flags = st.booleans()
SNAPSHOT = Snapshot(9, 3, Configuration(voters={"n1": "n1:1"}, learners={"n2": "n2:1"}, removed=("n0",)))
SIZES = (0, 1, 65_534, 65_535, 65_536, 131_069, 131_070, 131_071, 1_000_000)


def entry(index: int, term: int = 7, size_bytes: int = 20) -> Entry:
    return Entry(index, term, EntryKind.COMMAND, b'"' + b"x" * (size_bytes - 2) + b'"')


def any_append(terms: tuple[int, int, int, int], sizes: list[int]) -> messages.AppendEntries:
    term, prev_index, commit, read_round = terms
    entries = tuple(entry(prev_index + 1 + number, term, size) for number, size in enumerate(sizes))
    return messages.AppendEntries(term, prev_index, term, entries, commit, read_round)


small = st.integers(1, 2**40)
any_message: st.SearchStrategy[Any] = st.one_of(
    st.builds(messages.PreVote, counts, counts, counts),
    st.builds(messages.PreVoteResponse, counts, flags),
    st.builds(messages.RequestVote, counts, counts, counts, flags),
    st.builds(messages.RequestVoteResponse, counts, flags),
    st.builds(any_append, st.tuples(small, small, small, small), st.lists(st.integers(2, 90_000), max_size=4)),
    st.builds(messages.AppendEntriesResponse, counts, flags, counts, counts, counts, counts, counts, counts),
    st.builds(messages.InstallSnapshotResponse, counts, counts),
    st.builds(messages.TimeoutNow, counts),
    st.builds(SnapshotChunk, counts, st.just(SNAPSHOT), counts, counts, st.binary(max_size=200)),
    st.builds(SnapshotChunkResponse, counts, counts, counts, st.text(st.characters(exclude_categories=["Cs"]))),
)


def box_of(message: Any) -> dict[bytes, bytes]:
    (box,) = BoxParser(limits.PEER_FRAME_BYTES).feed(commands.encode_message(message))
    return box


class RoundTripTests(TestCase):
    @given(any_message)
    @settings(max_examples=200)
    def test_every_message_arrives_as_it_was(self, message: Any) -> None:
        """What a node means is what its peer reads."""
        self.assertEqual(message, commands.decode_message(box_of(message)))

    @given(any_message)
    @settings(max_examples=100)
    def test_the_short_way_makes_the_boxes_of_amp(self, message: Any) -> None:
        """The commands are the definition; our faster way over them must not become a second one."""
        command = getattr(commands, type(message).__name__)
        objects = {field.name: getattr(message, field.name) for field in fields(message)}
        box = command.makeArguments(objects, None)
        box[b"_command"] = command.commandName
        self.assertEqual(dict(box), box_of(message))
        self.assertEqual(objects, command.parseArguments(amp.AmpBox(box_of(message)), None))

    def test_every_message_of_raft_has_a_command(self) -> None:
        """All but InstallSnapshot, which goes in chunks: see docs/wire-format.md."""
        names = {kind.__name__ for kind in messages.Message.__args__}  # type: ignore[attr-defined]
        known = {name for name, value in vars(commands).items() if isinstance(value, type) and issubclass(value, commands.OneWay)}
        self.assertEqual(names - {"InstallSnapshot"} | {"SnapshotChunk", "SnapshotChunkResponse"}, known - {"OneWay"})

    @pytest.mark.scenario("O2")
    def test_o2_entries_of_every_size_around_amps_limit(self) -> None:
        """An AMP value ends at 65,535 bytes; an entry does not."""
        overhead_bytes = len(encode_entry(entry(8, size_bytes=2))) - 2
        for size in SIZES[3:]:
            for command_bytes in (size, size - overhead_bytes):
                message = messages.AppendEntries(7, 7, 7, (entry(8, 7, command_bytes),), 3)
                self.assertEqual(message, commands.decode_message(box_of(message)))

    @pytest.mark.scenario("S10")
    def test_s10_chunks_of_every_size(self) -> None:
        """The same for the bytes of a snapshot."""
        for size in SIZES:
            message = SnapshotChunk(7, SNAPSHOT, 0, size, b"\0" * size)
            self.assertEqual(message, commands.decode_message(box_of(message)))

    def test_blobs_fill_their_values(self) -> None:
        """As few keys as can be, by the names that the documentation gives."""
        for size in SIZES:
            strings: dict[bytes, bytes] = {}
            Blob().toBox(b"data", strings, {"data": b"x" * size}, None)
            values_count = max(1, -(-size // 65_535))
            self.assertEqual([b"data", *(b"data.%d" % number for number in range(1, values_count))], list(strings))
            objects: dict[str, Any] = {}
            Blob().fromBox(b"data", strings, objects, None)
            self.assertEqual(size, len(objects["data"]))

    def test_a_configuration_longer_than_one_value(self) -> None:
        """Ids of removed members are kept for all time, so the description of a snapshot grows."""
        many = Configuration(voters={"n1": "n1:1"}, removed=tuple(f"node-{number:09}" for number in range(9_000)))
        message = SnapshotChunk(7, Snapshot(1, 1, many), 0, 1, b"x")
        self.assertEqual(message, commands.decode_message(box_of(message)))


class RefusalTests(TestCase):
    def assert_refused(self, box: dict[bytes, bytes], *words: str) -> None:
        with self.assertRaises(BadMessage) as caught:
            commands.decode_message(box)
        for word in words:
            self.assertIn(word, str(caught.exception))
        self.assertLess(len(str(caught.exception)), 700)

    @pytest.mark.scenario("L16")
    def test_l16_a_message_without_any_one_of_its_arguments(self) -> None:
        """A short reply is a BadMessage that names what is missing, not a KeyError."""
        samples: list[Any] = [
            messages.PreVote(1, 2, 3),
            messages.RequestVoteResponse(1, True),
            any_append((7, 3, 2, 1), [20]),
            messages.AppendEntriesResponse(1, True, 2),
            SnapshotChunk(7, SNAPSHOT, 0, 1, b"x"),
            SnapshotChunkResponse(7, 1, 2),
        ]
        for message in samples:
            for field in fields(message):
                box = box_of(message)
                del box[field.name.encode()]
                self.assert_refused(box, type(message).__name__, field.name)

    @pytest.mark.scenario("L16", "O10")
    def test_numbers_that_are_none(self) -> None:
        """Python's int() takes more than we may: signs, blanks, underscores, other digits, any length."""
        bad = (b"", b"-1", b"+1", b" 1", b"1 ", b"1_0", b"1.0", b"0x1", b"nan", "٣".encode(), b"9" * 19, b"9" * 5000, b"\xff")
        for value in bad:
            box = box_of(messages.TimeoutNow(1)) | {b"term": value}
            self.assert_refused(box, "TimeoutNow", "term")

    def test_flags_that_are_none(self) -> None:
        """True and False have one spelling each."""
        for value in (b"", b"true", b"1", b"None"):
            self.assert_refused(box_of(messages.PreVoteResponse(1, True)) | {b"vote_granted": value}, "vote_granted")

    def test_text_that_is_not_utf8(self) -> None:
        """It may be a node's id or an error for an operator's eyes."""
        self.assert_refused(box_of(SnapshotChunkResponse(1, 2, 3, "x")) | {b"refused": b"\xff"}, "refused")

    @pytest.mark.scenario("L15")
    def test_l15_entries_that_do_not_read(self) -> None:
        """Half a line, another spelling, a lost part: no entry of such a message is taken."""
        big = messages.AppendEntries(7, 7, 7, (entry(8, 7, 200_000),), 3)
        box = box_of(big)
        del box[b"entries.1"]
        self.assert_refused(box, "AppendEntries", "entries")
        for lines in (b"{}\n", b"\n", encode_entry(entry(8))[:-1], b"[" * 60_000):
            self.assert_refused(box_of(any_append((7, 7, 2, 1), [])) | {b"entries": lines}, "entries")

    def test_bytes_that_were_changed_on_the_way(self) -> None:
        """TCP's checksum lets one error in 65,536 through; a snapshot is many packets."""
        box = box_of(SnapshotChunk(7, SNAPSHOT, 0, 4, b"abcd"))
        for data in (box[b"data"][:-1] + b"e", box[b"data"][:-1], b"", b"abc"):
            self.assert_refused(box | {b"data": data}, "checksum")

    def test_messages_that_are_unknown(self) -> None:
        """InstallSnapshot itself must never be taken from a peer: it would claim that a file lies here."""
        for name in (b"InstallSnapshot", b"", b"Nonsense", b"x" * 60_000):
            self.assert_refused({b"_command": name}, "no message")

    @given(st.binary(max_size=50), st.sampled_from(["term", "prev_log_index", "entries", "success", "_command", "refused"]))
    @settings(max_examples=200)
    def test_any_bytes_in_any_argument(self, value: bytes, name: str) -> None:
        """There is one error for all that may be wrong."""
        samples: list[Any] = [
            any_append((7, 3, 2, 1), [20]),
            messages.AppendEntriesResponse(1, True, 2),
            SnapshotChunkResponse(7, 1, 2),
        ]
        for message in samples:
            try:
                commands.decode_message(box_of(message) | {name.encode(): value})
            except BadMessage:
                pass

    def test_more_than_a_peer_takes_is_not_sent(self) -> None:
        """The peer would hang up, and we would dial and send it again, for ever."""
        entries = tuple(entry(8 + number, 7, 1_000_000) for number in range(10))
        with self.assertRaises(BadMessage):
            commands.encode_message(messages.AppendEntries(7, 7, 7, entries, 3))

    def test_the_largest_entry_fits(self) -> None:
        """Whatever may be proposed can be replicated, with a batch before it."""
        largest = entry(9, 7, limits.ENTRY_BYTES - 128)
        message = messages.AppendEntries(7, 7, 7, (entry(8, 7, limits.APPEND_BYTES), largest), 3)
        self.assertEqual(message, commands.decode_message(box_of(message)))

    def test_text_that_is_no_unicode_is_not_sent(self) -> None:
        """A lone surrogate has no bytes."""
        with self.assertRaises(BadMessage):
            commands.encode_message(SnapshotChunkResponse(1, 2, 3, "\ud800"))

    def test_later_versions_may_add_arguments(self) -> None:
        """What this version does not know, it skips."""
        self.assertEqual(messages.TimeoutNow(3), commands.decode_message(box_of(messages.TimeoutNow(3)) | {b"later": b"x"}))

    def test_optional_arguments_may_be_absent(self) -> None:
        """Unknown is neither True nor False."""
        shape = commands.Shape(ForwardJoin, commands.ForwardJoin.arguments)
        for empty_log in (True, False, None):
            request = ForwardJoin("n1", "n1:1", empty_log)
            self.assertEqual(request, shape.value(shape.strings(request)))
        self.assertNotIn(b"empty_log", shape.strings(ForwardJoin("n1", "n1:1")))
