"""txn: a transaction, written in JSON as the HTTP interface takes it."""

from __future__ import annotations

import json
import sys
from typing import IO, Any

import click
import msgspec

from hraft.cli.session import NO, Session, pass_session
from hraft.client import HraftClient
from hraft.client.exchange import Request


@click.command("txn")
@click.argument("file", type=click.File("rb"), default="-")
@pass_session
def transact(session: Session, file: IO[bytes]) -> None:
    """Carry out the transaction in FILE, or on stdin: all of it as one step. Exit code 1 if a comparison did not hold.

    \b
    {"compare": [{"key": "a", "target": "version", "version": 0}],
     "then":    [{"put": {"key": "a", "value": "1"}}],
     "else":    [{"get": {"key": "a"}}]}
    """
    text = file.read()
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise click.UsageError(f"the transaction is not JSON: {error}") from error

    async def body(client: HraftClient) -> Any:
        return json.loads((await client.write(Request("POST", "/v1/txn", body=text, is_redirected=True))).body)

    result = session.run(body)
    if session.printing.is_json:
        session.printing.document(result)
    else:
        session.printing.line(json.dumps(result, indent=2, ensure_ascii=False))
    sys.exit(0 if result["succeeded"] else NO)
