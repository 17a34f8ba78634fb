"""POST /v1/txn: every form of it, each refusal, and any transactions against a model of twenty lines that knows no hraft."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from typing import Any
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st
from web_doubles import WireTestCase

from hraft import limits
from hraft.kv.commands import GrantLease, Set

A = {"put": {"key": "a", "value": "1"}}


class TransactionTests(WireTestCase):
    def txn(self, **body: Any) -> Any:
        return self.answered(200, "POST", "/v1/txn", json.dumps(body).encode())

    def bad(self, status: int, code: str, body: Any) -> Any:
        problem = self.refused(status, code, "POST", "/v1/txn", body if isinstance(body, bytes) else json.dumps(body).encode())
        self.assertEqual("not done", problem["outcome"])
        self.assertEqual([], self.node.asked)
        return problem

    def test_all_results(self) -> None:
        """What each operation gave, in order; those that read see those before them."""
        self.node.put(Set(b"b", b"\xff"))
        reply = self.ask(
            "POST",
            "/v1/txn",
            json.dumps(
                {
                    "then": [
                        {"put": {"key": "a", "value": "1"}},
                        {"put": {"key": "b", "value_base64": "/w==", "prev": True}},
                        {"get": {"prefix": "", "limit": 1}},
                        {"get": {"start": "a", "end": "b", "keys_only": True}},
                        {"put": {"key_base64": "/g==", "value": "", "prev": True}},
                        {"delete": {"key": "c", "prev": True}},
                        {"get": {"key": "c"}},
                    ]
                }
            ).encode(),
        )
        self.assertEqual((200, "2"), (reply.status, reply.headers["x-hraft-revision"]))
        fresh = {"create_revision": 2, "mod_revision": 2, "version": 1, "lease": None}
        older = {"create_revision": 1, "mod_revision": 1, "version": 1, "lease": None}
        expected = [
            {"put": {"key": "a", **fresh}},
            {
                "put": {
                    "key": "b",
                    **fresh,
                    "create_revision": 1,
                    "version": 2,
                    "prev": {"key": "b", "value_base64": "/w==", **older},
                }
            },
            {"get": {"kvs": [{"key": "a", "value": "1", **fresh}], "count": 2}},
            {"get": {"kvs": [{"key": "a", **fresh}], "count": 1}},
            {"put": {"key_base64": "/g==", **fresh, "prev": None}},
            {"delete": {"deleted": 0, "prevs": []}},
            {"get": {"kvs": [], "count": 0}},
        ]
        self.assertEqual({"succeeded": True, "revision": 2, "results": expected}, reply.json())

    def test_a_delete_of_a_range(self) -> None:
        """Told how many, and what they were if that was asked for."""
        for key in (b"a", b"b", b"c"):
            self.node.put(Set(key, b"x"))
        self.assertEqual([{"delete": {"deleted": 2}}], self.txn(then=[{"delete": {"start": "b"}}])["results"])
        [result] = self.txn(then=[{"delete": {"prefix": "", "prev": True}}])["results"]
        self.assertEqual(["a"], [record["key"] for record in result["delete"]["prevs"]])

    def test_branches(self) -> None:
        """If one comparison fails the other list is done."""
        for relation, version, succeeded in (("=", 0, True), ("=", 0, False), (">", 0, True), ("!=", 2, False), ("<", 3, True)):
            compare = {"key": "a", "target": "version", "op": relation, "version": version}
            always = {"key": "x", "target": "lease", "lease": 0}
            done = self.txn(**{"compare": [always, compare], "then": [A], "else": [{"get": {"key": "a"}}]})
            self.assertEqual(succeeded, done["succeeded"], (relation, version))
            self.assertEqual(["put" if succeeded else "get"], list(done["results"][0]))

    def test_comparisons_of_ranges(self) -> None:
        """All keys with a prefix, or up to an end, must be so."""
        for key, value in ((b"a/1", b"x"), (b"a/2", b"y"), (b"b", b"x")):
            self.node.put(Set(key, value))
        for compare, succeeded in (
            ({"prefix": "a/", "target": "version", "version": 1}, True),
            ({"prefix": "a/", "target": "value", "value": "x"}, False),
            ({"key": "b", "end": "c", "target": "value", "value_base64": "eA=="}, True),
            ({"key": "", "end": "", "target": "mod_revision", "op": "<", "mod_revision": 3}, False),
            ({"prefix": "zz", "target": "create_revision", "create_revision": 0}, True),
        ):
            self.assertEqual(succeeded, self.txn(compare=[compare])["succeeded"], compare)

    def test_nothing(self) -> None:
        """An empty transaction is done, and changes nothing."""
        self.assertEqual({"succeeded": True, "revision": 0, "results": []}, self.txn())

    def test_a_lease(self) -> None:
        """A key is attached, or nothing is done at all."""
        self.node.put(GrantLease(60))
        [result] = self.txn(then=[{"put": {"key": "a", "value": "", "lease": 1}}])["results"]
        self.assertEqual(1, result["put"]["lease"])
        body = json.dumps({"then": [A, {"put": {"key": "b", "value": "", "lease": 2}}]}).encode()
        self.refused(404, "lease_not_found", "POST", "/v1/txn", body)
        self.assertEqual(1, self.node.state_machine.revision)

    def test_what_is_no_transaction(self) -> None:
        """Half understood, it would be half done."""
        target = {"key": "a", "target": "version"}
        for body in (
            b"",
            b"[]",
            b"null",
            b"{",
            b"[" * 10**5,
            {"than": []},
            {"then": {}},
            {"then": [{}]},
            {"then": [{**A, "get": {"key": "a"}}]},
            {"then": [{"putt": {}}]},
            {"then": [{"put": {"key": "a"}}]},
            {"then": [{"put": {"value": "a"}}]},
            {"then": [{"put": {"key": "a", "key_base64": "YQ==", "value": ""}}]},
            {"then": [{"put": {"key_base64": "?", "value": ""}}]},
            {"then": [{"put": {"key": "a", "value": 1}}]},
            {"then": [{"put": {"key": "a", "value": "", "lease": 0}}]},
            {"then": [{"put": {"key": "a", "value": "", "x": 1}}]},
            {"then": [{"get": {}}]},
            {"then": [{"delete": {"end": "a"}}]},
            {"then": [{"get": {"key": "a", "prefix": "a"}}]},
            {"then": [{"get": {"key": "a", "end": "b"}}]},
            {"then": [{"get": {"key": "a", "limit": 0}}]},
            {"then": [{"put": {"key": "\ud800", "value": ""}}]},
            {"compare": [target]},
            {"compare": [{**target, "value": "1"}]},
            {"compare": [{**target, "version": 1, "lease": 1}]},
            {"compare": [{**target, "version": -1}]},
            {"compare": [{**target, "version": 2**63}]},
            {"compare": [{**target, "version": "1"}]},
            {"compare": [{**target, "version": 1, "op": ">="}]},
            {"compare": [{"key": "a", "target": "key", "version": 1}]},
            {"compare": [{**target, "version": 1, "prefix": "a"}]},
            {"compare": [{"target": "version", "version": 1}]},
        ):
            self.bad(400, "bad_body", body)

    def test_keys_that_cannot_be(self) -> None:
        """As everywhere: 1 to 1,024 bytes."""
        for key in ("", "k" * 1025):
            self.bad(400, "bad_key", {"then": [{"put": {"key": key, "value": ""}}]})
            self.bad(400, "bad_key", {"else": [{"get": {"key": key}}]})
            self.bad(400, "bad_key", {"compare": [{"key": key, "target": "version", "version": 0}]})
        self.bad(400, "bad_key", {"then": [{"get": {"prefix": "k" * 1025}}]})
        self.bad(400, "bad_request", {"then": [{"get": {"start": "b", "end": "a"}}]})

    def test_limits(self) -> None:
        """128 of each, and no more; refused before it is proposed."""
        get, compare = {"get": {"key": "a"}}, {"key": "a", "target": "version", "version": 0}
        for name, one in (("compare", compare), ("then", get), ("else", get)):
            self.bad(422, "too_many_operations", {name: [one] * 129})
        self.assertEqual(128, len(self.txn(compare=[compare] * 128, then=[get] * 128)["results"]))

    def test_twice_in_a_branch(self) -> None:
        """Which of the two would a watcher be told? In different branches there is no such question."""
        for other in (A, {"delete": {"key": "a"}}, {"delete": {"prefix": ""}}):
            self.bad(422, "key_written_twice", {"then": [A, other]})
            self.bad(422, "key_written_twice", {"else": [other, A]})
        self.txn(**{"then": [A], "else": [A]})

    def test_too_much(self) -> None:
        """What the store refuses, as one; nothing of it is done."""
        for key in (b"x", b"y", b"z"):
            self.node.put(Set(key, b"1"))
        with mock.patch.object(limits, "DELETE_KEYS_COUNT", 2):
            self.refused(422, "too_many_keys", "POST", "/v1/txn", json.dumps({"then": [A, {"delete": {"start": "x"}}]}).encode())
        with mock.patch.object(limits, "TRANSACTION_KEYS_COUNT", 2):
            self.refused(422, "result_too_large", "POST", "/v1/txn", json.dumps({"then": [A, {"get": {"prefix": ""}}]}).encode())
        self.assertEqual(3, self.node.state_machine.revision)


# --- any transactions, against a model -----------------------------------------------------------

_KEYS = [b"a", b"b", b"b\xff", b"c"]
_VALUES = [b"", b"1", b"2", b"\xfe"]


def _field(name: str, data: bytes) -> dict[str, str]:
    try:
        return {name: data.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": b64encode(data).decode()}


_key, _value = st.sampled_from(_KEYS), st.sampled_from(_VALUES)
_where = st.one_of(_key.map(lambda key: ("key", key)), st.sampled_from([("prefix", b""), ("prefix", b"b"), ("start", b"b")]))
_puts = st.lists(st.tuples(st.just("put"), _key, _value), max_size=2, unique_by=lambda put: put[1])
_gets = st.lists(st.tuples(st.just("get"), _where), max_size=2)
_branches = st.one_of(
    st.tuples(_puts, _gets).map(lambda two: [*two[0], *two[1]]),
    st.tuples(st.tuples(st.just("delete"), _where), _gets).map(lambda two: [two[0], *two[1]]),
)
_compares = st.lists(
    st.tuples(
        _where,
        st.sampled_from(["=", "!=", "<", ">"]),
        st.one_of(
            st.tuples(st.just("value"), _value),
            st.tuples(st.sampled_from(["version", "create_revision", "mod_revision"]), st.integers(0, 3)),
        ),
    ),
    max_size=2,
)


class Model:
    """Keys in a dict, one revision for each transaction that changes something; nothing of hraft's."""

    def __init__(self) -> None:
        self.keys: dict[bytes, dict[str, Any]] = {}
        self.revision = 0

    def find(self, kind: str, key: bytes) -> list[bytes]:
        wanted = {"key": lambda k: k == key, "prefix": lambda k: k.startswith(key), "start": lambda k: k >= key}[kind]
        return sorted(filter(wanted, self.keys))

    def holds(self, where: Any, relation: str, target: str, operand: Any) -> bool:
        found = [self.keys[key] for key in self.find(*where)]
        if not found:
            if target == "value":
                return False
            found = [{"version": 0, "create_revision": 0, "mod_revision": 0}]
        lower, equal = (all(test) for test in zip(*((r[target] < operand, r[target] == operand) for r in found), strict=True))
        higher, other = (all(test) for test in zip(*((r[target] > operand, r[target] != operand) for r in found), strict=True))
        return {"=": equal, "!=": other, "<": lower, ">": higher}[relation]

    def do(self, branch: list[Any]) -> list[Any]:
        results: list[Any] = []
        revision, has_changed = self.revision + 1, False
        for kind, *arguments in branch:
            if kind == "put":
                key, value = arguments
                old = self.keys.get(key, {"create_revision": revision, "version": 0})
                self.keys[key] = {**old, "value": value, "mod_revision": revision, "version": old["version"] + 1}
                results.append(self.keys[key]["version"])
                has_changed = True
                continue
            found = self.find(*arguments[0])
            results.append(len(found) if kind == "delete" else [self.keys[key]["value"] for key in found])
            if kind == "delete":
                has_changed = has_changed or bool(found)
                for key in found:
                    del self.keys[key]
        self.revision += has_changed
        return results


def _document(operation: Any) -> dict[str, Any]:
    kind, *arguments = operation
    if kind == "put":
        return {kind: {**_field("key", arguments[0]), **_field("value", arguments[1])}}
    return {kind: _field(*arguments[0])}


def _comparison(compare: Any) -> dict[str, Any]:
    (kind, key), relation, (target, operand) = compare
    where = {**_field("key", key), "end": ""} if kind == "start" else _field(kind, key)
    against = _field("value", operand) if target == "value" else {target: operand}
    return {**where, "target": target, "op": relation, **against}


class ModelTests(WireTestCase):
    @given(st.lists(st.tuples(_compares, _branches, _branches), min_size=1, max_size=6))
    def test_any_transactions(self, transactions: list[Any]) -> None:
        """Whatever is compared and done, the answers are those of the model, and so is what remains."""
        self.setUp()
        model = Model()
        for compares, then, otherwise in transactions:
            body = {
                "compare": [_comparison(compare) for compare in compares],
                "then": [_document(operation) for operation in then],
                "else": [_document(operation) for operation in otherwise],
            }
            succeeded = all(model.holds(where, relation, *against) for where, relation, against in compares)
            results = model.do(then if succeeded else otherwise)
            told = self.answered(200, "POST", "/v1/txn", json.dumps(body).encode())
            self.assertEqual((succeeded, model.revision), (told["succeeded"], told["revision"]))
            self.assertEqual(results, [_plain(result) for result in told["results"]])
        self.assertEqual(
            [(key, r["value"], r["create_revision"], r["mod_revision"]) for key, r in sorted(model.keys.items())],
            [(key, r.value, r.create_revision, r.mod_revision) for key, r in self.node.state_machine.range()],
        )
        self.client.hang_up()


def _plain(result: dict[str, Any]) -> Any:
    """What the model says of it."""
    if "put" in result:
        return result["put"]["version"]
    if "delete" in result:
        return result["delete"]["deleted"]
    return [_data(record) for record in result["get"]["kvs"]]


def _data(record: dict[str, Any]) -> bytes:
    return b64decode(record["value_base64"]) if "value_base64" in record else record["value"].encode()
