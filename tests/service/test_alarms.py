"""Alarms that a node raises by itself, and whether it is ready: a disk that fills, a quorum that is lost, and both back again."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from unittest import TestCase

import pytest
from clusters import Cluster, Outcome, delete_command, set_command
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher

from hraft.errors import DiskFull, PeerUnreachable
from hraft.interfaces import DiskUse, Precautions
from hraft.kv.commands import Delete, GrantLease, Once, RevokeLease, Set, encode_command, frees_room
from hraft.kv.transactions import DeleteRange, Put, Transaction
from hraft.questions import ClusterView, ShareView
from hraft.service.alarms import DISK_FULL, Alarm, Alarms
from hraft.service.events import Events
from hraft.service.health import Check

MIB = 1024 * 1024


def precautions(disk_use: Callable[[], DiskUse]) -> Precautions:
    """A reserve of 64 MiB on this disk."""
    return Precautions(disk_reserve_bytes=64 * MIB, disk_use=disk_use, frees_room=frees_room)


class AlarmTests(TestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.lines: list[str] = []
        self.fields: dict[str, object] = {}
        self.alarms = Alarms(self.clock, Events("node0"))
        globalLogPublisher.addObserver(self.log)
        self.addCleanup(globalLogPublisher.removeObserver, self.log)

    def log(self, event: object) -> None:
        assert isinstance(event, dict)
        if "alarm" in event:
            self.lines.append(event["log_level"].name)
            self.fields = event

    def test_one_alarm_for_one_condition(self) -> None:
        """Found again and again it is one line in the log, and keeps the time at which it began; over, it is gone."""
        self.alarms.sound(Alarm(DISK_FULL, ("node0",), "3 MiB left"))
        self.clock.advance(5)
        self.alarms.sound(Alarm(DISK_FULL, ("node0",), "2 MiB left"))
        [alarm] = self.alarms.active
        self.assertEqual(("2 MiB left", 5.0), (alarm.detail, self.alarms.age_seconds(alarm)))
        self.assertEqual(["critical"], self.lines)
        told = [self.fields[name] for name in ("node", "alarm", "members", "detail")]
        self.assertEqual(["node0", DISK_FULL, ["node0"], "3 MiB left"], told, "for whoever searches the log")
        self.alarms.clear(DISK_FULL)
        self.alarms.clear(DISK_FULL)
        self.assertEqual(((), ["critical", "info"]), (self.alarms.active, self.lines))


class RoomTests(TestCase):
    def setUp(self) -> None:
        self.free_bytes = 100 * MIB
        self.cluster = Cluster(seed=3).bootstrap(1)
        self.restart()

    def restart(self) -> None:
        member = self.cluster.members["node0"]
        member.crash()
        member.start(precautions=precautions(lambda: DiskUse(self.free_bytes)))
        self.cluster.elect()
        self.service = member.service
        self.cluster.run(1.5)

    def tearDown(self) -> None:
        self.cluster.stop()

    def has(self, free_mib: int) -> None:
        self.free_bytes = free_mib * MIB
        self.cluster.run(1.5)

    def write(self, command: bytes | None = None) -> Outcome:
        return self.cluster.wait_for(self.service.propose(command or set_command("a", "1")))

    @pytest.mark.scenario("O16")
    def test_writes_are_refused_before_the_disk_is_full(self) -> None:
        """What is left is for what the cluster has agreed on, and for what makes room."""
        self.assertIsNone(self.write().error)
        self.has(63)
        error = self.write().error
        assert isinstance(error, DiskFull)
        self.assertIn("the disk of node0 has 63 MiB left, and 64 MiB are kept in reserve", str(error))
        self.assertIsNone(self.write(delete_command("a")).error)

    @pytest.mark.scenario("O16")
    def test_it_clears_itself(self) -> None:
        """A disk at the bound does not refuse every second write: there must be a quarter more than the reserve."""
        self.has(63)
        self.assertEqual([DISK_FULL], [alarm.kind for alarm in self.service.alarms.active])
        self.has(70)
        self.assertIsInstance(self.write().error, DiskFull)
        self.has(80)
        self.assertIsNone(self.write().error)
        self.assertEqual((), self.service.alarms.active)
        self.has(65)
        self.assertIsNone(self.write().error, "above the reserve nothing is refused unless it was below")

    def test_a_node_that_is_short_of_room_is_not_ready(self) -> None:
        """Clients had better go elsewhere, and its line says why."""
        self.has(1)
        failed = [check for check in self.service.readiness() if not check.is_ok]
        self.assertEqual(["disk"], [check.name for check in failed])
        self.assertIn("1 MiB left", failed[0].words)
        self.assertTrue(all(check.is_ok for check in self.service.liveness()), "it need not be killed for that")

    def test_what_frees_room(self) -> None:
        """Deletes and the ends of leases; whatever may put anything does not."""
        put, gone = Put(b"a", b"1"), DeleteRange(b"a", b"b")
        for command in (Delete(b"a"), RevokeLease(4), Transaction((), (gone,), ()), Once(1, 1, Delete(b"a"))):
            self.assertTrue(frees_room(encode_command(command)), command)
        for command in (Set(b"a", b"1"), GrantLease(5), Transaction((), (gone,), (put,)), Once(1, 1, Set(b"a", b"1"))):
            self.assertFalse(frees_room(encode_command(command)), command)
        self.assertFalse(frees_room(b"{}"))

    def test_a_directory_that_cannot_be_asked(self) -> None:
        """It says nothing of room: no alarm, no defect, and the next look is taken."""

        def gone() -> DiskUse:
            raise FileNotFoundError("gone")

        member = self.cluster.members["node0"]
        member.crash()
        member.start(precautions=precautions(gone))
        self.cluster.elect()
        self.service = member.service
        self.cluster.run(3.0)
        self.assertIsNone(self.write().error)
        self.assertEqual(([], ()), (member.halted, self.service.alarms.active))


class ReadyTests(TestCase):
    def setUp(self) -> None:
        self.cluster = Cluster(seed=4).bootstrap(3)
        self.cluster.settle()

    def tearDown(self) -> None:
        self.cluster.stop()

    def failed(self, node_id: str) -> list[str]:
        return [check.name for check in self.cluster.members[node_id].service.readiness() if not check.is_ok]

    def test_all_are_ready(self) -> None:
        """Leader and followers, when nothing is wrong; and each check says what it saw."""
        self.cluster.run(1.0)
        for member in self.cluster.members.values():
            checks = {check.name: check for check in member.service.readiness()}
            self.assertEqual([], [check for check in checks.values() if not check.is_ok])
            self.assertEqual(self.cluster.the_leader().node_id, checks["leader"].words)
            self.assertEqual(("voter", "writable"), (checks["member"].words, checks["disk"].words))

    @pytest.mark.scenario("O17")
    def test_without_a_quorum_nobody_is_ready(self) -> None:
        """Nothing can be written, and no read is certain; but the process lives, and must not be killed for it."""
        self.cluster.run(1.0)
        leader = self.cluster.the_leader()
        for follower in self.cluster.followers():
            follower.crash()
        self.cluster.run(2.0)
        failed = self.failed(leader.node_id)
        self.assertLessEqual({"leader", "quorum"}, set(failed))
        self.assertTrue(all(check.is_ok for check in leader.service.liveness()))
        for member in self.cluster.members.values():
            if member is not leader:
                member.start()
        self.cluster.settle()
        self.cluster.run(1.0)
        self.assertEqual([[], [], []], [self.failed(node_id) for node_id in self.cluster.members])

    def test_a_node_that_is_no_member(self) -> None:
        """It serves nobody, although it runs."""
        stranger = self.cluster.member("node9")
        stranger.start()
        self.cluster.run(1.0)
        self.assertLessEqual({"member", "leader", "applied"}, set(self.failed("node9")))

    def test_a_node_that_stops(self) -> None:
        """Load balancers should look elsewhere while the last answers leave; a node that met a failure should be replaced."""
        member = self.cluster.followers()[0]
        stopping: Deferred[None] = member.service.stopService()
        self.assertIn(Check("running", False, "this node is stopping"), member.service.readiness())
        self.cluster.wait_for(stopping)
        other = self.cluster.followers()[0]
        other.service._halt("the disk failed")
        self.assertEqual(["disk"], [check.name for check in other.service.liveness() if not check.is_ok])
        other.crash()


class SharedTests(TestCase):
    """What members tell each other, beside Raft, of how they are."""

    def setUp(self) -> None:
        self.free_bytes = {f"node{number}": 100 * MIB for number in range(3)}
        self.cluster = Cluster(seed=4).bootstrap(3)
        for node_id, member in self.cluster.members.items():
            member.crash()
            member.start(precautions=precautions(partial(self.disk_use, node_id)))
        self.cluster.elect()
        self.cluster.settle()
        self.addCleanup(self.cluster.stop)
        self.leader = self.cluster.the_leader().service

    def disk_use(self, node_id: str) -> DiskUse:
        return DiskUse(self.free_bytes[node_id])

    def listed(self) -> list[tuple[str, ...]]:
        return [alarm.members for alarm in self.leader.alarms.active if alarm.kind == DISK_FULL]

    @pytest.mark.scenario("O16")
    def test_the_leader_lists_full_disks(self) -> None:
        """Whoever asks one node learns of all; the leader itself is ready, and takes writes."""
        first, second = (member.node_id for member in self.cluster.followers())
        self.free_bytes[first] = MIB
        self.cluster.run(3.0)
        self.assertEqual([(first,)], self.listed())
        self.free_bytes[second] = MIB
        self.cluster.run(3.0)
        self.assertEqual({(first,), (second,)}, set(self.listed()))
        for alarm in self.leader.alarms.active:
            self.assertIn(f"the disk of {alarm.members[0]} has 1 MiB left", alarm.detail)
        self.assertEqual((), self.leader.alarms.own)
        self.assertTrue(all(check.is_ok for check in self.leader.readiness()))
        self.assertIsNone(self.cluster.wait_for(self.leader.propose(set_command("a", "1"))).error)

    @pytest.mark.scenario("O16")
    def test_it_is_over_when_there_is_room(self) -> None:
        """Or nobody would believe the list."""
        other = self.cluster.followers()[0].node_id
        self.free_bytes[other] = MIB
        self.cluster.run(3.0)
        self.free_bytes[other] = 100 * MIB
        self.cluster.run(12.0)
        self.assertEqual([], self.listed())

    def test_who_says_nothing_is_forgotten(self) -> None:
        """A dead node has no alarm: that it is silent is shown elsewhere. While it lives it is listed, however long that is."""
        other = self.cluster.followers()[0]
        self.free_bytes[other.node_id] = MIB
        self.cluster.run(45.0)
        self.assertEqual([(other.node_id,)], self.listed())
        other.crash()
        self.cluster.run(35.0)
        self.assertEqual([], self.listed())

    def test_a_follower_is_told_how_far_the_others_are(self) -> None:
        """For whoever looks at its page; what was said is not believed for long, nor of another leader."""
        follower = self.cluster.followers()[0].service
        self.assertEqual({}, dict(follower.member_views()))
        follower.look_around()
        self.cluster.run(0.5)
        views = follower.member_views()
        self.assertEqual({"node0", "node1", "node2"}, set(views))
        self.assertEqual({self.leader.status().last.index}, {view.match_index for view in views.values()})
        self.assertEqual(0.0, views[self.leader.node_id].silent_seconds)
        self.cluster.run(4.0)
        self.assertEqual({}, dict(follower.member_views()))

    def test_a_leader_of_an_earlier_release(self) -> None:
        """Does not know the question: then a follower knows what it knew before, and asks again."""
        follower = self.cluster.followers()[0]
        call = follower.transport.call

        def called(to: str, request: Any) -> Deferred[Any]:
            if isinstance(request, ShareView):
                return fail(PeerUnreachable("the peer's release of hraft does not know this question"))
            return call(to, request)

        follower.transport.call = called  # type: ignore[method-assign]
        follower.service.look_around()
        self.cluster.run(0.5)
        self.assertEqual({}, dict(follower.service.member_views()))
        follower.transport.call = call  # type: ignore[method-assign]
        follower.service.look_around()
        self.cluster.run(0.5)
        self.assertEqual(3, len(follower.service.member_views()))

    def test_answers_that_do_not_read(self) -> None:
        """Are of a later release's making, and no defect."""
        follower = self.cluster.followers()[0]
        follower.transport.call = lambda to, request: succeed(ClusterView(b'{"members":1}'))  # type: ignore[method-assign]
        follower.service.look_around()
        self.assertEqual({}, dict(follower.service.member_views()))
