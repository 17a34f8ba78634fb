"""Results: what a command's answer looks like while it travels between nodes."""

import json
from unittest import TestCase

from hraft.errors import BadMessage
from hraft.kv.results import Refused, Written, decode_result, encode_result, result_of


class ResultTests(TestCase):
    def test_results_come_back(self) -> None:
        """A forwarded write is answered from what the leader's store said, so that must survive the journey."""
        for result in (Written(7, 3), Refused("why not")):
            self.assertEqual(result, decode_result(encode_result(result)))

    def test_the_spelling_of_results(self) -> None:
        """Nodes of two versions meet during an upgrade."""
        self.assertEqual(b'{"result":"written","revision":7,"changed_count":3}', encode_result(Written(7, 3)))
        self.assertEqual(b'{"result":"refused","reason":"no"}', encode_result(Refused("no")))

    def test_what_is_no_result_is_one_error(self) -> None:
        """A peer's bytes are never trusted."""
        for data in (b"", b"null", b"{}", b'{"result":"written"}', b'{"result":"refused","reason":"\xff"}', b"[" * 10_000):
            with self.subTest(data[:40]), self.assertRaises(BadMessage):
                decode_result(data)

    def test_whatever_became_of_it_on_the_way(self) -> None:
        """A node hands over the leader's answer as it got it: as the store made it, as JSON, or as what JSON decodes to."""
        for result in (Written(7, 3), Refused("why not")):
            for value in (result, encode_result(result), json.loads(encode_result(result))):
                self.assertEqual(result, result_of(value))
        for value in (None, {}, {"result": "written"}, [], 7):
            with self.subTest(value), self.assertRaises(BadMessage):
                result_of(value)
