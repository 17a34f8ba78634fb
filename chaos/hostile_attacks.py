"""The attacks by name, and the process in which one of them runs: `python -m chaos.hostile_attacks NAME`, until stdin ends.

A process of its own, so that it takes neither the load's time nor its file descriptors. Its first line of stdin is the target; it
prints a JSON line of what became of its connections twice a second.
"""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from chaos import hostile_clients as clients
from chaos import hostile_peers as peers
from chaos.hostile_clients import IDLE_COUNT, Attacker, Target, Told
from hraft import limits

_ROOT = Path(__file__).resolve().parents[1]
_SECONDS_BETWEEN_WORDS = 0.5
_SPARE_FILES_COUNT = 100


@dataclass(frozen=True)
class Attack:
    """So many attackers of some kinds, in turn; a connection of theirs may stay for so long, if there is a limit."""

    attackers: tuple[Attacker, ...]
    count: int
    limit_seconds: float | None = None
    #: What a node may take for it beside the 64 MiB that it may take anyway.
    budget_bytes: int = 0

    def objection(self) -> str | None:
        """Why it cannot be made on this machine."""
        if clients.half_open in self.attackers and (words := clients.half_open_objection()):
            return words
        needed = self.count + _SPARE_FILES_COUNT
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft >= needed:
            return None
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (needed, max(hard, needed)))
        except (OSError, ValueError) as error:
            return f"it needs {needed} file descriptors, and {soft} are permitted ({error})"
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, max(hard, needed)))
        return None


_UNREAD_SECONDS = limits.IDLE_CONNECTION_TIMEOUT_SECONDS + limits.HTTP_CLOSE_TIMEOUT_SECONDS
_REFUSED_SECONDS = limits.REFUSED_LINGER_SECONDS + limits.HTTP_CLOSE_TIMEOUT_SECONDS
#: A value of BIG_KEY, which is 64 KiB, in a transport and in the making.
_ANSWER_BYTES = 256 * 1024

ATTACKS: dict[str, Attack] = {
    "slow-loris": Attack((clients.slow_headers, clients.slow_bodies), 500, limits.REQUEST_TIMEOUT_SECONDS + _REFUSED_SECONDS),
    "non-readers": Attack((clients.non_reader,), 50, _UNREAD_SECONDS, 50 * _ANSWER_BYTES),
    "half-open": Attack((clients.half_open,), 50),
    "idle": Attack((clients.idler,), IDLE_COUNT, limits.IDLE_CONNECTION_TIMEOUT_SECONDS + _REFUSED_SECONDS),
    "oversize-headers": Attack((clients.oversize_headers,), 20, _REFUSED_SECONDS),
    "oversize-bodies": Attack((clients.oversize_bodies,), 20, _REFUSED_SECONDS, 20 * limits.REQUEST_BODY_BYTES),
    "pipelines": Attack((clients.pipeline,), 20),
    "garbage": Attack((peers.garbage,), 20, limits.PEER_SILENCE_SECONDS),
    "wrong-cluster": Attack((peers.wrong_cluster,), 20, limits.PEER_SILENCE_SECONDS),
    "endless-frames": Attack((peers.endless_frames,), 8, limits.PEER_SILENCE_SECONDS, 4 * limits.PEER_FRAME_BYTES),
    "replay": Attack((peers.replay,), 8),
    "silent-peers": Attack((peers.silent_peer,), 400, limits.PEER_HELLO_TIMEOUT_SECONDS),
    "deaf-peer": Attack((peers.non_reading_peer,), 1, budget_bytes=limits.PEER_QUEUE_BYTES),
}


class AttackProcess:
    """An attack that goes on until it is closed."""

    def __init__(self, name: str, target: Target) -> None:
        self.name = name
        #: What became of its connections, as last told.
        self.told = Told()
        command = [sys.executable, "-m", "chaos.hostile_attacks", name]
        self._process = subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asdict(target)) + "\n")
        self._process.stdin.flush()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            found: dict[str, Any] = json.loads(line)
            self.told.counts.update({name: count - self.told.counts[name] for name, count in found["counts"].items()})
            self.told.longest_seconds = found["longest_seconds"]

    def is_running(self) -> bool:
        """An attack that has failed is no attack."""
        return self._process.poll() is None

    def close(self) -> None:
        """End it. Harmless twice."""
        self._process.kill()
        self._process.wait(30)
        self._listener.join(10)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


async def _run(attack: Attack, target: Target) -> None:
    told = Told()
    kinds = attack.attackers
    tasks = [asyncio.ensure_future(kinds[number % len(kinds)](target, told, number)) for number in range(attack.count)]
    while True:
        for task in tasks:
            if task.done():
                task.result()
        print(json.dumps({"counts": told.counts, "longest_seconds": told.longest_seconds}), flush=True)
        await asyncio.sleep(_SECONDS_BETWEEN_WORDS)


def main() -> None:
    """Ends with whoever started it."""
    attack = ATTACKS[sys.argv[1]]
    objection = attack.objection()
    if objection:
        raise SystemExit(objection)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, attack.count + _SPARE_FILES_COUNT), hard))
    target = Target(**json.loads(sys.stdin.readline()))
    loop = asyncio.new_event_loop()
    loop.add_reader(sys.stdin.fileno(), loop.stop)
    running = loop.create_task(_run(attack, target))
    running.add_done_callback(lambda task: loop.stop())
    loop.run_forever()
    if running.done():
        running.result()


if __name__ == "__main__":
    main()
