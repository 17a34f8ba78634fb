"""After the faults: does the cluster settle, is everything there that was acknowledged, and are all nodes the same?

Knows no faults: what it finds wrong is a violation whatever happened before.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from chaos.clients import Epoch, Record
from chaos.nodes import Node, Reply
from hraft.kv.store import KeyValueStore
from hraft.raft.entry import Entry, EntryKind
from hraft.simulation.history import Kind, encode_operations
from hraft.simulation.linearizability import Verdict, check
from hraft.storage.directory import DataDirectory
from hraft.storage.durable import DurableStorage
from hraft.storage.files import LocalFileSystem

SETTLE_SECONDS = 60.0
_SHOWN_COUNT = 5


def settled(nodes: Sequence[Node]) -> dict[str, Any] | None:
    """The leader's status if all nodes are voters, agree on the leader, and have applied the same log to its end."""
    told = [node.status() for node in nodes]
    if not all(told):
        return None
    leader = next((status for status in told if status["role"] == "leader"), None)
    if leader is None or len(leader["voters"]) != len(nodes) or leader["learners"]:
        return None
    ends = {(one["term"], one["leader"]["id"], one["last_index"], one["commit_index"], one["applied_index"]) for one in told}
    return leader if len(ends) == 1 and leader["last_index"] == leader["applied_index"] else None


def wait_until_settled(nodes: Sequence[Node], seconds: float = SETTLE_SECONDS) -> dict[str, Any] | None:
    """The leader's status; None if that takes too long."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        status = settled(nodes)
        if status is not None:
            return status
        time.sleep(0.1)
    return None


def story_of(nodes: Sequence[Node]) -> str:
    """What every node says of itself, for who must find out why they do not settle."""
    fields = ("role", "term", "last_index", "commit_index", "applied_index")
    lines = []
    for node in nodes:
        status = node.status()
        told = [f"{name}={status[name]}" for name in fields] if status else ["does not answer"]
        if status:
            told += [f"leader={status['leader']['id']}", f"voters={len(status['voters'])}"]
        lines.append(f"{node.name}: {' '.join(told)}")
    return "; ".join(lines)


def takes_a_write(nodes: Sequence[Node], seconds: float) -> bool:
    """Whether a new write is acknowledged in time by whichever node takes it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for node in nodes:
            reply = node.ask("POST", "/key", {"after-all-faults": "1"})
            if reply is not None and reply.status == 200:
                return True
        time.sleep(0.05)
    return False


def last_reads(record: Record, nodes: Sequence[Node]) -> list[str]:
    """Read every key once more, linearizable, through the nodes by turns; so that the checker sees what was left.

    A node may refuse for a while: on a busy machine there are elections without any fault.
    """
    wrong, deadline = [], time.monotonic() + SETTLE_SECONDS
    for epoch in record.epochs:
        for place, key in enumerate(epoch.keys):
            node = nodes[(epoch.number + place) % len(nodes)]
            is_ok = False
            while not is_ok:
                token = record.invoke("last", Kind.GET, key, None, epoch)
                reply = node.ask("GET", f"/key/{key}?level=linearizable", seconds=10)
                is_ok = reply is not None and reply.status == 200
                record.close(epoch, token, "ok" if is_ok else "unknown", reply, key, True)
                if not is_ok and time.monotonic() > deadline:
                    wrong.append(f"{node.name} does not answer a linearizable read after all faults: {reply}")
                    break
    return wrong


def differences(record: Record, nodes: Sequence[Node]) -> list[str]:
    """What was acknowledged and is not there, and where nodes differ; every key is read from every node itself."""
    keys = [key for epoch in record.epochs for key in epoch.keys]
    wrong = []
    with ThreadPoolExecutor(4) as pool:
        for key, value in record.kept.items():
            found = list(pool.map(_reader(key), nodes))
            for node, has in _unlike(nodes, found, value):
                wrong.append(f"lost: {node.name} has {key} = {has!r}, and {value!r} was acknowledged")
        for key in keys:
            found = list(pool.map(_reader(key), nodes))
            for node, has in _unlike(nodes, found, found[0]):
                wrong.append(f"unequal: {nodes[0].name} has {key} = {found[0]!r}, {node.name} {has!r}")
    return wrong


def _unlike(nodes: Sequence[Node], found: Sequence[str | None], value: str | None) -> list[tuple[Node, str | None]]:
    return [(node, has) for node, has in zip(nodes, found, strict=True) if has != value or has is None]


def _reader(key: str) -> Callable[[Node], str | None]:
    def read(node: Node) -> str | None:
        for _ in range(3):
            reply: Reply | None = node.ask("GET", f"/key/{key}", seconds=10)
            if reply is not None and reply.status == 200:
                return str(reply.json().get(key))
        return None

    return read


def judged(record: Record) -> list[str]:
    """What the checker finds wrong; the stories of the first few."""
    wrong = []
    for epoch in record.epochs:
        judgement = check(epoch.history.operations())
        if judgement.verdict is not Verdict.LEGAL:
            wrong.append(f"the history of epoch {epoch.number} is {judgement.verdict.value}:\n{judgement.story()}")
    return wrong[:_SHOWN_COUNT]


def write_history(epochs: Sequence[Epoch], path: Path) -> None:
    """One JSON line per operation."""
    with path.open("w", encoding="utf-8") as file:
        for epoch in epochs:
            file.writelines(line + "\n" for line in encode_operations(epoch.history.operations()))


# --- on the disks of nodes that have stopped ---------------------------------------------------------


def unequal_disks(nodes: Sequence[Node]) -> list[str]:
    """Logs and states as a next start would find them: each index holds one entry, and all make the same state."""
    entries_at: dict[int, tuple[str, Entry]] = {}
    hashes: dict[str, str] = {}
    wrong = []
    for node in nodes:
        entries, hashes[node.name] = _recovered(node)
        for entry in entries:
            other, known = entries_at.setdefault(entry.index, (node.name, entry))
            if known != entry:
                wrong.append(f"{other} and {node.name} have different entries at {entry.index}: {known!r:.200} {entry!r:.200}")
    if len(set(hashes.values())) > 1:
        wrong.append(f"the states on disk differ: {hashes}")
    return wrong[:_SHOWN_COUNT]


def _recovered(node: Node) -> tuple[tuple[Entry, ...], str]:
    directory = DataDirectory(str(node.directory))
    directory.open(node.name)
    identity = directory.identity
    assert identity is not None
    storage = DurableStorage(LocalFileSystem(), directory.path, identity.cluster_id)
    try:
        found = storage.recover()
        store, applied = KeyValueStore(), 0
        if found.snapshot is not None:
            with storage.read_snapshot(found.snapshot) as lines:
                store = store.restored(lines)
            applied = found.snapshot.index
        for entry in found.entries:
            if entry.index > applied and entry.kind is EntryKind.COMMAND:
                store.apply(entry.index, entry.command)
        return tuple(found.entries), store.state_hash()
    finally:
        storage.close()
        directory.close()
