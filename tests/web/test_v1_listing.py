"""/v1/kv: many keys in pages and deleted as one, by every row of docs/http-api.md and each of its refusals."""

from __future__ import annotations

from base64 import b64decode
from typing import Any
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st
from web_doubles import WireTestCase

from hraft import limits
from hraft.kv.commands import Set, SetMany


class ListingTests(WireTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.node.put(SetMany(tuple((key, b"v" + key) for key in (b"a", b"b/1", b"b/2", b"b/\xff", b"c"))))

    def keys(self, query: str) -> list[Any]:
        page = self.answered(200, "GET", f"/v1/kv?{query}")
        return [record.get("key", record.get("key_base64")) for record in page["kvs"]]

    def test_records(self) -> None:
        """As a single key is told, in the order of the bytes."""
        page = self.answered(200, "GET", "/v1/kv?prefix=b/&limit=1")
        record = {"key": "b/1", "value": "vb/1", "create_revision": 1, "mod_revision": 1, "version": 1, "lease": None}
        self.assertEqual({"kvs": [record], "next": "b/1", "count": 3, "revision": 1}, page)

    def test_ranges(self) -> None:
        """A prefix, or from a start on and before an end; nothing is all."""
        odd = "Yi//"
        for query, expected in (
            ("", ["a", "b/1", "b/2", odd, "c"]),
            ("prefix=", ["a", "b/1", "b/2", odd, "c"]),
            ("prefix=b%2F", ["b/1", "b/2", odd]),
            ("prefix=b/%ff", [odd]),
            ("prefix=x", []),
            ("start=b/2", ["b/2", odd, "c"]),
            ("end=b/2", ["a", "b/1"]),
            ("start=b&end=b/%ff", ["b/1", "b/2"]),
            ("start=b&end=", ["b/1", "b/2", odd, "c"]),
            ("after=b/2", [odd, "c"]),
            ("prefix=b/&after=a", ["b/1", "b/2", odd]),
            ("prefix=b/&after=b/1", ["b/2", odd]),
        ):
            self.assertEqual(expected, self.keys(query), query)

    def test_pages(self) -> None:
        """`next` leads through all keys, each once, whatever bytes they have."""
        seen, after = [], ""
        for _ in range(2):
            page = self.answered(200, "GET", f"/v1/kv?limit=3{after}")
            seen += page["kvs"]
            self.assertEqual(5, page["count"])
            after = f"&after={page['next']}" if page["next"] else ""
        self.assertEqual((5, ""), (len(seen), after))
        page = self.answered(200, "GET", "/v1/kv?limit=4")
        self.assertEqual("Yi//", page["next_base64"])
        self.assertEqual(["c"], self.keys("after=b/%ff"))

    def test_less(self) -> None:
        """Only what is wanted is sent."""
        page = self.answered(200, "GET", "/v1/kv?keys_only&limit=1")
        self.assertEqual([{"key": "a", "create_revision": 1, "mod_revision": 1, "version": 1, "lease": None}], page["kvs"])
        expected = {"kvs": [], "next": None, "count": 3, "revision": 1}
        self.assertEqual(expected, self.answered(200, "GET", "/v1/kv?prefix=b&count_only"))

    def test_a_page_is_bounded(self) -> None:
        """By bytes too; but one key that fills it alone is told, or the reader would never get past it."""
        for key in (b"x/1", b"x/2", b"x/3"):
            self.node.put(Set(key, b"x" * 1000))
        for size_bytes, count in ((1, 1), (2300, 2), (10**6, 3)):
            with mock.patch.object(limits, "PAGE_BYTES", size_bytes):
                page = self.answered(200, "GET", "/v1/kv?prefix=x/")
                self.assertEqual(count, len(page["kvs"]))
                self.assertEqual(None if count == 3 else f"x/{count}", page["next"])
        with mock.patch.object(limits, "PAGE_BYTES", 450):
            self.assertEqual(3, len(self.keys("prefix=x/&keys_only")))

    def test_freshness(self) -> None:
        """As for one key."""
        self.node.is_fresh = False
        self.served.age_seconds = 0.1
        self.assertEqual("101", self.ask("GET", "/v1/kv?level=stale").headers["x-hraft-age-ms"])
        self.refused(503, "too_stale", "GET", "/v1/kv?level=stale&max_lag=100")
        self.send("GET", "/v1/kv")
        self.assertEqual(b"", self.client.received())
        self.node.asked[-1].answer.callback(1)
        self.assertEqual(200, self.reply().status)

    def test_refusals(self) -> None:
        """What contradicts itself means something else than it says."""
        for query in ("prefix=a&start=b", "prefix=a&end=b", "start=b&end=b", "start=c&end=b", "key=a"):
            self.refused(400, "bad_request", "GET", f"/v1/kv?{query}")
        for query in ("limit=0", "limit=10001", "limit="):
            self.refused(400, "bad_request", "GET", f"/v1/kv?{query}")
        for name in ("prefix", "start", "end", "after"):
            self.refused(400, "bad_key", "GET", f"/v1/kv?{name}={'a' * 1025}")
        self.refused(400, "bad_request", "GET", "/v1/kv", If_None_Match='"1"')


class DeletingTests(WireTestCase):
    def test_a_prefix(self) -> None:
        """All of it at one revision."""
        self.node.put(SetMany(((b"a", b""), (b"b/1", b""), (b"b/2", b""))))
        reply = self.ask("DELETE", "/v1/kv?prefix=b/")
        self.assertEqual(({"deleted": 2, "revision": 2}, "2"), (reply.json(), reply.headers["x-hraft-revision"]))
        self.assertEqual({"deleted": 0, "revision": 2}, self.answered(200, "DELETE", "/v1/kv?start=b&end=c"))
        self.assertEqual({"deleted": 1, "revision": 3}, self.answered(200, "DELETE", "/v1/kv?prefix="))

    def test_all_only_when_said(self) -> None:
        """A forgotten parameter must not empty a store."""
        self.refused(400, "bad_request", "DELETE", "/v1/kv")
        self.refused(400, "bad_request", "DELETE", "/v1/kv?prefix=a&prev")
        self.refused(400, "bad_request", "DELETE", "/v1/kv?prefix=a", If_Match="*")
        self.assertEqual([], self.node.asked)

    def test_too_many(self) -> None:
        """An entry is carried out in one go, and everybody waits for it."""
        self.node.put(SetMany(((b"a", b""), (b"b", b""), (b"c", b""))))
        with mock.patch.object(limits, "DELETE_KEYS_COUNT", 2):
            problem = self.refused(422, "too_many_keys", "DELETE", "/v1/kv?prefix=")
        self.assertEqual("not done", problem["outcome"])
        self.assertEqual(3, self.node.state_machine.count())


class WalkTests(WireTestCase):
    @given(st.sets(st.binary(min_size=1, max_size=3), max_size=12), st.integers(1, 4), st.binary(max_size=2))
    def test_any_keys_by_pages(self, keys: set[bytes], limit: int, prefix: bytes) -> None:
        """Whatever the keys are, walking the pages gives those with the prefix, once and in order."""
        self.setUp()
        for key in keys:
            self.node.put(Set(key, b""))
        found, after = [], ""
        while True:
            page = self.answered(200, "GET", f"/v1/kv?keys_only&limit={limit}&prefix={_escaped(prefix)}{after}")
            found += [_bytes(record, "key") for record in page["kvs"]]
            if page.get("next") is None and "next_base64" not in page:
                break
            after = f"&after={_escaped(_bytes(page, 'next'))}"
        self.assertEqual(sorted(key for key in keys if key.startswith(prefix)), found)
        self.client.hang_up()


def _escaped(data: bytes) -> str:
    return "".join(f"%{byte:02x}" for byte in data)


def _bytes(document: dict[str, str], name: str) -> bytes:
    return b64decode(document[f"{name}_base64"]) if f"{name}_base64" in document else document[name].encode()
