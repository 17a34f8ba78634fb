"""Ways to peers: dialled at once, dialled again, never in a hurry, never given up; and what waits in them is bounded."""

from __future__ import annotations

import pytest
from fake_network import Network, Node, PeersTestCase, hello_bytes, stranger_at

from hraft import limits
from hraft.errors import BadAddress
from hraft.interfaces import ChunkEnvelope, SnapshotChunk
from hraft.peers.hello import Purpose
from hraft.raft.configuration import Configuration
from hraft.raft.entry import Entry, EntryKind, Snapshot
from hraft.raft.messages import AppendEntries, Envelope, TimeoutNow

SNAPSHOT = Snapshot(9, 3, Configuration(voters={"n1": "n1:1"}))


def message(term: int) -> Envelope:
    return Envelope("n1", "n2", TimeoutNow(term))


def chunk(offset: int, size_bytes: int = 10) -> ChunkEnvelope:
    return ChunkEnvelope("n1", "n2", SnapshotChunk(3, SNAPSHOT, offset, 10_000, b"x" * size_bytes))


def big_message(size_bytes: int) -> Envelope:
    entry = Entry(1, 1, EntryKind.COMMAND, b'"' + b"x" * size_bytes + b'"')
    return Envelope("n1", "n2", AppendEntries(1, 0, 0, (entry,), 0))


class DiallingTests(PeersTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.node = self.network.node("n1")
        self.lines = self.logged()

    def pauses(self, seconds: float) -> list[float]:
        """The pauses before each of the dials of so many seconds to come, to a hundredth or two."""
        pauses, count, last = [], len(self.network.dialled), self.network.clock.seconds()
        for _ in range(round(seconds / 0.01)):
            self.network.clock.advance(0.01)
            self.network.flush()
            if len(self.network.dialled) > count:
                count, now = len(self.network.dialled), self.network.clock.seconds()
                pauses.append(now - last)
                last = now
        return pauses

    def assert_pauses(self, expected: list[float], actual: list[float]) -> None:
        self.assertEqual(len(expected), len(actual), actual)
        for one, other in zip(expected, actual, strict=True):
            self.assertApproximates(one, other, 0.021)

    def test_a_new_peer_is_dialled_at_once(self) -> None:
        """The first vote must not wait for a timer. What is sent meanwhile arrives."""
        two = self.network.node("n2")
        self.node.transport.set_peers({"n2": "n2:1"})
        self.assertEqual(["n2:1"], self.network.dialled)
        self.node.transport.send(message(3))
        self.network.flush()
        self.assertEqual([message(3)], two.messages)

    @pytest.mark.scenario("N9")
    def test_n9_back_off_doubles_up_to_a_second(self) -> None:
        """Soon enough for a restart, seldom enough for a peer that is gone for a week; and one line in the log."""
        self.node.transport.set_peers({"n2": "n2:1"})
        self.assert_pauses([0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0], self.pauses(5.0))
        self.assertEqual(1, len([line for line in self.lines if "cannot reach n2 at n2:1" in line]), self.lines)

    def test_jitter_shortens_a_pause_to_half_at_most(self) -> None:
        """Nodes that lost the same peer at the same time do not all return at the same time."""
        self.node.transport._jitter = lambda: 1.0
        self.node.transport.set_peers({"n2": "n2:1"})
        self.assert_pauses([0.025, 0.05, 0.1, 0.2, 0.4, 0.5, 0.5], self.pauses(2.0))

    @pytest.mark.scenario("N8")
    def test_a_dial_that_nobody_answers_is_given_up(self) -> None:
        """TCP itself would wait for minutes."""
        self.network.silent.add("n2:1")
        self.node.transport.set_peers({"n2": "n2:1"})
        self.assert_pauses([limits.PEER_DIAL_TIMEOUT_SECONDS + 0.05], self.pauses(limits.PEER_DIAL_TIMEOUT_SECONDS + 0.2))
        self.assertEqual(1, len([line for line in self.lines if "no answer within 2.0 s" in line]), self.lines)

    @pytest.mark.scenario("N8")
    def test_a_hello_that_nobody_answers_is_given_up(self) -> None:
        """A kernel accepts connections for a process that hangs."""
        self.network.node("n2")
        self.node.transport.set_peers({"n2": "n2:1"})
        self.network.connections[0].vanish()
        self.assert_pauses([limits.PEER_DIAL_TIMEOUT_SECONDS + 0.05], self.pauses(limits.PEER_DIAL_TIMEOUT_SECONDS + 0.2))

    def test_an_address_that_does_not_read_is_like_one_that_does_not_answer(self) -> None:
        """Addresses come from entries of the log: what others have agreed on must not stop this node."""
        self.node.transport._endpoint = _bad_address
        self.node.transport.set_peers({"n2": "nonsense"})
        self.network.advance(1)
        self.assertEqual(1, len([line for line in self.lines if "cannot read 'nonsense'" in line]), self.lines)

    def test_a_peer_that_hangs_up_at_once_is_not_dialled_without_pause(self) -> None:
        """A hello that is taken is no proof that the peer is well."""
        self.network.node("n2")
        self.node.transport.set_peers({"n2": "n2:1"})
        count = 0
        for _ in range(100):
            self.network.flush()
            for connection in self.network.connections:
                connection.cut()
                count += 1
            self.network.advance(0.05)
        self.assertLessEqual(count, 10)

    def test_a_lost_peer_is_dialled_soon(self) -> None:
        """The first retry is well within an election timeout, after a connection that was good."""
        self.network.node("n2")
        self.node.transport.set_peers({"n2": "n2:1"})
        self.network.advance(5)
        self.network.connections[0].cut()
        self.network.flush()
        self.assert_pauses([0.05], self.pauses(1.0))

    def test_a_peer_that_dials_us_is_dialled_at_once(self) -> None:
        """A node that comes back is reached when it comes back, not a second later."""
        self.node.transport.set_peers({"n2": "n2:1"})
        self.network.advance(4)
        two = self.network.node("n2")
        two.transport.set_peers({"n1": "n1:1"})
        self.network.flush()
        self.node.transport.send(message(3))
        self.network.flush()
        self.assertEqual([message(3)], two.messages)

    def test_what_is_sent_while_waiting_is_lost(self) -> None:
        """A message that is a second old is noise: Raft repeats what matters."""
        self.node.transport.set_peers({"n2": "n2:1"})
        self.network.advance(2)
        self.node.transport.send(message(3))
        two = self.network.node("n2")
        self.network.advance(2)
        self.assertEqual([], two.messages)

    def test_a_changed_address_is_dialled_and_the_old_one_left(self) -> None:
        """Messages go where the configuration says."""
        self.network.node("n2")
        self.node.transport.set_peers({"n2": "n2:1"})
        self.network.flush()
        moved = self.network.node("n2")
        self.network.listening["elsewhere:1"] = moved.transport.factory
        self.node.transport.set_peers({"n2": "elsewhere:1"})
        self.network.flush()
        self.node.transport.send(message(3))
        self.network.flush()
        self.assertEqual([message(3)], moved.messages)
        self.assertEqual(1, len(self.network.connections))

    def test_a_peer_let_go_is_not_dialled(self) -> None:
        """In whatever state its link is: waiting, dialling, connected."""
        self.network.silent.add("n3:1")
        self.network.node("n4")
        self.node.transport.set_peers({"n2": "n2:1", "n3": "n3:1", "n4": "n4:1"})
        self.network.flush()
        self.node.transport.set_peers({})
        self.network.flush()
        self.assertEqual([], self.network.connections)
        self.assertEqual([], self.pauses(3.0))
        self.assertEqual([], self.network.clock.getDelayedCalls())

    def test_peers_may_be_named_before_the_start(self) -> None:
        """They are dialled when there is somebody to hear them."""
        node = self.network.node("n5", starts=False)
        node.transport.set_peers({"n1": "n1:1"})
        node.transport.send(message(3))
        self.assertEqual([], self.network.dialled)
        node.transport.start(node.receivers)
        self.assertEqual(["n1:1"], self.network.dialled)

    def test_after_the_stop_nothing_is_dialled(self) -> None:
        """Nor does anything raise."""
        self.node.transport.stop()
        self.node.transport.set_peers({"n2": "n2:1"})
        self.node.transport.send(message(3))
        self.assertEqual([], self.network.dialled)


def _bad_address(address: str) -> object:
    raise BadAddress(f"cannot read {address!r}")


class BulkTests(PeersTestCase):
    @pytest.mark.scenario("S10")
    def test_s10_snapshots_have_a_connection_of_their_own(self) -> None:
        """A heartbeat does not wait behind a snapshot."""
        one, two = self.network.pair()
        one.transport.send_chunk(chunk(0))
        self.network.flush()
        self.assertEqual([chunk(0)], two.chunks)
        self.assertEqual(3, len(self.network.connections))
        self.network.connections[2].vanish()
        one.transport.send_chunk(chunk(10))
        one.transport.send(message(3))
        self.network.flush()
        self.assertEqual([message(3)], two.messages)
        self.assertEqual([chunk(0)], two.chunks)

    def test_it_is_dialled_when_there_is_something_to_send(self) -> None:
        """Most nodes never send a snapshot. What is sent first waits for the hello."""
        one, two = self.network.pair()
        self.network.advance(2)
        self.assertEqual(2, len(self.network.connections))
        for offset in range(3):
            one.transport.send_chunk(chunk(offset))
        self.network.flush()
        self.assertEqual([chunk(0), chunk(1), chunk(2)], two.chunks)

    def test_after_a_loss_it_is_dialled_with_the_next_chunk(self) -> None:
        """Not before, and not sooner than the back-off allows."""
        one, two = self.network.pair()
        one.transport.send_chunk(chunk(0))
        self.network.advance(2)
        self.network.connections[2].cut()
        self.network.flush()
        one.transport.send_chunk(chunk(1))
        self.network.advance(2)
        self.assertEqual((2, [chunk(0)]), (len(self.network.connections), two.chunks))
        one.transport.send_chunk(chunk(2))
        self.network.flush()
        self.assertEqual([chunk(0), chunk(2)], two.chunks)


class PressureTests(PeersTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.one, self.two = self.network.pair()
        self.link = self.network.connections[0]
        self.lines = self.logged()

    def held_bytes(self) -> int:
        return self.link.client_wire.held_bytes + self.link.client._outbox.waiting_bytes

    @pytest.mark.scenario("O5")
    def test_o5_a_peer_that_does_not_read_costs_a_bounded_memory(self) -> None:
        """Twisted's transports queue without end; ours drop, and say so once."""
        self.link.client_wire.is_stuck = True
        for _ in range(60):
            self.one.transport.send(big_message(500_000))
        self.assertLessEqual(self.held_bytes(), limits.PEER_QUEUE_BYTES + 200_000)
        self.assertGreater(self.held_bytes(), limits.PEER_QUEUE_BYTES - 600_000)
        self.assertEqual(1, len([line for line in self.lines if "does not take what it is sent" in line]), self.lines)
        self.assertLess(self.link.client_wire.held_bytes, 200_000)

    @pytest.mark.scenario("O5")
    def test_what_was_queued_arrives_whole_and_in_order(self) -> None:
        """Dropping is of whole messages; a peer that reads again gets no torn box."""
        self.link.client_wire.is_stuck = True
        sent = [big_message(size) for size in (400_000, 10, 70_000, 65_535, 1)]
        for envelope in sent:
            self.one.transport.send(envelope)
        self.link.client_wire.is_stuck = False
        self.network.flush()
        self.assertEqual(sent, self.two.messages)
        self.assertEqual(0, self.held_bytes())

    @pytest.mark.scenario("O5")
    def test_what_waits_for_the_hello_is_bounded(self) -> None:
        """Before there is a connection as well as after."""
        self.network.silent.add("n3:1")
        self.one.transport.set_peers({"n2": "n2:1", "n3": "n3:1"})
        for _ in range(60):
            self.one.transport.send(Envelope("n1", "n3", big_message(500_000).message))
        self.assertLessEqual(self.one.transport._links["n3", Purpose.MESSAGES]._pending_bytes, limits.PEER_QUEUE_BYTES)

    def test_a_full_queue_empties_and_is_used_again(self) -> None:
        """After pressure comes normal life, on the same connection."""
        self.link.client_wire.is_stuck = True
        for _ in range(40):
            self.one.transport.send(big_message(500_000))
        self.link.client_wire.is_stuck = False
        self.network.flush()
        self.one.transport.send(message(9))
        self.network.flush()
        self.assertEqual(message(9), self.two.messages[-1])
        self.assertEqual(1, self.network.dialled.count("n2:1"))

    @pytest.mark.scenario("N8", "O5")
    def test_n8_a_peer_that_takes_nothing_is_hung_up_on(self) -> None:
        """Its queue would be stale for ever; a new connection may work."""
        self.link.vanish()
        for _ in range(5):
            self.one.transport.send(big_message(500_000))
        self.network.advance(limits.PEER_SILENCE_SECONDS + 0.5)
        self.assertTrue(self.link.client_wire.was_aborted)
        self.assertEqual(1, len([line for line in self.lines if "lost n2 at n2:1" in line and "3.0 s" in line]), self.lines)
        self.one.transport.send(message(9))
        self.network.flush()
        self.assertEqual([message(9)], self.two.messages)

    @pytest.mark.scenario("N8")
    def test_n8_a_peer_that_vanished_is_noticed_without_traffic(self) -> None:
        """The kernel takes our few bytes for many minutes, without telling that nobody is there."""
        self.link.vanish()
        self.network.advance(limits.PEER_SILENCE_SECONDS + 0.5)
        self.assertTrue(self.link.client_wire.was_aborted)
        self.assertTrue(self.link.server_wire.was_aborted)
        self.assertEqual(2, self.network.dialled.count("n2:1"))

    def test_a_slow_peer_is_alive(self) -> None:
        """It takes a little in each second, and its answer to a ping is far behind: no reason to start again from zero."""
        self.link.client_wire.is_stuck = True
        for _ in range(20):
            self.one.transport.send(big_message(500_000))
        for _ in range(15):
            self.network.advance(1.0, 0.5)
            self.link.client_wire.is_stuck = False
            self.link.pump.pump()
            self.link.client_wire.is_stuck = True
        self.assertFalse(self.link.client_wire.was_aborted)
        self.link.client_wire.is_stuck = False

    def test_idle_connections_stay(self) -> None:
        """Silence of the nodes is not silence of the connection: pings go on."""
        self.network.advance(60, 0.5)
        self.assertEqual(1, self.network.dialled.count("n2:1"))


class DuplicateTests(PeersTestCase):
    def test_the_newest_connection_of_a_peer_counts(self) -> None:
        """Its old one is half-open, or it would not have dialled: nothing is said there, and it goes within seconds."""
        one, two = self.network.pair()
        self.network.connections[0].vanish()
        other = Node(self.network, one.transport.identity)
        self.network.nodes.append(other)
        other.transport.start(other.receivers)
        other.transport.set_peers({"n2": "n2:1"})
        self.network.flush()
        self.assertIs(self.network.connections[-1].server, two.transport._accepted.connection_from("n1", Purpose.MESSAGES))
        self.network.advance(limits.PEER_SILENCE_SECONDS, 0.5)
        self.assertEqual(1, len([c for c in two.transport._accepted.connections if c.peer and c.peer.node_id == "n1"]))
        other.transport.send(message(4))
        self.network.flush()
        self.assertEqual([message(4)], two.messages)
        other.transport.set_peers({})
        one.transport.set_peers({})


    @pytest.mark.scenario("O10")
    def test_an_overheard_hello_cuts_nobody_off(self) -> None:
        """Whoever repeats what a peer has said must not end that peer's connection, let alone again and again."""
        one, two = self.network.pair()
        first = two.transport._accepted.connection_from("n1", Purpose.MESSAGES)
        for _ in range(20):
            stranger, _ = stranger_at(self.network, two)
            stranger.write(hello_bytes(node_id="n1", to="n2"))
            self.network.advance(0.1)
        self.assertEqual(2, self.network.dialled.count("n1:1") + self.network.dialled.count("n2:1"))
        self.network.advance(limits.PEER_SILENCE_SECONDS, 0.5)
        self.assertIs(first, two.transport._accepted.connection_from("n1", Purpose.MESSAGES))
        one.transport.send(message(4))
        self.network.flush()
        self.assertEqual([message(4)], two.messages)


class StopTests(PeersTestCase):
    def test_what_was_sent_before_the_stop_leaves(self) -> None:
        """A leader's last word is TimeoutNow."""
        one, two = self.network.pair()
        one.transport.send(message(3))
        stopped = one.transport.stop()
        self.assertNoResult(stopped)
        self.network.flush()
        self.successResultOf(stopped)
        self.assertEqual([message(3)], two.messages)

    def test_a_peer_that_does_not_read_does_not_keep_a_node_from_stopping(self) -> None:
        """It gets a little time, and no more."""
        one, _ = self.network.pair()
        for connection in self.network.connections:
            connection.vanish()
        one.transport.send(big_message(500_000))
        stopped = one.transport.stop()
        self.network.advance(limits.PEER_SILENCE_SECONDS + 1)
        self.successResultOf(stopped)

    def test_in_the_middle_of_everything(self) -> None:
        """Dialling, waiting, greeting, half greeted, pressed: nothing is left, nothing raises."""
        network: Network = self.network
        one = network.node("n1")
        network.silent.add("n3:1")
        network.node("n2")
        one.transport.set_peers({"n2": "n2:1", "n3": "n3:1", "n4": "n4:1"})
        one.transport.send_chunk(chunk(0))
        stranger_at(network, one)[0].write(b"\0")
        asked = one.transport.dial_back("n3:1")
        asked.addErrback(lambda failure: None)
        stopped = one.transport.stop()
        network.flush()
        self.successResultOf(stopped)
        self.assertEqual([], [call for call in network.clock.getDelayedCalls() if "_look" not in str(call)])
