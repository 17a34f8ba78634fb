"""Targets that take what a client is told: where to ask, and answers. New kinds of answers are read off their module."""

from __future__ import annotations

from random import Random

import msgspec

from fuzz.target import Target, same
from fuzz.values import value_of
from hraft.client import answers
from hraft.client.endpoints import EndpointList, parse_endpoint
from hraft.client.errors import BadAnswer
from hraft.errors import BadAddress

_ENDPOINTS = ("http://127.0.0.1:11000", "https://h", "h:1", ":11000", "[::1]:1", "http://[fe80::1%25e]:1/", "a:1, http://b:2")


def _endpoints(data: bytes) -> None:
    """What a user names, and what a node that is asked points out."""
    text = data.decode("utf-8", "surrogateescape")
    try:
        found = parse_endpoint(text)
        same(found, parse_endpoint(found), "an endpoint's own text, read")
    except BadAddress:
        pass
    try:
        EndpointList(text, lambda: 0.0)
    except BadAddress:
        pass
    EndpointList("http://h:1", lambda: 0.0).pointed_out(text, "http://h:1")


def _answers(data: bytes) -> None:
    for name, read in vars(answers).items():
        if not name.startswith("read_"):
            continue
        try:
            if name == "read_page":
                read(data, 1.0)
            elif name == "read_record":
                read(answers.read_object(data))
            else:
                read(data)
        except BadAnswer:
            pass


def _answer_samples() -> list[bytes]:
    random = Random("answers")
    kinds = [kind for kind in vars(answers).values() if isinstance(kind, type) and issubclass(kind, msgspec.Struct)]
    return [msgspec.json.encode(value_of(kind, random)) for kind in kinds for _ in range(4)]


def _endpoint_samples() -> list[bytes]:
    return [text.encode() for text in _ENDPOINTS]


TARGETS = (
    Target("client-endpoints", "endpoints that a client is given or pointed to", _endpoints, _endpoint_samples),
    Target("client-answers", "an answer, read as each that there is", _answers, _answer_samples),
)
