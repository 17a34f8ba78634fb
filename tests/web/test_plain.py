"""Plain requests out of bytes. What is plain and what not is shown in test_front_and_tree.py, beside twisted.web."""

from __future__ import annotations

from types import SimpleNamespace
from unittest import TestCase

import pytest
from web_doubles import get, post

from hraft.web.asked import Asked

pytest.importorskip("httptools")
from hraft.web.plain import NotPlain, PlainRequests


class PlainRequestsTests(TestCase):
    def setUp(self) -> None:
        self.requests = PlainRequests()

    def test_one_after_the_other(self) -> None:
        """A request stays the next one until it is taken; its bytes go with it and no others do."""
        first = Asked(b"POST", b"/key", b"", b"{}", host=b"localhost")
        second = Asked(b"GET", b"/key/a%20b", b"x=?y", b"", host=b"localhost")
        self.requests.add(post(b"{}") + get("/key/a%20b?x=?y") + b"GE")
        self.assertEqual([first, first], [self.requests.next(), self.requests.next()])
        self.requests.take()
        self.assertEqual(second, self.requests.next())
        self.assertEqual(get("/key/a%20b?x=?y") + b"GE", self.requests.unread)
        self.requests.take()
        self.assertEqual((None, b"GE"), (self.requests.next(), self.requests.unread))

    def test_what_is_not_plain_is_all_there_for_somebody_else(self) -> None:
        """From its first byte, also where it came in parts and the parser has seen some of it."""
        data = get("/key/a", "Expect: 100-continue")
        self.requests.add(post(b"{}") + data[:30])
        self.requests.next()
        self.requests.take()
        self.assertIsNone(self.requests.next())
        self.requests.add(data[30:])
        with self.assertRaises(NotPlain):
            self.requests.next()
        self.assertEqual(data, self.requests.unread)

    def test_a_parser_of_another_mind(self) -> None:
        """Where a version of llhttp sees a head end at something else than an empty line, as old ones did, nothing is plain."""
        self.requests._parser = SimpleNamespace(feed_data=lambda _: self.requests.on_headers_complete())
        self.requests.add(b"GET /key/a HTTP/1.1\r\nHost: h\n\n")
        with self.assertRaises(NotPlain):
            self.requests.next()
