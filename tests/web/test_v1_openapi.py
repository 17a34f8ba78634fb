"""/v1/openapi.json: it describes what is under /v1, and the health checks, and whatever it allows is answered as it says."""

from __future__ import annotations

import re
from io import BytesIO
from typing import Any
from unittest import TestCase

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from web_doubles import Served, WireTestCase

from hraft.kv.commands import GrantLease, OpenSession, Set, encode_command
from hraft.web.openapi import STREAMS, description

EXAMPLES_COUNT = 25


class DescriptionTests(WireTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.document = self.answered(200, "GET", "/v1/openapi.json")

    def test_every_row_is_there(self) -> None:
        """With its method, and with each of its path's parameters."""
        rows = {(path, method.decode()) for path, functions in self.served.api.routes.items() for method in functions}
        begins = (b"/v1/", b"/livez", b"/readyz")
        wanted = {(path.decode(), method.lower()) for path, method in rows if path.startswith(begins) and method != "HEAD"}
        described = {(path, method) for path, item in self.document["paths"].items() for method in item}
        self.assertEqual(wanted | {(route.path.decode(), "get") for route in STREAMS}, described)
        for path, item in self.document["paths"].items():
            for operation in item.values():
                named = {each["name"] for each in operation["parameters"] if each["in"] == "path"}
                self.assertEqual(set(re.findall(r"\{(\w+)\}", path)), named)
                self.assertTrue(operation["summary"])

    def test_every_code_is_there(self) -> None:
        """Programs are written by it."""
        text = str(self.document)
        for code in ("key_not_found", "condition_failed", "lease_not_found", "too_many_keys", "too_stale", "compacted"):
            self.assertIn(code, text)

    def test_what_is_always_told(self) -> None:
        """A member that always comes is required, so that a checker misses it; one that may be in base64 instead is not."""
        schemas = self.document["components"]["schemas"]
        self.assertEqual(["create_revision", "mod_revision", "version", "lease"], schemas["RecordDocument"]["required"])
        self.assertEqual(["kvs", "count", "revision"], schemas["PageDocument"]["required"])
        self.assertEqual([], schemas["PutBody"].get("required", []))

    def test_references_lead_somewhere(self) -> None:
        """No schema is named that is not there."""
        named = set(re.findall(r"#/components/schemas/(\w+)", str(self.document)))
        self.assertEqual(set(), named - set(self.document["components"]["schemas"]))


class _Node:
    """A node with a few of everything, asked by whatever a prepared request says."""

    def __init__(self) -> None:
        self.served = Served()
        self.served.node.is_fresh = True
        self.served.node.changes_members = True
        self.served.age_seconds = 0.1
        for index, command in enumerate((OpenSession(), GrantLease(60), Set(b"a", b"1"), Set(b"0", b"\xff")), 1):
            self.served.node.put_line(index, encode_command(command))

    def ask(self, prepared: Any) -> Any:
        """The answer, as the library of `prepared` has answers."""
        import requests
        import urllib3

        client = self.served.connect()
        body = prepared.body or b""
        body = body.encode() if isinstance(body, str) else body
        lines = [f"{name}: {value}" for name, value in prepared.headers.items() if name.lower() not in ("content-length", "host")]
        path = prepared.path_url
        head = "\r\n".join([f"{prepared.method} {path} HTTP/1.1", "Host: h", *lines, f"Content-Length: {len(body)}", "", ""])
        client.send(head.encode("latin-1", "replace") + body)
        answer, _, content = client.received().partition(b"\r\n\r\n")
        first, *headers = answer.decode("latin-1").split("\r\n")
        raw = urllib3.HTTPResponse(
            body=BytesIO(content),
            headers=urllib3.HTTPHeaderDict(line.split(": ", 1) for line in headers),
            status=int(first.split(" ")[1]),
            preload_content=False,
        )
        response = requests.adapters.HTTPAdapter().build_response(prepared, raw)
        if not client.is_closed:
            client.hang_up()
        return response


class ConformanceTests(TestCase):
    """schemathesis asks whatever the document allows, and much that it does not."""

    def test_whatever_is_asked(self) -> None:
        """No defect, no status and no type that the document does not know, and no answer of another shape."""
        schemathesis = pytest.importorskip("schemathesis")
        from schemathesis import checks as known

        names = ("not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance")
        checks = [getattr(known, name) for name in names]
        document = msgspec.json.decode(msgspec.json.encode(description(Served().api.table)))
        for found in schemathesis.openapi.from_dict(document).get_all_operations():
            operation = found.ok()
            if operation.path.encode() not in {route.path for route in STREAMS}:  # They are no Answers.
                statuses = _statuses(operation, checks)
                self.assertTrue(statuses & {200, 201, 404}, f"{operation.label} was never understood: {statuses}")


def _statuses(operation: Any, checks: list[Any]) -> set[int]:
    """Ask and check; returns what was answered."""
    import requests

    statuses = set()

    @settings(max_examples=EXAMPLES_COUNT, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy())
    def check(case: Any) -> None:
        arguments = case.as_transport_kwargs(base_url="http://h")
        known = {"method", "url", "headers", "params", "data", "json", "cookies"}
        request = requests.Request(**{name: value for name, value in arguments.items() if name in known})
        response = _Node().ask(request.prepare())
        statuses.add(response.status_code)
        # The one 503 that a healthy node has.
        is_stale = response.status_code == 503 and "too_stale" in response.text
        case.validate_response(response, checks=checks[is_stale:])

    check()
    return statuses
