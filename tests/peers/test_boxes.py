"""Cutting boxes out of a stream: whatever the pieces, and whatever the stream."""

from __future__ import annotations

import random
from unittest import TestCase

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.protocols import amp

from hraft import limits
from hraft.errors import BadMessage
from hraft.peers.boxes import BoxParser, serialized

boxes = st.dictionaries(st.binary(min_size=1, max_size=255), st.binary(max_size=300), max_size=5)
LIMIT_BYTES = 4096


class BoxParserTests(TestCase):
    @given(st.lists(boxes, max_size=4), st.randoms(use_true_random=False))
    @settings(max_examples=100)
    def test_pieces_do_not_matter(self, sent: list[dict[bytes, bytes]], chance: random.Random) -> None:
        """TCP keeps no borders: boxes arrive whole however the stream is cut."""
        stream = b"".join(map(serialized, sent))
        parser, received, at = BoxParser(1 << 20), [], 0
        while at < len(stream):
            end = at + chance.randint(1, 400)
            received += parser.feed(stream[at:end])
            at = end
        self.assertEqual(sent, received)

    @given(boxes)
    @settings(max_examples=50)
    def test_twisted_reads_and_writes_the_same(self, box: dict[bytes, bytes]) -> None:
        """Any AMP implementation can talk to us: the format is AMP's, not ours."""
        self.assertEqual([box], [dict(read) for read in amp.parseString(serialized(box))] if box else [box])
        self.assertEqual([box], list(BoxParser(1 << 20).feed(amp.AmpBox(box).serialize())))

    @given(st.binary(max_size=200))
    @settings(max_examples=200)
    def test_garbage_is_boxes_or_one_error(self, data: bytes) -> None:
        """Nothing that a stream may hold raises anything else."""
        try:
            list(BoxParser(LIMIT_BYTES).feed(data))
        except BadMessage:
            pass

    def test_a_box_may_be_as_long_as_the_limit_and_no_longer(self) -> None:
        """AMP itself has no limit for a box, and parses it in memory."""
        box = {b"k": b"v" * (LIMIT_BYTES - 3 - 2 - 2)}
        data = serialized(box)
        self.assertEqual(LIMIT_BYTES, len(data))
        self.assertEqual([box], list(BoxParser(LIMIT_BYTES).feed(data)))
        with self.assertRaises(BadMessage):
            list(BoxParser(LIMIT_BYTES - 1).feed(data))

    @pytest.mark.scenario("O10")
    def test_o10_a_box_without_end_is_refused_long_before_it_fills_memory(self) -> None:
        """A stream that never ends a box costs no more than one box."""
        parser, fed_bytes = BoxParser(LIMIT_BYTES), 0
        with self.assertRaises(BadMessage):
            for number in range(1000):
                piece = b"\0\4%04d\0\x10" % number + b"x" * 16
                fed_bytes += len(piece)
                list(parser.feed(piece))
        self.assertLessEqual(fed_bytes, LIMIT_BYTES + 100)

    def test_a_value_too_long_is_refused_when_its_length_is_known(self) -> None:
        """Not when its 64 KiB have arrived."""
        with self.assertRaises(BadMessage):
            list(BoxParser(LIMIT_BYTES).feed(b"\0\1k\xff\xff"))

    def test_many_tiny_keys_are_refused(self) -> None:
        """A box of a million empty values would be small on the wire and huge in memory."""
        many = {b"%d" % number: b"" for number in range(limits.PEER_FRAME_PARTS_COUNT + 1)}
        with self.assertRaises(BadMessage):
            list(BoxParser(1 << 20).feed(serialized(many)))
        del many[b"0"]
        self.assertEqual([many], list(BoxParser(1 << 20).feed(serialized(many))))

    def test_the_largest_frame_has_few_enough_parts(self) -> None:
        """The two limits must not contradict each other."""
        self.assertLess(limits.PEER_FRAME_BYTES / amp.MAX_VALUE_LENGTH + 20, limits.PEER_FRAME_PARTS_COUNT)

    def test_a_key_twice_is_refused(self) -> None:
        """Which of the two would count?"""
        with self.assertRaises(BadMessage):
            list(BoxParser(LIMIT_BYTES).feed(b"\0\1k\0\0" * 2 + b"\0\0"))

    def test_what_is_not_amp_is_refused_at_its_first_bytes(self) -> None:
        """A key is shorter than 256 bytes, so its length begins with NUL."""
        for data in (b"GET / HTTP/1.1\r\n", b"\x16\x03\x01", b"\1\0"):
            with self.subTest(data=data), self.assertRaises(BadMessage):
                list(BoxParser(LIMIT_BYTES).feed(data))
