"""The examples of docs/http-api.md, run: whoever copies one gets what the page says."""

from __future__ import annotations

import json
import re
from pathlib import Path

from web_doubles import WireTestCase

from hraft.raft.configuration import Configuration

PAGE = Path(__file__).resolve().parents[2] / "docs" / "http-api.md"
_BLOCK = re.compile(r"(?:^    [><] .*\n)+", re.MULTILINE)
_HEADER = re.compile(r"([A-Z][A-Za-z-]+): (.*)")


def examples() -> list[tuple[list[str], list[str]]]:
    """Each with the lines that are sent, and those that are answered."""
    blocks = [match[0].splitlines() for match in _BLOCK.finditer(PAGE.read_text("utf-8"))]
    return [tuple([line[6:] for line in block if line[4] == sign] for sign in "><") for block in blocks]  # type: ignore[misc]


def parts(lines: list[str]) -> tuple[str, dict[str, str], str]:
    """The first line, the headers and the body."""
    headers = {match[1]: match[2] for line in lines[1:] if (match := _HEADER.fullmatch(line))}
    return lines[0], headers, "\n".join(lines[1 + len(headers) :])


class ExampleTests(WireTestCase):
    def test_all(self) -> None:
        """In the order of the page, on one node, whose clock says that half of a lease's time is left."""
        self.node.configuration = Configuration({"node0": "host0:12000"})
        self.node.changes_members = True
        found = examples()
        self.assertGreater(len(found), 30)
        for sent, told in found:
            first, headers, body = parts(sent)
            method, path = first.split(" ")
            reply = self.ask(method, path, body.encode(), **headers)
            status, expected_headers, expected = parts(told)
            with self.subTest(first):
                self.assertEqual(int(status), reply.status, reply.body)
                for name, value in expected_headers.items():
                    self.assertEqual(value, reply.headers[name.lower()])
                if expected.startswith("{"):
                    self.assertEqual(json.loads(expected), reply.json())
                elif expected:
                    self.assertEqual(expected.encode(), reply.body)

    def test_every_path_has_one(self) -> None:
        """Of each path and method under /v1, but for what nobody needs to be shown."""
        asked = {(sent[0].split(" ")[0].encode(), sent[0].split(" ")[1].split("?")[0].encode()) for sent, _ in examples()}
        shown = {(method, self.served.api.path_of(path)) for method, path in asked}
        rows = {(route.method, route.path) for route in self.served.api.table if route.path.startswith(b"/v1/")}
        self.assertEqual({(b"GET", b"/v1/openapi.json"), (b"GET", b"/v1/status")}, rows - shown)
