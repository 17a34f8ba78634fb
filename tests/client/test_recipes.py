"""Leases, locks and elections: one holder at a time, in order, and a fence that stops a former one."""

from __future__ import annotations

import gc
from random import Random
from typing import Any

from client_cases import ClientTestCase
from fake_cluster import FakeCluster
from twisted.internet.defer import CancelledError, Deferred

import hraft.client as hraft
from hraft.client import Fence, HraftClient, Lock, Put
from hraft.kv.bounds import StoreLimits
from hraft.kv.commands import RevokeLease, Set


class LeaseTests(ClientTestCase):
    """A lease lives while it is kept alive, and its owner knows in time when it does not."""

    def test_kept_alive(self) -> None:
        """Three times within its time, and no longer than its owner wants it."""
        lease = self.done(self.client.lease(9))
        self.done(self.client.put("a", "1", lease=lease.id))
        self.done(lease.__aenter__())
        self.cluster.advance(100)
        self.assertTrue(lease.is_held)
        self.assertIn(len(self.said("POST", f"/v1/leases/{lease.id}/keepalive")), (32, 33, 34))
        self.assertEqual((b"a",), self.done(self.client.lease_times(lease.id)).keys)
        self.assertEqual([lease.id], [each.lease for each in self.done(self.client.leases())])
        self.done(lease.__aexit__(None, None, None))
        self.assertFalse(lease.is_held)
        self.assertIsNone(self.done(self.client.get("a")))
        self.assertEqual([], self.cluster.clock.getDelayedCalls())

    def test_all_leases(self) -> None:
        """Over as many pages as there are."""
        leases = [self.done(self.client.lease(90)).id for _ in range(5)]
        self.assertEqual(leases, [each.lease for each in self.done(self.client.leases())])

    def test_not_kept_alive(self) -> None:
        """Without `keep` it ends by itself, and its keys with it."""
        lease = self.done(self.client.lease(9))
        self.done(self.client.put("a", "1", lease=lease.id))
        self.cluster.advance(10)
        self.assertFalse(lease.is_held)
        self.assertIsNone(self.done(self.client.get("a")))
        self.fails(hraft.LeaseLost, lease.keep_alive())
        self.fails(hraft.LeaseNotFound, self.client.put("a", "1", lease=lease.id))
        self.fails(hraft.LeaseNotFound, self.client.revoke(lease.id))

    def test_lost_before_the_cluster_ends_it(self) -> None:
        """Nobody can be asked: the owner stops believing in it no later than the cluster, which counts from a later moment."""
        lease = self.done(self.client.lease(9)).keep()
        lost: list[float] = []
        lease.on_lost(lambda: lost.append(self.cluster.clock.seconds()))
        self.cluster.advance(7)
        sent = self.said("POST", "/v1/leases/")
        self.assertEqual(2, len(sent))
        self.cluster.down.update(self.cluster.nodes)
        ends_at = self.cluster.deadlines[lease.id]
        self.cluster.advance(20, step=0.125)
        [at] = lost
        self.assertLessEqual(at, ends_at)
        self.assertGreater(at, ends_at - 0.6)
        self.assertEqual([], self.cluster.clock.getDelayedCalls())

    def test_an_answer_that_comes_late_extends_from_when_it_was_asked(self) -> None:
        """The cluster counted from when the question came, which was long ago."""
        lease = self.done(self.client.lease(9))
        self.cluster.faults.append(self.cluster.hang)
        asking = self.begin(lease.keep_alive())
        self.cluster.advance(8)
        self.assertNoResult(asking)
        self.assertAlmostEqual(1.0, lease.remaining_seconds)
        lease.let_go()
        asking.cancel()
        self.failureResultOf(asking)
        lease = self.done(self.client.lease(9))
        late: Deferred[Any] = Deferred()
        self.cluster.faults.append(lambda asked: late.addCallback(lambda _: self.cluster.answer(asked)))
        asking = self.begin(lease.keep_alive())
        self.cluster.advance(4)
        late.callback(None)
        self.successResultOf(asking)
        self.assertAlmostEqual(5.0, lease.remaining_seconds)

    def test_revoked_by_others(self) -> None:
        """The next question tells, long before the time is over."""
        lease = self.done(self.client.lease(30)).keep()
        lost = lease.lost()
        self.cluster.apply(RevokeLease(lease.id))
        self.cluster.advance(11)
        self.successResultOf(lost)
        self.assertFalse(lease.is_held)
        called: list[int] = []
        lease.on_lost(lambda: called.append(1))
        self.assertEqual([1], called)
        gc.collect()
        self.assertEqual([], self.flushLoggedErrors())


class LockTests(ClientTestCase):
    """Locks of several clients in one cluster."""

    def locks(self, count: int, ttl_seconds: int = 9) -> list[Lock]:
        return [self.new_client().lock("jobs", ttl_seconds=ttl_seconds) for _ in range(count)]

    def test_in_the_order_of_asking(self) -> None:
        """Fair, one at a time, each with a higher fence; who leaves wakes the next and nobody else."""
        locks = self.locks(5)
        waits = [self.begin(lock.acquire()) for lock in locks]
        fences = []
        for number, wait in enumerate(waits):
            self.cluster.advance(1)
            fences.append(self.successResultOf(wait))
            self.assertEqual([number], [each for each, lock in enumerate(locks) if lock.is_held])
            for later in waits[number + 1 :]:
                self.assertNoResult(later)
            looks = [asked for asked in self.said("GET", "/v1/kv") if "after" not in asked.query]
            self.done(locks[number].release())
            looks_later = [asked for asked in self.said("GET", "/v1/kv") if "after" not in asked.query]
            self.assertEqual(min(1, 4 - number), len(looks_later) - len(looks))
        self.assertEqual(sorted(fences, key=lambda fence: fence.revision), fences)
        self.assertEqual(5, len({fence.revision for fence in fences}))
        self.assertEqual(0, self.cluster.store.count())

    def test_a_holder_who_leaves_just_before_the_watch_begins(self) -> None:
        """Between the look at the queue and the watch anything can happen: the watch begins where the look was."""
        first, second = self.locks(2)
        self.done(first.acquire())
        answer = self.cluster.answer

        def leaving(asked: Any) -> Any:
            if asked.path == "/v1/watch" and self.cluster.store.leases_count == 2:
                self.cluster.apply(RevokeLease(first.lease.id))
            return answer(asked)

        self.cluster.answer = leaving  # type: ignore[method-assign]
        self.done(second.acquire(), seconds=1)

    def test_one_who_leaves_from_the_middle(self) -> None:
        """Whose place is behind theirs does not take the lock for free."""
        first, second, third = self.locks(3)
        self.done(first.acquire())
        leaving, waiting = self.begin(second.acquire()), self.begin(third.acquire())
        leaving.cancel()
        self.failureResultOf(leaving, CancelledError)
        self.cluster.advance(30)
        self.assertNoResult(waiting)
        self.done(first.release())
        self.successResultOf(waiting)
        self.done(third.release())
        self.assertEqual([], self.cluster.clock.getDelayedCalls())

    def test_a_holder_who_is_cut_off(self) -> None:
        """The next has the lock when the lease has ended, not before; the first knew it before; its guarded write is refused."""
        first, second = self.locks(2)
        fence = self.done(first.acquire())
        lost: list[float] = []
        first.on_lost(lambda: lost.append(self.cluster.clock.seconds()))
        waiting = self.begin(second.acquire())
        first._client.caller.endpoints.urls = ("http://nowhere:1",)
        first._client.caller.endpoints.leader = None
        for _ in range(40):
            self.cluster.advance(0.5)
            self.assertFalse(first.is_held and second.is_held)
        later = self.successResultOf(waiting)
        self.assertGreater(later.revision, fence.revision)
        self.assertEqual(1, len(lost))
        self.fails(hraft.LockLost, first.put("result", "old"))
        self.assertRaises(hraft.LockLost, lambda: first.fence)
        done = self.done(self.client.txn([fence.holds], [Put("result", "old")]))
        self.assertFalse(done.succeeded)
        self.done(second.put("result", "new"))
        self.assertEqual("new", self.done(self.client.get("result")).text)  # type: ignore[union-attr]

    def test_a_holder_who_was_asleep(self) -> None:
        """Its clock stood still, so that it believes in its lock: the cluster refuses its write all the same."""
        first, second = self.locks(2)
        self.done(first.acquire())
        lease = first.lease
        asleep_at = self.cluster.clock.seconds()
        first._client.caller.seconds = lambda: asleep_at
        self.cluster.apply(RevokeLease(lease.id))
        self.done(second.acquire())
        self.assertTrue(first.is_held)
        self.fails(hraft.LockLost, first.put("result", "old"))
        self.assertIsNone(self.done(self.client.get("result")))

    def test_two_never_pass_the_fence(self) -> None:
        """Leases end, nodes die and answers get lost at any time: of the writes that passed, fences only rise."""
        for seed in range(25):
            self.setUp()
            self._contend(Random(seed), seed)

    def _contend(self, random: Random, seed: int) -> None:
        cluster = self.cluster
        passed: list[int] = []

        async def work(client: HraftClient) -> None:
            lock = client.lock("jobs", ttl_seconds=5)
            while len(passed) < 30:
                try:
                    fence = await lock.acquire(20)
                    for _ in range(3):
                        await lock.put("by", str(fence.revision))
                except hraft.ClientError:
                    pass
                await lock.release()

        def fault(asked: Any) -> Any:
            return random.choice((cluster.lose_answer, cluster.lose_request, cluster.passed, cluster.hang))(asked)

        self.begin(self._note(passed))
        under_way = [self.begin(work(self.new_client())) for _ in range(3)]
        for _ in range(400):
            what = random.randrange(12)
            if what < 4:
                cluster.faults.append(fault)
            elif what == 4:
                cluster.down.clear()
                cluster.kill(random.randrange(3))
            elif what == 5:
                cluster.leader = random.choice((None, 0, 1, 2))
            elif what == 6 and (leases := cluster.store.leases_after(0)):
                cluster.deadlines.pop(leases[0], None)
                cluster.apply(RevokeLease(leases[0]))
            cluster.advance(0.5, step=0.1)
        cluster.faults.clear()
        cluster.down.clear()
        cluster.leader = 0
        cluster.advance(200, step=0.25)
        self.assertEqual(sorted(passed), passed, f"seed {seed}")
        self.assertGreaterEqual(len(passed), 30, f"seed {seed}")
        for each in under_way:
            self.successResultOf(each)

    async def _note(self, passed: list[int]) -> None:
        seen = self.new_client()
        async for change in seen.watch("by", since=0, patience_seconds=1e9):
            passed.extend(int(event.record.value) for event in change.events if event.record)
            if len(passed) > 60:
                return

    def test_taken_only_if_free(self) -> None:
        """0 s, and a few: whoever does not get it leaves nothing behind."""
        first, second = self.locks(2)
        self.done(first.acquire(0))
        for seconds in (0, 3):
            self.fails(hraft.LockTimeout, second.acquire(seconds), seconds=4)
            self.assertEqual(1, self.cluster.store.count())
            self.assertEqual(1, self.cluster.store.leases_count)
        self.fails(RuntimeError, first.acquire())
        self.done(first.release())
        self.done(second.acquire(0))
        self.done(second.release())
        self.done(first.acquire(0))

    def test_a_place_that_is_lost(self) -> None:
        """Whose lease ends while they wait is told, and does not go on waiting behind nothing."""
        first, second = self.locks(2)
        self.done(first.acquire())
        waiting = self.begin(second.acquire())
        self.cluster.apply(RevokeLease(second.lease.id))
        self.cluster.advance(4)
        self.failureResultOf(waiting, hraft.LockLost)
        self.assertFalse(second.is_held)

    def test_a_guarded_transaction_with_a_condition_of_its_own(self) -> None:
        """A condition that does not hold is the caller's business, and no lost lock."""
        [lock] = self.locks(1)
        self.done(lock.acquire())
        self.done(lock.put("a", "1"))
        done = self.done(lock.txn([Put("a", "2")], [hraft.Compare("a").version == 7], [hraft.Get("a")]))
        self.assertEqual((False, 1), (done.succeeded, len(done.results)))
        self.assertEqual(b"1", done.results[0].pairs[0].value)  # type: ignore[union-attr]

    def test_an_answer_lost_while_entering(self) -> None:
        """Nobody stands in a queue twice."""
        [lock] = self.locks(1)
        self.cluster.faults.extend([self.cluster.passed, self.cluster.lose_answer, self.cluster.lose_answer])
        self.done(lock.acquire(), seconds=2)
        self.assertEqual((1, 1), (self.cluster.store.count(), self.cluster.store.leases_count))

    def test_a_history_that_is_gone(self) -> None:
        """Who waits looks again, rather than for what cannot be told any more."""
        self.cluster = FakeCluster(store_limits=StoreLimits(history_events_count=2))
        self.client = self.new_client()
        first, second = self.locks(2)
        self.done(first.acquire())
        waiting = self.begin(second.acquire())
        for number in range(3):
            self.cluster.kill(number)
        for number in range(5):
            self.cluster.apply(Set(b"x", b"%d" % number))
        self.cluster.down.clear()
        self.cluster.advance(2)
        self.assertNoResult(waiting)
        self.done(first.release())
        self.successResultOf(waiting)


class ElectionTests(ClientTestCase):
    """An office, its holder and its observers."""

    def test_campaign_proclaim_resign(self) -> None:
        """Observers see each incumbent and value once, and when there is none."""
        first, second = (self.new_client().elect("office", ttl_seconds=9) for _ in range(2))
        seen: list[Any] = []
        observation = self.client.elect("office").observe()

        async def look() -> None:
            async for incumbent in observation:
                seen.append(incumbent and incumbent.value)

        looking = self.begin(look())
        fence = self.done(first.campaign("one"))
        waiting = self.begin(second.campaign("two"))
        self.done(first.proclaim("one, at another address"))
        self.assertEqual(fence, first.fence)
        self.done(first.resign())
        self.cluster.advance(1)
        self.assertGreater(self.successResultOf(waiting).revision, fence.revision)
        self.assertEqual(
            (b"two", second.fence), (lambda it: (it.value, it.fence))(self.done(self.client.elect("office").leader()))
        )
        self.fails(hraft.LockLost, first.proclaim("me still"))
        self.fails(hraft.LockLost, first.txn([Put("a", "1")]))
        self.done(second.txn([Put("a", "1")]))
        self.done(second.resign())
        self.assertIsNone(self.done(second.leader()))
        self.assertEqual([None, b"one", b"one, at another address", b"two", None], seen)
        observation.close()
        self.successResultOf(looking)
        self.assertEqual([], self.cluster.clock.getDelayedCalls())

    def test_observing_over_a_history_that_is_gone(self) -> None:
        """The present incumbent is told, also when how it came about cannot be."""
        self.cluster = FakeCluster(store_limits=StoreLimits(history_events_count=2))
        self.client = self.new_client()
        first, second = (self.new_client().elect("office", ttl_seconds=90) for _ in range(2))
        self.done(first.campaign("one"))
        observation = self.client.elect("office").observe()
        self.assertEqual(b"one", self.done(observation.__anext__()).value)  # type: ignore[union-attr]
        waiting = self.begin(observation.__anext__())
        for number in range(3):
            self.cluster.kill(number)
        self.cluster.down.clear()
        self.done(first.resign())
        self.done(second.campaign("two"))
        for number in range(5):
            self.cluster.apply(Set(b"x", b"%d" % number))
        self.cluster.advance(2)
        self.assertEqual(b"two", self.successResultOf(waiting).value)
        observation.close()

    def test_a_fence_is_a_value(self) -> None:
        """It can be written down, and compared elsewhere."""
        self.assertEqual(Fence(b"k", 3), Fence(b"k", 3))
        self.assertEqual(("create_revision", "=", 3), (lambda it: (it.target, it.relation, it.operand))(Fence(b"k", 3).holds))
