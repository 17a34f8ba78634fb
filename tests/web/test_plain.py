"""Plain requests out of bytes. What is plain and what not is shown in test_front_and_tree.py, beside twisted.web."""

from __future__ import annotations

from types import SimpleNamespace
from unittest import TestCase

import pytest
from web_doubles import get, post

from hraft import limits
from hraft.web.asked import Asked

pytest.importorskip("httptools")
from httptools import HttpParserError

from hraft.web.plain import NotPlain, PlainRequests


def _refuse(data: bytes) -> None:
    raise HttpParserError("this was to be known")


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

    def read(self, data: bytes) -> Asked | None:
        self.requests.add(data)
        asked = self.requests.next()
        if asked is not None:
            self.requests.take()
        return asked

    def blind(self) -> None:
        """From now on the parser takes nothing."""
        self.requests._parser = SimpleNamespace(feed_data=_refuse)

    def test_known_headers_are_not_parsed_again(self) -> None:
        """They mean what they meant, whatever the line before them says: body, condition and host."""
        data = post(b"{}", 'If-Match: "1"')
        first = self.read(data)
        self.blind()
        self.assertEqual(first, self.read(data))
        other = Asked(b"PUT", b"/v1/kv/a", b"x", b"ab", ((b"if-match", b'"1"'),), b"localhost")
        self.assertEqual(other, self.read(data.replace(b"POST /key", b"PUT /v1/kv/a?x").replace(b"{}", b"ab")))

    def test_known_headers_of_a_head_that_came_in_parts(self) -> None:
        """They too are known afterwards; and a head that comes in parts is parsed, so as to be refused as soon as it can be."""
        data = post(b"{}")
        self.assertIsNone(self.read(data[:20]))
        first = self.read(data[20:])
        self.blind()
        self.assertEqual(first, self.read(data))
        with self.assertRaises(NotPlain):
            self.read(data[:20])

    def test_o23_other_headers_are_parsed(self) -> None:
        """One byte more, less or in another letter, and they are not known: also where they begin, or end, like known ones."""
        known = b"GET /key/a HTTP/1.1\r\nHost: h\r\n\r\n"
        for headers in (b"\r\n", b"Host: H\r\n\r\n", b"Host: h\r\nX: a\r\n\r\n", b"X: a\r\nHost: h\r\n\r\n", b"Host: h \r\n\r\n"):
            with self.subTest(headers):
                self.setUp()
                self.assertIsNotNone(self.read(known))
                self.blind()
                self.assertIsNotNone(self.read(known))
                with self.assertRaises(NotPlain):
                    self.read(b"GET /key/a HTTP/1.1\r\n" + headers)

    def test_o23_bounds_of_what_is_known(self) -> None:
        """A client that says something else each time is remembered no better than its last few requests; nor are long ones."""
        each = [get("/key/a", f"X: {number}") for number in range(limits.HEADERS_KEPT_COUNT + 1)]
        for data in each:
            self.read(data)
        self.read(get("/key/a", f"X: {'y' * limits.HEADERS_KEPT_BYTES}"))
        self.assertEqual(limits.HEADERS_KEPT_COUNT, len(self.requests._known))
        self.assertLess(sum(map(len, self.requests._known)), limits.HEADERS_KEPT_COUNT * limits.HEADERS_KEPT_BYTES)
        self.blind()
        for data in each[1:]:
            self.assertIsNotNone(self.read(data))
        with self.assertRaises(NotPlain):
            self.read(each[0])

    def test_o23_a_first_line_changes_nothing_for_the_parser(self) -> None:
        """Or headers could not be known apart from it: methods and targets that are plain are all alike to it."""
        printable = "".join(map(chr, range(0x21, 0x7F)))
        targets = ("/" + printable.replace("?", ""), "/?" + printable, *(f"/{char}?{char}" for char in printable if char != "?"))
        for method in ("GET", "POST", "PUT", "DELETE", "HEAD"):
            for target in targets:
                with self.subTest(method, target=target):
                    self.setUp()
                    data = post(b"{}", path=target).replace(b"POST", method.encode())
                    asked = self.read(data)
                    assert asked is not None
                    self.assertEqual((method.encode(), b"{}"), (asked.method, asked.body))
                    self.assertIsNotNone(self.read(data))
        for method in ("CONNECT", "PRI", "SOURCE", "OPTIONS", "GETS", "M-SEARCH"):
            with self.subTest(method), self.assertRaises(NotPlain):
                self.setUp()
                self.read(get("/", method=method))

    def test_a_parser_of_another_mind(self) -> None:
        """Where a version of llhttp sees a head end at something else than an empty line, as old ones did, nothing is plain."""
        self.requests._parser = SimpleNamespace(feed_data=lambda _: self.requests.on_headers_complete())
        self.requests.add(b"GET /key/a HTTP/1.1\r\nHost: h\n\n")
        with self.assertRaises(NotPlain):
            self.requests.next()
