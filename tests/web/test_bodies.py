"""Request bodies: what is accepted, and how precisely a refusal says what is wrong."""

from __future__ import annotations

from unittest import TestCase

from hypothesis import given
from hypothesis import strategies as st

from hraft.kv.commands import Set, SetMany, decode_command, encode_command
from hraft.limits import ENTRY_BYTES, KEY_BYTES, REQUEST_BODY_BYTES
from hraft.web.bodies import Join, parse_join, parse_pairs
from hraft.web.problems import Problem

#: body -> what the refusal must say
BAD_PAIRS = {
    b"": "it is empty",
    b" \n": "it is empty",
    b"foo=bar": "invalid character (byte",
    b"[]": "got `array`",
    b'"a"': "got `str`",
    b"1": "got `int`",
    b'{"a":1}': "the value of 'a' must be a text and not a number",
    b'{"a":"1","b":-1.5e3}': "the value of 'b' must be a text and not a number",
    b'{"a":true}': "the value of 'a' must be a text and not a boolean",
    b'{"a":{"b":"c"}}': "the value of 'a' must be a text and not an object",
    b'{"a":["b"]}': "the value of 'a' must be a text and not an array",
    b'{"a": 1 }': "the value of 'a' must be a text and not a number",
    b'{"a":' + b"9" * 5000 + b"}": "the value of 'a' must be a text and not a number",
    b'{"a":NaN}': "invalid character (byte",
    b'{"a":Infinity}': "invalid character (byte",
    b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}": "it nests too deeply",
    b'{"a":"b"': "truncated",
    b'{"a":"b",}': "trailing comma in object (byte",
    b"{'a':'b'}": "object keys must be strings (byte",
    b'{"a":"b"} {"c":"d"}': "trailing characters (byte",
    b'{"a":"b"}\x00': "trailing characters (byte",
    b'{"a":"\xff"}': "it is not UTF-8",
    b'{"\xff":"a"}': "it is not UTF-8",
    b"\xef\xbb\xbf{}": "invalid character (byte",
    b'{"a":"x\ny"}': "invalid character (byte",
    b'{"a":"\\ud800"}': "must be one of a pair",
    b'{"a":"\\uDC00 and more"}': "must be one of a pair",
    b'{"\\ud800":"a"}': "must be one of a pair",
    b'{"":"x"}': "at least one byte",
    b'{"a":"b","":"x"}': "at least one byte",
    b'{"' + b"k" * (KEY_BYTES + 1) + b'":"x"}': f"a key may have {KEY_BYTES} bytes and not {KEY_BYTES + 1}",
    b'{"' + "é".encode() * KEY_BYTES + b'":"x"}': f"and not {2 * KEY_BYTES}",
}

BAD_JOINS = {
    b"": "it is empty",
    b"{}": "missing required field `addr`",
    b"null": "got `null`",
    b'{"id":"n1"}': "missing required field `addr`",
    b'{"addr":""}': "length >= 1",
    b'{"addr":"a:1","id":""}': "length >= 1",
    b'{"addr":1}': "got `int` - at `$.addr`",
    b'{"addr":"a:1","voter":true}': "unknown field `voter`",
    b'{"addr":"a:1","empty_log":"yes"}': "got `str` - at `$.empty_log`",
    b'{"addr":"a:1"}x': "trailing characters",
}


class PairsTests(TestCase):
    def test_refusals_say_what_and_where(self) -> None:
        """A client's author reads them; hraftd's empty 400 leaves him guessing."""
        for body, expected in BAD_PAIRS.items():
            with self.subTest(body[:40]):
                with self.assertRaises(Problem) as caught:
                    parse_pairs(body)
                self.assertEqual(400, caught.exception.status)
                self.assertIn(expected, caught.exception.detail)
                self.assertIn("nothing was stored", caught.exception.detail)
                self.assertLess(len(caught.exception.body()), 1000)

    def test_what_is_accepted(self) -> None:
        """Null stands for the empty text and the last of two equal keys wins, as in Go."""
        self.assertEqual(Set(b"a", b"b"), parse_pairs(b' {"a" : "b"}\r\n'))
        self.assertEqual(Set(b"a", b""), parse_pairs(b'{"a":null}'))
        self.assertEqual(Set(b"a", b"2"), parse_pairs(b'{"a":"1","a":"2"}'))
        self.assertEqual(Set("é😀".encode(), b"\x00"), parse_pairs(b'{"\\u00e9\\ud83d\\ude00":"\\u0000"}'))
        self.assertEqual(Set(b"k" * KEY_BYTES, b""), parse_pairs(b'{"' + b"k" * KEY_BYTES + b'":""}'))
        self.assertIsNone(parse_pairs(b"{}"))
        self.assertIsNone(parse_pairs(b"null"))

    @given(st.binary(max_size=80) | st.text(alphabet='{}[]":,\\udD8cC0n1e- ', max_size=30).map(str.encode))
    def test_any_body_is_a_command_or_a_problem(self, body: bytes) -> None:
        """Nothing that a client can send is anything else: no other exception, and no command that the store would refuse."""
        try:
            command = parse_pairs(body)
        except Problem as problem:
            self.assertEqual(400, problem.status)
        else:
            if command is not None:
                self.assertEqual(command, decode_command(encode_command(command)))

    def test_the_largest_body_fits_into_an_entry(self) -> None:
        """JSON grows on its way into the log; what is accepted here must never be too large there."""
        keys = iter(f'"{number:x}":""' for number in range(10**9))
        pairs, size_bytes = [], 2
        for pair in keys:
            size_bytes += len(pair) + 1
            if size_bytes > REQUEST_BODY_BYTES:
                break
            pairs.append(pair)
        many = parse_pairs(f"{{{','.join(pairs)}}}".encode())
        self.assertIsInstance(many, SetMany)
        assert many is not None
        self.assertLess(len(encode_command(many)), ENTRY_BYTES // 2)
        for value in (b"\\n", b"\\u0001", "é".encode(), b"/", b"\x7f"):
            command = parse_pairs(b'{"k":"' + value * ((REQUEST_BODY_BYTES - 8) // len(value)) + b'"}')
            assert command is not None
            self.assertLess(len(encode_command(command)), ENTRY_BYTES // 2)


class JoinTests(TestCase):
    def test_both_forms_and_our_own_field(self) -> None:
        """Today's hraftd sends two fields, that of 2016 one; hraft's own nodes say whether they are new."""
        self.assertEqual(Join("a:1", "n1"), parse_join(b'{"addr":"a:1","id":"n1"}'))
        self.assertEqual(Join("a:1"), parse_join(b'{"addr":"a:1"}'))
        self.assertEqual(Join("a:1", "n1", True), parse_join(b'{"empty_log":true,"addr":"a:1","id":"n1"}'))

    def test_refusals_say_what_and_where(self) -> None:
        """A join that is misunderstood would change the cluster."""
        for body, expected in BAD_JOINS.items():
            with self.subTest(body):
                with self.assertRaises(Problem) as caught:
                    parse_join(body)
                self.assertEqual(400, caught.exception.status)
                self.assertIn(expected, caught.exception.detail)
