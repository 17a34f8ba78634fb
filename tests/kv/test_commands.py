"""Commands: one JSON line each, any bytes in them, nothing else accepted."""

import json
from unittest import TestCase

from hypothesis import given
from hypothesis import strategies as st

from hraft.errors import BadCommand
from hraft.kv.commands import Command, Delete, Set, SetMany, decode_command, encode_command

PAIRS = st.dictionaries(st.binary(), st.binary(), max_size=5).map(lambda pairs: SetMany(tuple(pairs.items())))
COMMANDS = st.builds(Set, st.binary(), st.binary()) | st.builds(Delete, st.binary()) | PAIRS

NOT_COMMANDS = {
    "nothing": b"",
    "no JSON": b"set foo bar",
    "no object": b"[]",
    "no op": b'{"key":"a","value":"b"}',
    "another op": b'{"op":"increment","key":"a"}',
    "an op that is no text": b'{"op":1,"key":"a","value":"b"}',
    "a key that is no text": b'{"op":"set","key":1,"value":"b"}',
    "a null key": b'{"op":"set","key":null,"value":"b"}',
    "no key": b'{"op":"set","value":"b"}',
    "no value": b'{"op":"set","key":"a"}',
    "key twice": b'{"op":"set","key":"a","key_base64":"YQ==","value":"b"}',
    "value twice": b'{"op":"set","key":"a","value":"b","value_base64":"YQ=="}',
    "bad base64": b'{"op":"set","key_base64":"%%%","value":"b"}',
    "another field": b'{"op":"set","key":"a","value":"b","lease":1}',
    "another field, deep": b'{"op":"set","key":"a","value":"b","x":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    "a value for a delete": b'{"op":"delete","key":"a","value":"b"}',
    "no key to delete": b'{"op":"delete"}',
    "no pairs": b'{"op":"set_many"}',
    "pairs that are none": b'{"op":"set_many","pairs":["a","b"]}',
    "another field in a pair": b'{"op":"set_many","pairs":[{"key":"a","value":"b","lease":1}]}',
    "half a pair": b'{"op":"set_many","pairs":[{"key":"a"}]}',
    "the same key in two pairs": b'{"op":"set_many","pairs":[{"key":"a","value":"1"},{"key_base64":"YQ==","value":"2"}]}',
    "not UTF-8": b'{"op":"set","key":"\xff","value":"b"}',
    "a lone surrogate": b'{"op":"set","key":"\\ud800","value":"bbbbbbbbbbbb"}',
    "more behind it": b'{"op":"delete","key":"a"}{}',
    "cut off": b'{"op":"delete","key":"a"',
    "NaN": b'{"op":"set","key":"a","value":NaN}',
    "a long number": b'{"op":"set","key":"a","value":' + b"9" * 5000 + b"}",
}


class CommandTests(TestCase):
    def test_the_spelling_of_commands(self) -> None:
        """The log is read by people and by jq: its spelling is documented and may not drift."""
        spellings: list[tuple[Command, bytes]] = [
            (Set(b"foo", b"bar"), b'{"op":"set","key":"foo","value":"bar"}'),
            (Set(b"\xff", b"\x00\xfe"), b'{"op":"set","key_base64":"/w==","value_base64":"AP4="}'),
            (Set("grün".encode(), b""), '{"op":"set","key":"grün","value":""}'.encode()),
            (Delete(b"foo"), b'{"op":"delete","key":"foo"}'),
            (Delete(b"\xff"), b'{"op":"delete","key_base64":"/w=="}'),
            (
                SetMany(((b"b", b"1"), (b"a", b"\xff"))),
                b'{"op":"set_many","pairs":[{"key":"b","value":"1"},{"key":"a","value_base64":"/w=="}]}',
            ),
        ]
        for command, line in spellings:
            self.assertEqual(line, encode_command(command))
            self.assertEqual(command, decode_command(line))

    @given(COMMANDS)
    def test_any_bytes_come_back(self, command: Command) -> None:
        """Keys and values are bytes, so none may be changed by their way through JSON."""
        self.assertEqual(command, decode_command(encode_command(command)))

    @given(COMMANDS)
    def test_a_command_is_one_line_of_json(self, command: Command) -> None:
        """The journal splits at newlines, whatever bytes a client chose."""
        line = encode_command(command)
        self.assertNotIn(b"\n", line)
        self.assertIsInstance(json.loads(line.decode()), dict)

    def test_what_is_no_command_is_one_error(self) -> None:
        """Whoever reads commands handles one error, not those of a JSON library."""
        for name, line in NOT_COMMANDS.items():
            with self.subTest(name), self.assertRaises(BadCommand):
                decode_command(line)

    @given(st.binary(max_size=60))
    def test_random_bytes_are_one_error(self, line: bytes) -> None:
        """Nothing but BadCommand comes out of the decoder, whatever goes in."""
        try:
            decode_command(line)
        except BadCommand:
            pass

    def test_commands_are_frozen(self) -> None:
        """A command that waits for its commit must still be the one that was proposed."""
        with self.assertRaises(AttributeError):
            Set(b"a", b"b").key = b"c"  # type: ignore[misc]
