"""Starting once, and stopping well."""

from __future__ import annotations

import time
from typing import Any

import pytest
from clusters import ELECTION_TIMEOUT_SECONDS, Cluster, Outcome, set_command
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hraft import limits
from hraft.errors import ChangeRefused, OutcomeUnknown, ProposalDropped, ReadFailed
from hraft.raft.ready import Role
from hraft.service.surroundings import check_clock


class StoppingTests(SynchronousTestCase):
    """Clients are answered, leadership is handed over, nothing is left behind; and it never takes for ever."""

    def setUp(self) -> None:
        self.cluster = Cluster().bootstrap(3)
        self.leader = self.cluster.the_leader()
        self.follower = self.cluster.followers()[0]

    @pytest.mark.scenario("T2")
    def test_a_leader_hands_over(self) -> None:
        """What was taken is answered, and the others need no election timeout to go on."""
        written = [Outcome(self.leader.service.propose(set_command(f"k{n}", "v"))) for n in range(50)]
        began = self.cluster.clock.seconds()
        stopped = Outcome(self.leader.service.stopService())
        late = Outcome(self.leader.service.propose(set_command("late", "v")))
        new = self.cluster.elect(other_than=self.leader)
        self.assertLess(self.cluster.clock.seconds() - began, ELECTION_TIMEOUT_SECONDS / 2)
        self.cluster.run_until(lambda: stopped.is_over, "stopped")
        self.assertIsInstance(late.error, ProposalDropped)
        self.assertEqual([None] * 50, [outcome.error for outcome in written])
        self.cluster.settle()
        self.assertEqual(("v", None), (new.get("k49"), new.get("late")))

    @pytest.mark.scenario("T2")
    def test_what_was_taken_is_answered_before_it_hands_over(self) -> None:
        """In five nodes one follower may have what a majority has not: handing over to it at once would leave clients unsure."""
        cluster = Cluster().bootstrap(5)
        leader, slow = cluster.the_leader(), cluster.followers()[1:]
        for member in slow:
            member.writer.hang()
        outcome = Outcome(leader.service.propose(set_command("a", "1")))
        stopped = Outcome(leader.service.stopService())
        cluster.run(ELECTION_TIMEOUT_SECONDS / 2)
        for member in slow:
            member.writer.resume()
        cluster.run_until(lambda: stopped.is_over, "stopped")
        self.assertIsNone(outcome.error)

    @pytest.mark.scenario("T6")
    def test_nobody_to_hand_over_to(self) -> None:
        """Alone, or a follower, or without any leader: there is nothing to wait for."""
        self.cluster.network.isolate(self.follower.node_id, self.cluster.members)
        self.cluster.run(3 * ELECTION_TIMEOUT_SECONDS)
        alone = Cluster().bootstrap(1)
        for cluster, member in ((self.cluster, self.follower), (alone, alone.the_leader())):
            began = cluster.clock.seconds()
            stopped = Outcome(member.service.stopService())
            cluster.run_until(lambda stopped=stopped: stopped.is_over, "stopped")
            self.assertLess(cluster.clock.seconds() - began, 0.1)

    @pytest.mark.scenario("O13")
    def test_nothing_makes_it_take_for_ever(self) -> None:
        """The others are gone, the disk hangs, connections do not close: it ends all the same, and says what it left."""
        self.cluster.network.isolate(self.leader.node_id, self.cluster.members)
        self.leader.writer.hang()
        self.leader.background.hang()
        waiting = Outcome(self.leader.service.propose(set_command("a", "1")))
        reading = Outcome(self.leader.service.confirm_read())
        joining = self.cluster.join(self.cluster.members["node1"], by=self.leader)
        never: Deferred[None] = Deferred()
        self.leader.transport.stop = lambda: never  # type: ignore[method-assign]
        stopped = Outcome(self.leader.service.stopService())
        self.cluster.run(2 * limits.STOP_TIMEOUT_SECONDS + 6 * ELECTION_TIMEOUT_SECONDS)
        self.assertEqual((True, None), (stopped.is_over, stopped.error))
        self.assertEqual([OutcomeUnknown, ReadFailed], [type(outcome.error) for outcome in (waiting, reading)])
        self.assertTrue(joining.is_over)

    def test_no_timer_is_left(self) -> None:
        """All three at once, in the middle of things."""
        for number in range(10):
            Outcome(self.leader.service.propose(set_command(f"k{number}", "v")))
            Outcome(self.follower.service.submit(set_command(f"f{number}", "v")))
            Outcome(self.follower.service.confirm_read())
        self.cluster.run(0.001)
        self.cluster.stop()

    def test_closed_on_every_side(self) -> None:
        """Not started, stopping and stopped: refused, as certainly not done."""
        member = self.cluster.member("node9")
        member.start()
        service = member.service
        self.cluster.wait_for(service.stopService())
        asked = [service.propose(b"1"), service.submit(b"1"), service.confirm_read(), service.join("a", "b:1")]
        expected = [ProposalDropped, ProposalDropped, ReadFailed, ChangeRefused]
        self.assertEqual(expected, [type(Outcome(deferred).error) for deferred in asked])
        self.assertRaises(RuntimeError, service.startService)
        self.assertTrue(Outcome(service.stopService()).is_over)

    def test_stopping_what_never_started(self) -> None:
        """A MultiService stops all its children when one could not start."""
        from hraft.service import NodeService

        anything: Any = None
        service = NodeService(
            clock=anything,
            node_id="node0",
            cluster_id="c1",
            raft_address="a:1",
            http_address="a:2",
            storage=anything,
            transport=anything,
            state_machine=anything,
            run_in_writer=anything,
            run_in_background=anything,
            choose=anything,
            halt=anything,
        )
        self.assertTrue(Outcome(service.stopService()).is_over)
        self.assertRaises(RuntimeError, service.status)
        self.assertIsInstance(Outcome(service.propose(b"1")).error, ProposalDropped)


class StartingTests(SynchronousTestCase):
    """From nothing, from a log, and with the wrong clock."""

    @pytest.mark.scenario("E20")
    def test_bootstrap_and_restart_alone(self) -> None:
        """A restarted single node is elected before it serves, and never bootstraps a second time."""
        cluster = Cluster().bootstrap(1)
        node0 = cluster.the_leader()
        cluster.write("a", "1")
        term = node0.service.status().term
        node0.crash()
        node0.start(bootstrap=True)
        self.assertEqual((Role.FOLLOWER, None), (node0.role, node0.get("a")))
        cluster.elect()
        cluster.run(0.1)
        self.assertGreater(node0.service.status().term, term)
        self.assertEqual(("1", ["node0"]), (node0.get("a"), list(node0.service.status().configuration.voters)))

    @pytest.mark.scenario("X1")
    def test_the_wall_clock_is_refused(self) -> None:
        """Whoever sets it would start elections everywhere."""

        class Wall(Clock):
            seconds = staticmethod(time.time)  # type: ignore[assignment]

        self.assertRaises(RuntimeError, check_clock, Wall())
        check_clock(Clock())
