"""One spelling for every entry: what is written reads back the same, and nothing else reads at all."""

from __future__ import annotations

import json
from unittest import TestCase

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hraft import codec
from hraft.errors import BadCommand, BadMessage
from hraft.limits import ENTRY_BYTES, REQUEST_JSON_DEPTH
from hraft.raft.configuration import Configuration
from hraft.raft.entry import Entry, EntryKind, Snapshot

COMMAND = b'{"op":"set","key":"foo","value":"bar"}'
LINE = b'{"index":4711,"term":7,"kind":"command","command":{"op":"set","key":"foo","value":"bar"}}\n'
NOOP = b'{"index":4712,"term":7,"kind":"noop"}\n'
CONFIGURATION = (
    b'{"index":1,"term":1,"kind":"configuration",'
    b'"configuration":{"voters":{"node0":"localhost:12000"},"learners":{},"removed":[]}}\n'
)

positions = st.integers(1, 2**63 - 1)
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
commands = st.builds(
    lambda value, ascii_only, spaced: json.dumps(
        value, ensure_ascii=ascii_only, separators=(", ", ": ") if spaced else (",", ":")
    ).encode("utf-8", "surrogatepass"),
    json_values,
    st.booleans(),
    st.booleans(),
).filter(lambda command: b"\xed" not in command and b"\\ud" not in command)


@st.composite
def configurations(draw: st.DrawFn) -> Configuration:
    ids = draw(st.lists(names, min_size=1, max_size=6, unique=True))
    kinds = draw(st.lists(st.sampled_from("vlr"), min_size=len(ids), max_size=len(ids)))
    voters = {name: f"{name}:1" for name, kind in zip(ids, kinds, strict=True) if kind == "v"}
    learners = {name: f"{name}:1" for name, kind in zip(ids, kinds, strict=True) if kind == "l"}
    removed = tuple(name for name, kind in zip(ids, kinds, strict=True) if kind == "r")
    return Configuration(voters, learners, removed, tuple(draw(st.permutations(list(learners))))[: draw(st.integers(0, 2))])


entries = st.one_of(
    st.builds(Entry, positions, positions, st.just(EntryKind.COMMAND), commands),
    st.builds(Entry, positions, positions, st.just(EntryKind.NOOP)),
    st.builds(Entry, positions, positions, st.just(EntryKind.CONFIGURATION), st.just(b""), configurations()),
)


class SpellingTests(TestCase):
    def test_lines(self) -> None:
        """The lines of docs/disk-format.md and docs/wire-format.md, literally."""
        self.assertEqual(LINE, codec.encode_entry(Entry(4711, 7, EntryKind.COMMAND, COMMAND)))
        self.assertEqual(NOOP, codec.encode_entry(Entry(4712, 7, EntryKind.NOOP)))
        configuration = Configuration(voters={"node0": "localhost:12000"})
        entry = Entry(1, 1, EntryKind.CONFIGURATION, configuration=configuration)
        self.assertEqual(CONFIGURATION, codec.encode_entry(entry))

    @given(entries)
    @settings(max_examples=200)
    def test_an_entry_reads_back_as_it_was(self, entry: Entry) -> None:
        """Every node must make of a line what its leader meant."""
        self.assertEqual(entry, codec.decode_entry(codec.encode_entry(entry)))

    @given(entries)
    @settings(max_examples=200)
    def test_a_line_is_made_again_byte_for_byte(self, entry: Entry) -> None:
        """A follower appends the bytes it would have written itself, so logs can be compared as files."""
        line = codec.encode_entry(entry)
        self.assertEqual(line, codec.encode_entry(codec.decode_entry(line)))

    @given(st.lists(entries, max_size=5))
    @settings(max_examples=50)
    def test_many_read_back_in_order(self, many: list[Entry]) -> None:
        """A batch is its lines, one after the other, and nothing between them."""
        self.assertEqual(tuple(many), codec.decode_entries(codec.encode_entries(many)))

    @given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "replace")))
    @settings(max_examples=200)
    def test_whatever_reads_is_spelled_as_we_spell_it(self, data: bytes) -> None:
        """Bytes from outside are an entry or a BadMessage: never another exception, never a second spelling."""
        try:
            entry = codec.decode_entry(data)
        except BadMessage:
            return
        self.assertEqual(data, codec.encode_entry(entry))

    @given(entries, st.integers(0, 200), st.integers(0, 255))
    @settings(max_examples=300)
    def test_a_changed_byte_never_passes_for_another_spelling(self, entry: Entry, at: int, byte: int) -> None:
        """As above, near to what is right."""
        line = bytearray(codec.encode_entry(entry))
        line[at % len(line)] = byte
        try:
            changed = codec.decode_entry(bytes(line))
        except BadMessage:
            return
        self.assertEqual(bytes(line), codec.encode_entry(changed))

    def test_text_may_hold_other_line_ends(self) -> None:
        """Only the newline byte ends a line: U+2028, U+0085 and a form feed are text."""
        command = '"a\u2028b\u0085c"'.encode()
        entry = Entry(1, 1, EntryKind.COMMAND, command)
        self.assertEqual((entry, entry), codec.decode_entries(codec.encode_entries([entry, entry])))


MALFORMED = {
    "nothing": b"",
    "an empty line": b"\n",
    "no newline": LINE[:-1],
    "two newlines": LINE + b"\n",
    "a newline inside": LINE.replace(b'"op":', b'"op":\n'),
    "two lines": LINE + LINE,
    "another order": b'{"term":7,"index":4712,"kind":"noop"}\n',
    "blanks": NOOP.replace(b",", b", "),
    "a blank before the command": LINE.replace(b'"command":{', b'"command": {'),
    "a blank at the end": NOOP.replace(b"}\n", b"} \n"),
    "an unknown key": NOOP.replace(b"}\n", b',"x":1}\n'),
    "a repeated key": NOOP.replace(b'"term":7', b'"term":7,"term":7'),
    "a missing index": b'{"term":7,"kind":"noop"}\n',
    "a missing term": b'{"index":4712,"kind":"noop"}\n',
    "a missing kind": b'{"index":4712,"term":7}\n',
    "a missing command": b'{"index":4712,"term":7,"kind":"command"}\n',
    "a missing configuration": b'{"index":4712,"term":7,"kind":"configuration"}\n',
    "a no-op with a command": NOOP.replace(b"}\n", b',"command":1}\n'),
    "a null configuration": b'{"index":4712,"term":7,"kind":"configuration","configuration":null}\n',
    "an unknown kind": NOOP.replace(b"noop", b"nope"),
    "an escaped kind": NOOP.replace(b"noop", b"\\u006eoop"),
    "index 0": NOOP.replace(b"4712", b"0"),
    "a negative index": NOOP.replace(b"4712", b"-1"),
    "an index as text": NOOP.replace(b"4712", b'"4712"'),
    "an index as float": NOOP.replace(b"4712", b"4712.0"),
    "an index as true": NOOP.replace(b"4712", b"true"),
    "an index too large": NOOP.replace(b"4712", b"9223372036854775808"),
    "an index of 5,000 digits": NOOP.replace(b"4712", b"9" * 5000),
    "an exponent": NOOP.replace(b"4712", b"1e400"),
    "NaN": NOOP.replace(b"4712", b"NaN"),
    "NaN in the command": LINE.replace(b'"bar"', b"NaN"),
    "Infinity in the command": LINE.replace(b'"bar"', b"-Infinity"),
    "a deep command": LINE.replace(b'"bar"', b"[" * 100_000 + b"]" * 100_000),
    "half of a deep command": LINE.replace(b'"bar"', b"[" * 100_000),
    "not UTF-8 in the command": LINE.replace(b"bar", b"\xff"),
    "a surrogate as UTF-8": LINE.replace(b"bar", b"\xed\xa0\x80"),
    "a lone surrogate": LINE.replace(b"bar", b"\\ud800"),
    "a low surrogate": LINE.replace(b"bar", b"\\udc00"),
    "a bad escape": LINE.replace(b"bar", b"\\x41"),
    "a control byte": LINE.replace(b"bar", b"\x01"),
    "NUL at the end": LINE.replace(b"}\n", b"}\0\n"),
    "an array": b"[4712,7]\n",
    "too long": LINE.replace(b"bar", b"b" * ENTRY_BYTES),
    "a voter twice": CONFIGURATION.replace(b'"learners":{}', b'"learners":{"node0":"x:1"}'),
    "an address twice": CONFIGURATION.replace(b'"learners":{}', b'"learners":{"node1":"localhost:12000"}'),
    "a repeated voter": CONFIGURATION.replace(b'{"node0":', b'{"node0":"x:1","node0":'),
    "an empty id": CONFIGURATION.replace(b"node0", b""),
    "an id that is a lone surrogate": CONFIGURATION.replace(b"node0", b"\\ud800"),
    "an address that is a number": CONFIGURATION.replace(b'"localhost:12000"', b"12000"),
    "removed that is no list": CONFIGURATION.replace(b"[]", b'"ab"'),
    "no removed": CONFIGURATION.replace(b',"removed":[]', b""),
}


@pytest.mark.scenario("X3", "O10")
@pytest.mark.parametrize("line", MALFORMED.values(), ids=MALFORMED.keys())
def test_x3_malformed_lines_are_one_typed_error(line: bytes) -> None:
    """Whatever a file or a peer holds, there is one thing to catch, and it does not repeat megabytes."""
    with pytest.raises(BadMessage) as caught:
        codec.decode_entry(line)
    assert len(str(caught.value)) < 600


class BatchTests(TestCase):
    def test_nothing_is_no_entries(self) -> None:
        """A heartbeat carries none."""
        self.assertEqual((), codec.decode_entries(b""))

    def test_a_cut_anywhere_is_noticed(self) -> None:
        """Half a line must never pass for a shorter batch."""
        data = LINE + NOOP
        for length in range(1, len(data)):
            if length == len(LINE):
                continue
            with self.subTest(length=length), self.assertRaises(BadMessage):
                codec.decode_entries(data[:length])

    def test_an_empty_line_is_refused(self) -> None:
        """There is one way to write a batch."""
        with self.assertRaises(BadMessage):
            codec.decode_entries(LINE + b"\n" + NOOP)


class ConfigurationTests(TestCase):
    @given(configurations())
    @settings(max_examples=100)
    def test_reads_back_with_its_members_in_order(self, configuration: Configuration) -> None:
        """The order is the order of joining, and the same on every node."""
        again = codec.decode_configuration(codec.encode_configuration(configuration))
        self.assertEqual(configuration, again)
        self.assertEqual(list(configuration.members), list(again.members))

    @given(positions, positions, configurations())
    @settings(max_examples=50)
    def test_a_snapshot_describes_itself(self, index: int, term: int, configuration: Configuration) -> None:
        """The same description stands in a snapshot's file and in every chunk."""
        snapshot = Snapshot(index, term, configuration)
        self.assertEqual(snapshot, codec.decode_snapshot(codec.encode_snapshot(snapshot)))

    def test_other_spellings_are_refused(self) -> None:
        """As for entries."""
        good = b'{"voters":{"a":"a:1"},"learners":{},"removed":[]}'
        self.assertEqual({"a": "a:1"}, codec.decode_configuration(good).voters)
        for bad in (good + b"\n", good.replace(b":{}", b": {}"), good.replace(b"]}", b'],"x":1}'), b"{}", b"null", b"[" * 9999):
            with self.subTest(bad=bad), self.assertRaises(BadMessage):
                codec.decode_configuration(bad)
        snapshot = codec.encode_snapshot(Snapshot(3, 2, Configuration(voters={"a": "a:1"})))
        for bad in (snapshot + b" ", snapshot.replace(b'"term":2', b'"term":0'), snapshot.replace(b'"index":3,', b"")):
            with self.subTest(bad=bad), self.assertRaises(BadMessage):
                codec.decode_snapshot(bad)


class CommandTests(TestCase):
    def test_what_passes_fits_into_an_entry(self) -> None:
        """What is proposed for others must be an entry that every node can read, however deep in its stack it reads."""
        deep = b"[" * REQUEST_JSON_DEPTH + b"]" * REQUEST_JSON_DEPTH
        for command in (COMMAND, b"1", b'"\xc3\xa9"', b'{"a": 1}', deep, b'"' + b"x" * (ENTRY_BYTES - 130) + b'"'):
            codec.check_command(command)
            entry = Entry(2**63 - 1, 2**63 - 1, EntryKind.COMMAND, command)
            self.assertEqual(entry, codec.decode_entry(codec.encode_entry(entry)))

    def test_what_does_not_is_refused_before_it_is_proposed(self) -> None:
        """After it is in the log it is too late."""
        deep = b"[" * (REQUEST_JSON_DEPTH + 1) + b"]" * (REQUEST_JSON_DEPTH + 1)
        bad = (
            b"",
            b"{",
            b'{"a":\n1}',
            b" 1",
            b"1 ",
            b"\t1",
            b"1\r",
            b"NaN",
            b'"\xff"',
            b'"\\ud800"',
            deep,
            b"[" * 99999,
            b"1 2",
            b"1}",
        )
        for command in (*bad, b"9" * 5000, b"1e999", b'"' + b"x" * ENTRY_BYTES + b'"'):
            with self.subTest(command=command[:40]), self.assertRaises(BadCommand):
                codec.check_command(command)
