"""The client for scripts: the same calls in a thread of its own, which ends with it."""

from __future__ import annotations

import gc
import inspect
import os
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import pytest
from fake_cluster import FakeCluster
from twisted.internet.defer import Deferred

import hraft.client as hraft
from hraft.client import Compare, Get, HraftClient, Put, reactor_thread
from hraft.client.blocking import BlockingClient
from hraft.client.elections import LeaderElection
from hraft.client.leases import Lease
from hraft.client.locks import Lock
from hraft.client.watches import Watch
from hraft.kv.commands import RevokeLease, Set


@pytest.fixture
def cluster() -> FakeCluster:
    """One node is enough: what happens between several is HraftClient's, and tested there."""
    return FakeCluster(1)


@pytest.fixture
def client(cluster: FakeCluster) -> Iterator[BlockingClient]:
    """Closed at the end; no thread is left."""
    before = threading.active_count()
    with BlockingClient(cluster.endpoints, agent=cluster) as made:
        yield made
    for thread in threading.enumerate():
        if thread.name.startswith("hraft-"):
            thread.join(60)
    assert before >= threading.active_count()


def apply(client: BlockingClient, cluster: FakeCluster, command: Any) -> None:
    """The fake belongs to the client's thread."""

    async def applied() -> None:
        cluster.apply(command)

    client._thread.run(applied)


def test_the_same_calls() -> None:
    """What HraftClient and its recipes can, the others can, under the same names."""
    with BlockingClient(FakeCluster(1).endpoints, agent=FakeCluster(1)) as client:
        recipes = [
            (client.watch("a"), Watch),
            (client.lock("a"), Lock),
            (client.elect("a"), LeaderElection),
            (client.lease(), Lease),
        ]
        for mine, theirs in ((client, HraftClient), *recipes):
            names = {name for name, _ in inspect.getmembers(theirs) if not name.startswith("_")}
            # Those are for whoever has a reactor.
            missing = names - {name for name in dir(mine) if not name.startswith("_")}
            assert missing <= {"write", "ask", "lost", "let_go", "begin", "lease", "on_lost"}, (theirs, missing)


def test_keys(client: BlockingClient, cluster: FakeCluster) -> None:
    """All of it, as plain values and plain exceptions."""
    for number in range(7):
        client.put(f"k/{number}", str(number))
    assert ["0", "1", "2", "3", "4", "5", "6"] == [pair.text for pair in client.items("k/")]
    assert 7 == client.count("k/")
    assert 2 == len(client.get_many("k/", limit=2).pairs)
    with pytest.raises(hraft.ConditionFailed) as refused:
        client.put("k/0", "other", if_absent=True)
    assert b"0" == refused.value.current.value
    done = client.txn([Compare("k/0").value == "0"], [Put("k/0", "1"), Get("k/0")])
    assert b"1" == done.results[1].pairs[0].value
    assert 1 == client.delete("k/0").deleted_count
    assert 2 == client.delete_range("k/1", "k/3").deleted_count
    assert 4 == client.delete_prefix("k/").deleted_count
    assert client.get("k/0") is None
    assert "node0" == client.cluster().leader_id
    assert 11 == client.status()["revision"]


def test_a_watch_is_an_iterator(client: BlockingClient, cluster: FakeCluster) -> None:
    """`for change in watch`, until it is closed: also from another thread while it waits."""
    with client.watch(prefix="a") as watch:
        apply(client, cluster, Set(b"a", b"1"))
        apply(client, cluster, Set(b"a", b"2"))
        seen = [next(watch).revision, next(watch).revision]
        closing = threading.Timer(0.05, watch.close)
        closing.start()
        seen += [change.revision for change in watch]
        closing.join()
    assert [1, 2] == seen
    assert 2 == watch.revision


def test_leases_locks_elections(client: BlockingClient, cluster: FakeCluster) -> None:
    """Kept alive by the thread; `with` gives them back; the loss of one is told from there."""
    with client.lease(3000) as lease:
        client.put("a", "1", lease=lease.id)
        lease.keep_alive()
        assert lease.is_held and lease.remaining_seconds > 2900
        assert (b"a",) == client.lease_times(lease.id).keys
    assert client.get("a") is None
    lock = client.lock("jobs")
    with lock as fence:
        assert lock.is_held and fence == lock.fence
        lock.put("a", "guarded")
        with pytest.raises(hraft.LockTimeout):
            client.lock("jobs").acquire(0)
        lost = threading.Event()
        lock.on_lost(lost.set)
        apply(client, cluster, RevokeLease(lock._lock.lease.id))
        with pytest.raises(hraft.LockLost):
            lock.put("a", "too late")
    election = client.elect("office")
    seen = election.observe()
    assert next(seen) is None
    election.campaign("me")
    assert b"me" == next(seen).value  # type: ignore[union-attr]
    election.proclaim("still me")
    assert b"still me" == election.leader().value  # type: ignore[union-attr]
    election.txn([Put("b", "1")])
    seen.close()  # type: ignore[attr-defined]
    election.resign()
    assert () == client.leases()


def test_after_the_end() -> None:
    """A closed client says so; closing twice is no error; nothing that the system gave is kept."""
    cluster = FakeCluster(1)
    client = BlockingClient(cluster.endpoints, agent=cluster)
    client.put("a", "1")
    lease = client.lease().keep()
    client.close()
    client.close()
    with pytest.raises(hraft.Closed):
        client.get("a")
    assert not lease.is_held
    gc.collect()  # What other tests have left open is not to be closed in between.
    descriptors = os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else []
    for _ in range(3):
        with BlockingClient(cluster.endpoints, agent=cluster) as another:
            another.get("a")
    assert len(descriptors) == (len(os.listdir("/proc/self/fd")) if descriptors else 0)


def test_closed_while_others_wait() -> None:
    """Whoever waits in another thread is told; nobody waits for ever."""
    cluster = FakeCluster(1)
    client = BlockingClient(cluster.endpoints, agent=cluster)
    cluster.faults.append(cluster.hang)
    told: list[Exception] = []

    def wait() -> None:
        try:
            client.get("a")
        except hraft.Closed as error:
            told.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    while not cluster.asked:
        waiting.join(0.001)
    client.close()
    waiting.join(60)
    assert 1 == len(told)


def test_wrong_use(client: BlockingClient) -> None:
    """A callback that would wait for its own thread is told, rather than waiting for ever; a bad endpoint leaves no thread."""
    told: list[Exception] = []

    async def called_back() -> None:
        try:
            client.get("a")
        except RuntimeError as error:
            told.append(error)

    client._thread.run(called_back)
    assert "wait for itself" in str(told[0])
    threads = threading.active_count()
    with pytest.raises(hraft.ClientError.__mro__[1]):
        BlockingClient("ftp://a:1")
    assert threads == threading.active_count()


def test_no_sleep_is_without_end(client: BlockingClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C that arrives just before a thread goes to sleep does not wake it: it must look by itself. And a call's own
    TimeoutError is the call's."""
    sleeps: list[float] = []
    waiting: Deferred[str] = Deferred()

    class Watched(Future[Any]):
        def result(self, timeout: float | None = None) -> Any:
            if not self.done():
                assert timeout is not None, "a sleep without end"
                sleeps.append(timeout)
                if len(sleeps) == 3:
                    client._thread.reactor.callFromThread(waiting.callback, "done")
            return super().result(timeout and 0.001)

    async def slow() -> str:
        return await waiting

    async def late() -> None:
        raise TimeoutError("the call's own")

    monkeypatch.setattr(reactor_thread, "Future", Watched)
    assert "done" == client._thread.run(slow)
    assert len(sleeps) >= 3
    with pytest.raises(TimeoutError, match="the call's own"):
        client._thread.run(late)
