"""Idempotency-Key: a write that is repeated is done once and answered alike; what may have been done is never done again."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from web_doubles import ApiTestCase

from hraft.kv.commands import Once, Set


class IdempotencyTests(ApiTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.node.at_once = True
        self.node.state_machine.apply(7, b'{"op":"session_open"}')

    def post(self, body: bytes, key: str) -> Deferred[Any]:
        return self.request("POST", "/key", data=body, headers={"Idempotency-Key": key})

    def test_a_repeat_gets_the_first_answer(self) -> None:
        """A client that has lost the answer asks again, and nothing happens twice, nor to what was written since."""
        self.answered(self.post(b'{"a":"1"}', "7/1"), 200)
        self.node.put(Set(b"a", b"2"))
        self.answered(self.post(b'{"a":"1"}', "7/1"), 200)
        record = self.node.state_machine.get(b"a")
        assert record is not None
        self.assertEqual((b"2", 2), (record.value, record.version))

    def test_refusals(self) -> None:
        """Each says what is known of the write: a number used twice was a mistake, a forgotten client may have been served."""
        self.answered(self.post(b'{"a":"1"}', "7/1"), 200)
        for body, key, status, code, outcome in (
            (b'{"a":"2"}', "7/1", 422, "serial_reused", "not done"),
            (b'{"a":"2"}', "8/1", 409, "session_expired", "unknown"),
        ):
            _response, problem = self.refused(self.post(body, key), status)
            self.assertEqual((code, outcome), (problem["code"], problem["outcome"]))
        self.assertEqual(1, self.node.state_machine.revision)

    def test_a_forgotten_answer(self) -> None:
        """Sixty-four answers are kept. What is older may have been done or not, and is not done now."""
        for serial in range(2, 70):
            self.answered(self.post(b'{"a":"1"}', f"7/{serial}"), 200)
        _response, problem = self.refused(self.post(b'{"a":"1"}', "7/1"), 409)
        self.assertEqual(("serial_expired", "unknown"), (problem["code"], problem["outcome"]))

    def test_what_is_no_key(self) -> None:
        """Taken for none, it would leave the client without what it asked for."""
        for key in ("", "7", "7/0", "0/1", "7/1, 7/2", "7/-1", "x/1", "7/1/1", "7/" + "1" * 19):
            _response, problem = self.refused(self.post(b'{"a":"1"}', key), 400)
            self.assertEqual(("bad_idempotency_key", "not done"), (problem["code"], problem["outcome"]))
        self.assertEqual([], self.node.asked)

    def test_the_command_in_the_log(self) -> None:
        """The client and its number travel with the command, so that every node knows what was done."""
        self.answered(self.post(b'{"a":"1"}', "7/1"), 200)
        command = self.node.asked[0].command
        assert isinstance(command, Once)
        self.assertEqual((7, 1, Set(b"a", b"1")), (command.client, command.serial, command.command))
