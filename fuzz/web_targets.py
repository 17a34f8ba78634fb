"""Targets that take what HTTP clients send: bytes on a connection, by both ways in; and any body at every route there is.

Routes are read off the routing table, so a new one is fed, too.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any
from urllib.parse import quote

import msgspec
from test_front_and_tree import ODD, WELL_FORMED, Way, responses
from web_doubles import Served

from fuzz.peer_targets import no_defects
from fuzz.store_targets import command_samples
from fuzz.target import Target, expect, same
from hraft import limits
from hraft.kv.commands import Set, decode_command, encode_command
from hraft.web.answers import REASONS
from hraft.web.asked import MEANINGFUL, Asked
from hraft.web.bodies import parse_join, parse_pairs
from hraft.web.problems import CONTENT_TYPE, Problem
from hraft.web.watch.wanted import wanted

_SILENCES = (limits.REFUSED_LINGER_SECONDS, limits.REQUEST_TIMEOUT_SECONDS, limits.IDLE_CONNECTION_TIMEOUT_SECONDS)
_CONNECTION_BYTES = 4096
_BODIES = (
    *(b'{"foo":"bar"}', b'{"a":"1","b":null,"\xc3\xa9":"<&>"}', b"{}", b"null", b"", b'{"a":1}', b'{"a":{"b":[]}}', b'{"":"x"}'),
    *(b'{"addr":"h:1","id":"n1"}', b'{"addr":"h:1"}', b'{"addr":"h:1","id":"n1","empty_log":true}', b'{"a":"\\u0000","a":"2"}'),
)
_PARAMETER = re.compile(rb"\{\w+\}")
_HEADER_VALUES = (b"*", b'"3"', b'W/"1", "2"', b"1/1", b"text/event-stream", b"7")
_V1_BODIES = (
    b'{"compare":[{"key":"a","target":"version","version":0}],"then":[{"put":{"key":"a","value":"1"}}],"else":[]}',
    b'{"compare":[{"prefix":"a","target":"value","op":"!=","value_base64":"/w=="}],"then":[{"delete":{"prefix":"a"}},{"get":{}}]}',
    *(b'{"ttl":10}', b"any bytes: \xff\0"),
)
_QUERIES = (
    *("", "level=stale", "level=linearizable", "level=none", "level=stale&level=stale"),
    *("prefix=a&limit=1&prev", "start=a&end=b&keys_only", "lease=1", "x=1"),
)


# --- connections ----------------------------------------------------------------------------------


def _connection(data: bytes) -> None:
    """The two ways in give the same answers, none of them a defect, and leave nothing behind."""
    ways = [Way(True), Way(False)]
    data = data[:_CONNECTION_BYTES]
    with no_defects():
        for part in (data[: len(data) // 2], data[len(data) // 2 :]):
            for way in ways:
                way.send(part)
        same(ways[1].seen(), ways[0].seen(), "what the two ways answered")
        for seconds in _SILENCES:
            for way in ways:
                way.wait(seconds)
        same(ways[1].seen(), ways[0].seen(), "what the two ways answered in the end")
        for first, _, _ in responses(ways[0].answers):
            status = int(first.split(b" ")[1])
            expect(status in (*REASONS, 100) and status != 500, f"the answer {first!r}")
        for way in ways:
            way.hang_up()
            same([], way.served.clock.getDelayedCalls(), "timers left after the end of a connection")


# --- requests -------------------------------------------------------------------------------------


def _request(data: bytes) -> None:
    """The first line is a path's parameter and a query, the second a header, the rest a body; every route and method is asked."""
    served = Served()
    served.node.put(Set(b"foo", b"bar"))
    rest, header, body = (*data.split(b"\n", 2), b"", b"")[:3]
    parameter, _, query = rest.partition(b"?")
    name, _, value = header.partition(b":")
    headers = ((name, value),) if name in MEANINGFUL else ()
    with no_defects():
        for route, functions in served.api.routes.items():
            path = _PARAMETER.sub(lambda found: parameter, route)
            if served.api.path_of(path) != route:
                continue
            for method, function in functions.items():
                answers: list[Any] = []
                answer = served.api.ask(function, Asked(method, path, query, body[: limits.REQUEST_BODY_BYTES], headers))
                if hasattr(answer, "addBoth"):
                    answer.addBoth(answers.append)
                    answer.cancel()
                else:
                    answers.append(answer)
                for each in answers:
                    _check_answer(each)


def _check_answer(answer: Any) -> None:
    expect(answer.status in REASONS and answer.status != 500, f"{answer.status}: {answer.body!r:.500}")
    headers = dict(answer.headers)
    expect(not any(b"\r" in value or b"\n" in value for value in headers.values()), f"a line end in a header: {headers}")
    if headers.get(b"Content-Type") == CONTENT_TYPE:
        problem = msgspec.json.decode(answer.body)
        same(answer.status, problem["status"], "the status in a problem")
        expect(problem["code"] and problem["detail"], f"a problem without words: {problem}")


def _body(data: bytes) -> None:
    """What a body asks for is a command that every node reads."""
    try:
        command = parse_pairs(data)
        if command is not None:
            same(command, decode_command(encode_command(command)), "the command that a body asked for")
    except Problem as problem:
        same(400, problem.status, "the status of a bad body")
        expect(len(problem.body()) < 2000, f"a problem of {len(problem.body())} bytes")
    try:
        join = parse_join(data)
        same(join, parse_join(msgspec.json.encode(join)), "a join's own bytes, read")
    except Problem as problem:
        same(400, problem.status, "the status of a bad body")


def _watch(data: bytes) -> None:
    """A query, and on lines of their own the two headers that a watch looks at."""
    query, accept, last_event_id = (*data.split(b"\n", 2), None, None, None)[:3]
    try:
        found = wanted(query or b"", accept, last_event_id)
    except Problem as problem:
        expect(problem.status == 400 and len(problem.body()) < 2000, f"{problem}")
        return
    expect(found.since is None or found.since >= 0, f"{found}")


def _watch_samples() -> list[bytes]:
    queries = (b"", b"key=a", b"prefix=%ff&since=3&prev", b"start=a&end=b&level=stale", b"start=b&end=a", b"key=a&key=b", b"x=1")
    headers = (b"", b"\ntext/event-stream", b"\napplication/x-ndjson, */*;q=1\n7", b"\n\n9")
    return [query + header for query in queries for header in headers]


def _connection_samples() -> list[bytes]:
    each = [data for data in (*WELL_FORMED.values(), *ODD.values()) if len(data) < _CONNECTION_BYTES]
    return [*each, *(one + two for one, two in pairwise(each) if len(one + two) < _CONNECTION_BYTES)]


def _request_samples() -> list[bytes]:
    parameters = ("", "1", "foo", "a%2Fb/c+d%20e", "%ff", quote("k\u00e9y"))
    lines = [f"{parameter}?{query}".encode() for parameter in parameters for query in _QUERIES]
    headers = [b"", *(b"%b:%b" % (name, value) for name in sorted(MEANINGFUL) for value in _HEADER_VALUES)]
    bodies = (*_BODIES, *_V1_BODIES * 3)
    count = len(headers)
    return [b"\n".join((line, headers[number % count], bodies[number % len(bodies)])) for number, line in enumerate(lines * 2)]


TARGETS = (
    Target("http", "bytes on an HTTP connection, by both ways in", _connection, _connection_samples),
    Target("requests", "path, query and body of every route and method", _request, _request_samples),
    Target("watch", "the query and headers of a watch", _watch, _watch_samples),
    Target("bodies", "the body of a write, or of a join", _body, lambda: [*_BODIES, *command_samples()]),
)
