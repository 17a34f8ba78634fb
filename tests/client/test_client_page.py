"""The examples of docs/client.md, run as they stand there, and its table of calls."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from client_cases import ClientTestCase

import hraft.client
from hraft.client import HraftClient
from hraft.client.blocking import BlockingClient
from hraft.kv.commands import Set

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "client.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)


class PageTests(ClientTestCase):
    """What the page promises to those who copy it."""

    def setUp(self) -> None:
        super().setUp()
        self.names: dict[str, Any] = {"__name__": "example"}
        for example in EXAMPLES[1:]:
            exec(compile(example, str(PAGE), "exec"), self.names)

    def test_the_script(self) -> None:
        """Word for word, but for the network."""
        script = EXAMPLES[0].replace("from hraft.client.blocking import BlockingClient\n", "")
        written: list[str] = []

        def connect(endpoints: str) -> BlockingClient:
            self.assertEqual(2, endpoints.count("http://"))
            return BlockingClient(self.cluster.endpoints, agent=self.cluster)

        told = {"BlockingClient": connect, "print": lambda *words: written.append(" ".join(map(str, words)))}
        exec(compile(script, str(PAGE), "exec"), told)
        self.assertEqual(["hello", "b'greeting' b'hello' 1"], written)

    def test_the_twisted_program(self) -> None:
        """The same."""
        written: list[str] = []

        def connect(endpoints: list[str], reactor: Any) -> HraftClient:
            self.assertEqual(2, len(endpoints))
            return self.new_client()

        self.names.update({"HraftClient": connect, "print": written.append})
        self.done(self.names["main"](None))
        self.assertEqual(["hello"], written)
        self.assertEqual(3, self.cluster.store.count())

    def test_a_transaction(self) -> None:
        """Moves once."""
        self.cluster.apply(Set(b"a", b"1"))
        self.assertTrue(self.done(self.names["move"](self.client, "a", "b")))
        self.assertFalse(self.done(self.names["move"](self.client, "a", "b")))
        self.cluster.apply(Set(b"a", b"2"))
        self.assertFalse(self.done(self.names["move"](self.client, "a", "b")))
        self.assertEqual(b"1", self.cluster.store.get(b"b").value)  # type: ignore[union-attr]

    def test_a_watch(self) -> None:
        """What was there, and what comes."""
        self.cluster.apply(Set(b"p/old", b"1"))
        following = self.begin(self.names["follow"](self.client, "p/", b"p/new"))
        self.cluster.apply(Set(b"p/new", b"1"))
        self.assertEqual({b"p/old", b"p/new"}, set(self.successResultOf(following)))
        self.assertEqual([], self.cluster.streams)

    def test_recipes(self) -> None:
        """A lease, a lock, an office; nothing is left of them."""
        self.assertTrue(self.done(self.names["announce"](self.client, "web", "10.0.0.1")))
        first, second = self.done(self.names["work"](self.client)), self.done(self.names["work"](self.client))
        self.assertLess(first, second)
        self.assertEqual(b"10.0.0.1", self.done(self.names["stand"](self.client, "10.0.0.1")))
        self.assertEqual(3, self.cluster.store.count())
        self.assertEqual([], self.cluster.clock.getDelayedCalls())

    def test_every_name_of_the_page(self) -> None:
        """The tables name calls and errors that are there."""
        text = PAGE.read_text("utf-8")
        calls = text.partition("| call | gives |")[2].partition("\n\n")[0]
        names = {name for row in calls.splitlines() for name in re.findall(r"`(\w+)\(", row.split("|")[1] if row else "")}
        self.assertGreater(len(names), 15)
        self.assertEqual(set(), names - set(dir(HraftClient)))
        errors = text.partition("| error | ")[2].partition("\n\n")[0]
        named = {name for row in errors.splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[1])}
        self.assertGreater(len(named), 9)
        self.assertEqual(set(), named - set(hraft.client.__all__))
