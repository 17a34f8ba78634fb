"""Recipes of the client while leaders are killed with -9: one holder at a time, and fences that only rise."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from cluster import Cluster, wait_until

from hraft.client import ClientError, Compare, Fence, Get, LockLost, OutcomeUnknown, Put
from hraft.client.blocking import BlockingClient

pytest.importorskip("hraft.leases", reason="leases have not landed yet")
pytest.importorskip("hraft.web.kv", reason="/v1/kv has not landed yet")

WORKERS_COUNT = 3
KILLS_COUNT = 3


@dataclass
class Record:
    """What the workers of one test have seen, put together."""

    stop: threading.Event = field(default_factory=threading.Event)
    guard: threading.Lock = field(default_factory=threading.Lock)
    #: When somebody surely had it: from, to, with which fence.
    held: list[tuple[float, float, int]] = field(default_factory=list)
    #: Fences with which a former holder's write was done though somebody else had come after it.
    passed_late: list[int] = field(default_factory=list)
    tried_late_count: int = 0

    def note(self, since: float, until: float, fence: Fence) -> None:
        with self.guard:
            self.held.append((since, until, fence.revision))

    def try_late(self, client: BlockingClient, former: Fence) -> None:
        """Write as somebody would who has slept through the loss of their lock."""
        done = client.txn([former.holds], [Put("by", str(former.revision))])
        with self.guard:
            self.tried_late_count += 1
            if done.succeeded:
                self.passed_late.append(former.revision)


def endpoints(cluster: Cluster) -> list[str]:
    """All nodes, dead or alive."""
    return [f"http://{node.http_address}" for node in cluster.nodes]


def under_kills(cluster: Cluster, record: Record, work: Callable[[BlockingClient, int], None]) -> list[int]:
    """Let workers work while the leader is killed again and again; the fences of all writes to the key `by`, in their order."""
    cluster.start(3)
    written: list[int] = []

    def run(number: int) -> None:
        with BlockingClient(endpoints(cluster)) as client:
            while not record.stop.is_set():
                try:
                    work(client, number)
                except ClientError:
                    # Refused or not known, in the midst of an election: the next turn begins anew.
                    time.sleep(0.05)

    def follow(watching: BlockingClient) -> None:
        for change in watching.watch("by", since=0, patience_seconds=300):
            written.extend(int(event.record.text) for event in change.events if event.record is not None)

    with BlockingClient(endpoints(cluster)) as watching, ThreadPoolExecutor(WORKERS_COUNT + 1) as pool:
        following = pool.submit(follow, watching)
        running = [pool.submit(run, number) for number in range(WORKERS_COUNT)]
        try:
            for _ in range(KILLS_COUNT):
                goal = len(set(written)) + 5
                wait_until(lambda goal=goal: len(set(written)) >= goal, "five more have had it")  # type: ignore[misc]
                leader = cluster.leader()
                leader.kill()
                goal = len(set(written)) + 5
                wait_until(lambda goal=goal: len(set(written)) >= goal, "five more have had it since the leader died")  # type: ignore[misc]
                leader.start().wait_until_started()
        finally:
            record.stop.set()
            for each in running:
                each.result()
            watching.close()
            following.cancel()
    return written


def judge(record: Record, written: list[int]) -> None:
    """Never two at once."""
    assert sorted(written) == written, "a write of a former holder was done after one of a later holder"
    assert [] == record.passed_late
    assert record.tried_late_count > 10
    held = sorted(record.held)
    assert len({fence for _, _, fence in held}) == len(held) > 10
    assert [fence for _, _, fence in held] == sorted(fence for _, _, fence in held)
    for (_, until, first), (since, _, second) in pairwise(held):
        assert until <= since, f"{first} still had it when {second} got it"


def test_lock_under_kills(cluster: Cluster) -> None:
    """A lock is never held twice: fences strictly rise, and who had it before can write no more."""
    record = Record()

    def work(client: BlockingClient, number: int) -> None:
        lock = client.lock("locks/job", ttl_seconds=10)
        with lock as fence:
            since = time.monotonic()
            lock.put("by", str(fence.revision))
            lock.put("by", str(fence.revision))
            until = time.monotonic()
            if lock.is_held:
                record.note(since, until, fence)
        record.try_late(client, fence)

    judge(record, under_kills(cluster, record, work))


def test_election_under_kills(cluster: Cluster) -> None:
    """An election never has two winners that both pass the fence."""
    record = Record()

    def work(client: BlockingClient, number: int) -> None:
        election = client.elect("leaders/job", ttl_seconds=10)
        fence = election.campaign(f"worker {number}")
        try:
            since = time.monotonic()
            election.txn([Put("by", str(fence.revision))])
            incumbent = election.leader()
            until = time.monotonic()
            if election.is_leader:
                assert incumbent is not None
                assert fence == incumbent.fence
                record.note(since, until, fence)
        except LockLost:
            return
        finally:
            election.resign()
        record.try_late(client, fence)

    judge(record, under_kills(cluster, record, work))


def test_a_holder_who_dies(cluster: Cluster) -> None:
    """The next has the lock when the lease has ended, over a change of leaders too; a lease that is kept alive outlives it."""
    cluster.start(3)
    with BlockingClient(endpoints(cluster)) as first, BlockingClient(endpoints(cluster)) as second:
        kept = first.lease(8).keep()
        first.put("kept", "1", lease=kept.id)
        dead = first.lock("locks/job", ttl_seconds=8)
        fence = dead.acquire()
        dead._lock.lease.let_go()
        cluster.leader().kill()
        later = second.lock("locks/job", ttl_seconds=8).acquire(timeout_seconds=60)
        assert later.revision > fence.revision
        assert not first.txn([fence.holds], [Put("a", "old")]).succeeded
        assert second.txn([later.holds], [Put("a", "new")]).succeeded
        assert kept.is_held
        assert second.get("kept") is not None
        kept.revoke()
        assert second.get("kept") is None


def test_every_write_once_under_kills(cluster: Cluster) -> None:
    """A counter that several count up, each step told and repeated over deaths of leaders: as many steps as were acknowledged."""
    record = Record()
    counted = [0] * WORKERS_COUNT
    unknown = [0] * WORKERS_COUNT
    cluster.start(3)

    def run(number: int) -> None:
        with BlockingClient(endpoints(cluster)) as client:
            while not record.stop.is_set():
                found = client.get("counter")
                value, revision = (0, 0) if found is None else (int(found.value), found.mod_revision)
                compare = [Compare("counter").mod_revision == revision]
                try:
                    done = client.txn(compare, [Put("counter", str(value + 1))], [Get("counter")])
                    counted[number] += done.succeeded
                except OutcomeUnknown:
                    unknown[number] += 1

    with ThreadPoolExecutor(WORKERS_COUNT) as pool:
        running = [pool.submit(run, number) for number in range(WORKERS_COUNT)]
        try:
            for _ in range(2):
                goal = sum(counted) + 50
                wait_until(lambda goal=goal: sum(counted) >= goal, "fifty more steps")  # type: ignore[misc]
                leader = cluster.leader()
                leader.kill()
                goal = sum(counted) + 50
                wait_until(lambda goal=goal: sum(counted) >= goal, "fifty more steps since the leader died")  # type: ignore[misc]
                leader.start().wait_until_started()
        finally:
            record.stop.set()
        for each in running:
            each.result()
    with BlockingClient(endpoints(cluster)) as client:
        found = client.get("counter")
    assert found is not None
    assert [0] * WORKERS_COUNT == unknown, "a session that is in use does not expire"
    assert sum(counted) == int(found.value)
