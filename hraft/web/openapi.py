"""/v1/openapi.json: the table described in OpenAPI 3.1, made of the same declarations that requests are read and answered by.

Knows nothing of what the functions do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, get_args, get_type_hints

import msgspec

from hraft import __version__
from hraft.web.answers import JSON, REASONS, Answer, headers_of
from hraft.web.api import Route
from hraft.web.asked import Asked
from hraft.web.health import LIVEZ, READYZ
from hraft.web.parameters import Wants
from hraft.web.permissions import ADMIN, ANY_USER, Keys, Touch, reads
from hraft.web.problems import CONTENT_TYPE
from hraft.web.watch.wanted import WANTS as WATCH_WANTS
from hraft.web.watch.wanted import wanted

PATH: Final = b"/v1/openapi.json"
_NOTHING: Final = Wants()
_REF: Final = "#/components/schemas/{name}"

#: What the segments of paths may be.
_SEGMENTS: Final = {
    "key": {"type": "string", "minLength": 1, "maxLength": 1024},
    "id": {"type": "integer", "minimum": 1},
    "node": {"type": "string", "minLength": 1},
    "check": {"type": "string", "minLength": 1},
    "client": {"type": "string", "pattern": "^[1-9][0-9]{0,17}$"},
}
_HEADERS: Final = {
    b"if-match": ("If-Match", "only if the key's mod_revision is this, in quotation marks; * if it is there at all"),
    b"if-none-match": ("If-None-Match", "on a read: not if you have this; on a write, *: only if the key is not there"),
    b"last-event-id": ("Last-Event-ID", "as since, and wins over it"),
    b"accept": ("Accept", "application/x-ndjson for lines of JSON"),
    b"idempotency-key": ("Idempotency-Key", "client/serial: a repeated write is done once, and gets the first answer"),
}
_STATUS_OF: Final = {
    "not_found": 404,
    "key_not_found": 404,
    "lease_not_found": 404,
    "session_expired": 409,
    "change_refused": 409,
    "wrong_peer": 409,
    "condition_failed": 412,
    "too_many_keys": 422,
    "result_too_large": 422,
    "too_many_operations": 422,
    "key_written_twice": 422,
    "compacted": 410,
    "too_many_leases": 429,
    "too_many_watchers": 429,
    "too_many_backups": 429,
    "too_many_streams": 429,
    "too_stale": 503,
}


def _elsewhere(asked: Asked) -> Answer:
    raise NotImplementedError("streams have no row in the table")


def _watched(asked: Asked) -> Iterator[Touch]:
    view = wanted(asked.query, None, None).view
    yield Keys(view.start, view.end)


#: Answers without an end, or without a known one, are no Answers and have no row in the table; so they are only described here.
STREAMS: Final = (
    Route(
        b"GET",
        b"/v1/watch",
        _elsewhere,
        "Changes as they happen, as server-sent events or lines of JSON",
        WATCH_WANTS,
        None,
        {200: str},
        ("compacted", "too_many_watchers"),
        reads(_watched),
    ),
    # It has what sessions remember, too, and every lease.
    Route(
        b"GET",
        b"/v1/snapshot",
        _elsewhere,
        "All there is, as a backup",
        _NOTHING,
        None,
        {200: str},
        ("too_many_backups",),
        ADMIN,
    ),
    Route(
        b"GET",
        b"/v1/events",
        _elsewhere,
        "How this node and its cluster are, once a second, and what happens to them, as server-sent events",
        _NOTHING,
        None,
        {200: str},
        ("too_many_streams",),
        ANY_USER,
    ),
)


#: hraftd's interface, the metrics and the dashboard are described by those who use them.
_DESCRIBED: Final = (b"/v1/", LIVEZ, READYZ)
_LOGINS: Final = {"password": {"type": "http", "scheme": "basic"}, "token": {"type": "http", "scheme": "bearer"}}


class ProblemDocument(msgspec.Struct, kw_only=True):
    """What went wrong (RFC 9457). `code` is for programs; `outcome` says of a write whether it was done."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    outcome: str | msgspec.UnsetType = msgspec.UNSET


class OpenApi:
    """Describes the routes that `routes` gives, when it is first asked."""

    def __init__(self, routes: Callable[[], Iterable[Route]]) -> None:
        self._routes = routes
        self._body = b""

    def routes(self) -> Iterator[Route]:
        """Its part of the table."""
        yield Route(b"GET", PATH, self._get, "This description", _NOTHING, None, {200: dict[str, Any]}, needs=ANY_USER)

    def _get(self, asked: Asked) -> Answer:
        _NOTHING.of(asked)
        self._body = self._body or msgspec.json.encode(description(self._routes()))
        return Answer(200, headers_of(JSON), self._body)


def description(routes: Iterable[Route]) -> dict[str, Any]:
    """The document: what is below /v1, and the health checks."""
    described = [*STREAMS, *(route for route in routes if route.path.startswith(_DESCRIBED))]
    types = {type_ for route in described for type_ in (route.body, *route.answers.values()) if _is_struct(type_)}
    ordered = sorted({*types, ProblemDocument}, key=lambda type_: str(type_.__name__))
    _, components = msgspec.json.schema_components(ordered, ref_template=_REF)
    for type_ in _told(type_ for route in described for type_ in route.answers.values()):
        components[type_.__name__]["required"] = _always_there(type_)
    paths: dict[str, dict[str, Any]] = {}
    for route in described:
        paths.setdefault(route.path.decode(), {})[route.method.decode().lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "hraft", "version": __version__, "description": "A replicated key-value store. See docs/http-api.md."},
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": _LOGINS},
        # Or nothing, where a node knows no users.
        "security": [*({name: []} for name in _LOGINS), {}],
    }


def _told(types: Iterable[Any]) -> set[Any]:
    """These types and those in them: what hraft tells, as opposed to what it is told."""
    found: set[Any] = set()
    waiting = list(types)
    while waiting:
        type_ = waiting.pop()
        if not _is_struct(type_):
            waiting += get_args(type_)
        elif type_ not in found:
            found.add(type_)
            waiting += get_type_hints(type_).values()
    return found


def _always_there(type_: Any) -> list[str]:
    """A default is written, too, unless it stands for a member that is not there."""
    hints = get_type_hints(type_)
    fields = msgspec.structs.fields(type_)
    return [field.encode_name for field in fields if msgspec.UnsetType not in get_args(hints[field.name])]


def _is_struct(type_: Any) -> bool:
    return isinstance(type_, type) and issubclass(type_, msgspec.Struct)


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": route.about,
        "parameters": [*_in_path(route.path), *_in_query(route.wants), *_in_headers(route.wants)],
        "responses": {str(status): _answer(route, status, type_) for status, type_ in route.answers.items()},
    }
    is_write = "redirect" in {parameter.name for parameter in route.wants.parameters}
    if is_write:
        operation["responses"]["307"] = {"description": "The leader is elsewhere", "headers": _location()}
    for status in _problem_statuses(route, is_write):
        problem = _problem(status, [code for code in route.codes if _STATUS_OF[code] == status])
        answer = operation["responses"].setdefault(str(status), problem)
        answer["content"] = {**answer["content"], **problem["content"]}
    if route.body is bytes:
        operation["requestBody"] = {"required": True, "content": {"application/octet-stream": {"schema": {}}}}
    elif route.body is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": _schema(route.body)}}}
    return operation


def _problem_statuses(route: Route, is_write: bool) -> list[int]:
    """Of all those that may come: bad requests, users and hosts, limits, no leader, defects, and the route's own."""
    found = {400, 401, 403, 408, 413, 429, 500, 503, *(_STATUS_OF[code] for code in route.codes)}
    if is_write:
        found |= {409, 421, 422}
    if route.method == b"GET" or b"{" in route.path:
        found.add(421)
    return sorted(found)


def _in_path(path: bytes) -> Iterator[dict[str, Any]]:
    for name in re.findall(r"\{(\w+)\}", path.decode()):
        yield {"name": name, "in": "path", "required": True, "schema": _SEGMENTS[name]}


def _in_query(wants: Wants) -> Iterator[dict[str, Any]]:
    for parameter in wants.parameters:
        yield {"name": parameter.name, "in": "query", "description": parameter.about, "schema": parameter.schema()}


def _in_headers(wants: Wants) -> Iterator[dict[str, Any]]:
    for header in wants.headers:
        name, about = _HEADERS[header]
        yield {"name": name, "in": "header", "description": about, "schema": {"type": "string"}}


def _answer(route: Route, status: int, type_: Any) -> dict[str, Any]:
    if type_ is bytes:
        return {"description": REASONS[status], "content": {"text/plain": {"schema": {"type": "string"}}}}
    number = {"schema": {"type": "integer", "minimum": 0}}
    answer: dict[str, Any] = {"description": REASONS[status], "headers": {"X-Hraft-Revision": number, "X-Hraft-Term": number}}
    if type_ is str:
        answer["content"] = {"text/event-stream": {"schema": {}}, "application/x-ndjson": {"schema": {}}}
    elif type_ is not None:
        answer["content"] = {"application/json": {"schema": _schema(type_)}}
        if "raw" in {parameter.name for parameter in route.wants.parameters}:
            answer["content"]["application/octet-stream"] = {"schema": {}}
    return answer


def _problem(status: int, codes: list[str]) -> dict[str, Any]:
    told = f"; code {', '.join(codes)}" if codes else ""
    return {"description": REASONS[status] + told, "content": {CONTENT_TYPE.decode(): {"schema": _schema(ProblemDocument)}}}


def _location() -> dict[str, Any]:
    return {"Location": {"schema": {"type": "string"}}}


def _schema(type_: Any) -> dict[str, Any]:
    return {"$ref": _REF.format(name=type_.__name__)} if _is_struct(type_) else {"type": "object"}
