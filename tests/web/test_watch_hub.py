"""What watchers are told: every change once and in order, whoever reads how fast, and whatever comes in between."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from watch_doubles import ALL, ToldStream, Watched, change, delete, expected, messages, put, put_many, store, told

from hraft import limits
from hraft.kv.commands import Command
from hraft.kv.transactions import prefix_end
from hraft.web.problems import Problem
from hraft.web.watch.views import View

A_KEY, PREFIX = View(b"a", None), View(b"b/", prefix_end(b"b/"))


class HubTestCase(SynchronousTestCase):
    """Timers of the hub belong to its watchers: there are none without."""

    def setUp(self) -> None:
        self.watched = Watched()
        self.addCleanup(lambda: self.assertEqual([], self.left_over()))

    def left_over(self) -> list[object]:
        for watcher in list(self.watched.hub._watchers):
            self.watched.hub.remove(watcher)
        return [*self.watched.clock.getDelayedCalls(), *self.watched.hub._groups, *self.watched.hub._full]


class TellingTests(HubTestCase):
    """Clients that read."""

    def test_the_first_message_says_from_where(self) -> None:
        """A client that is cut off before anything happens knows from where to go on, too."""
        change(self.watched.store, put("a"), put("b"))
        for since, revision in ((None, 2), (1, 1), (0, 0), (2, 2)):
            first = messages(self.watched.watch(since=since).data)[0]
            self.assertEqual({"type": "progress", "revision": revision}, first)

    def test_tells_what_comes_after_now(self) -> None:
        """And nothing of what was."""
        change(self.watched.store, put("a"))
        stream = self.watched.watch()
        self.watched.change(put("a", "2"), put("b"))
        self.watched.change(delete("a"))
        self.watched.settle()
        self.assertEqual([(2, ["a=2"]), (3, ["b=1"]), (4, ["-a"])], told(stream.data))

    def test_tells_what_came_after_a_revision(self) -> None:
        """This is how a client goes on after it was cut off, at any node."""
        change(self.watched.store, put("a"), put("b"), put("c"))
        stream = self.watched.watch(since=1)
        self.watched.change(put("d"))
        self.watched.settle()
        self.assertEqual([(2, ["b=1"]), (3, ["c=1"]), (4, ["d=1"])], told(stream.data))

    def test_tells_what_is_in_view(self) -> None:
        """One key is no prefix, and a prefix is not its neighbour."""
        key, prefix, some = (self.watched.watch(view) for view in (A_KEY, PREFIX, View(b"b", b"c")))
        self.watched.change(put("a"), put("aa"), put("b"), put("b/"), put("b/x"), put("b0"), put("c"))
        self.watched.settle()
        self.assertEqual([(1, ["a=1"])], told(key.data))
        self.assertEqual([(4, ["b/=1"]), (5, ["b/x=1"])], told(prefix.data))
        self.assertEqual([3, 4, 5, 6], [revision for revision, _ in told(some.data)])

    def test_one_revision_is_one_message(self) -> None:
        """A transaction is seen whole or not at all: a client that goes on from its revision has missed no half of it."""
        stream, of_one = self.watched.watch(), self.watched.watch(A_KEY)
        self.watched.change(put_many(a="1", b="2", c="3"))
        self.watched.settle()
        self.assertEqual([(1, ["a=1", "b=2", "c=3"])], told(stream.data))
        self.assertEqual([(1, ["a=1"])], told(of_one.data))

    def test_tells_what_was_before(self) -> None:
        """To whom has asked, and for deletions too; null where there was nothing."""
        asked, not_asked = self.watched.watch(View(b"", b"", True)), self.watched.watch()
        self.watched.change(put("a"), put("a", "2"), delete("a"))
        self.watched.settle()
        events = [message["events"][0] for message in messages(asked.data)[1:]]
        self.assertEqual([None, "1", "2"], [event["prev"] and event["prev"]["value"] for event in events])
        self.assertEqual(["put", "put", "delete"], [event["type"] for event in events])
        self.assertEqual({"type": "delete", "key": "a", "mod_revision": 3}, messages(not_asked.data)[-1]["events"][0])

    def test_equal_views_get_the_same_bytes(self) -> None:
        """A message is made once, however many want it: they are the same object."""
        sent: list[bytes] = []
        for stream in [self.watched.watch(PREFIX) for _ in range(3)]:
            self.patch(stream, "send", sent.append)
        self.watched.change(put("b/1"))
        self.watched.settle()
        self.assertEqual(3, len(sent))
        self.assertEqual(1, len({id(data) for data in sent}))

    def test_a_change_costs_those_who_do_not_see_it_nothing(self) -> None:
        """A thousand watchers of other keys: not one of them is looked at."""
        self.watched = Watched(watchers_count=2000)
        streams = [self.watched.watch(View(b"k%d" % number, None)) for number in range(1000)]
        seen: list[View] = []
        self.patch(View, "sees", lambda view, key: seen.append(view))
        self.watched.change(put("k7"))
        self.watched.settle()
        self.assertEqual([7], [number for number, stream in enumerate(streams) if told(stream.data)])
        self.assertEqual([], seen)

    def test_a_late_comer_is_told_nothing_twice(self) -> None:
        """It comes between a change and the turn in which the others are told."""
        first = self.watched.watch()
        self.watched.change(put("a"))
        second, third = self.watched.watch(), self.watched.watch(since=0)
        self.watched.change(put("b"))
        self.watched.settle()
        self.assertEqual([(1, ["a=1"]), (2, ["b=1"])], told(first.data))
        self.assertEqual([(2, ["b=1"])], told(second.data))
        self.assertEqual([(1, ["a=1"]), (2, ["b=1"])], told(third.data))

    def test_telling_takes_no_more_than_half_of_the_time(self) -> None:
        """A thousand watchers of what changes all the time must not keep a leader from its heartbeats."""
        stream = self.watched.watch()
        self.patch(stream, "send", lambda data: self.watched.clock.advance(0.03))
        self.watched.change(put("a"))
        self.watched.settle()
        self.watched.change(put("b"))
        self.watched.clock.advance(0.02)
        self.assertEqual(1, self.watched.hub._position)
        self.watched.clock.advance(0.02)
        self.assertEqual(2, self.watched.hub._position)


class SlowTests(HubTestCase):
    """Clients that do not read as fast as things change."""

    def test_nothing_is_sent_to_who_does_not_read(self) -> None:
        """And nothing is kept for it: when it reads again, all comes from the history."""
        slow, fast = self.watched.watch(room_bytes=100), self.watched.watch()
        for number in range(20):
            self.watched.change(put("a", str(number)))
            self.watched.settle()
        self.assertTrue(slow.is_full)
        self.assertLess(len(slow.data), 400)
        while slow.is_full:
            slow.read()
            self.watched.settle()
        self.assertEqual(expected(list(self.watched.store.changes_after(0))), told(slow.data))
        self.assertEqual(told(fast.data), told(slow.data))

    def test_who_caught_up_is_told_with_the_others(self) -> None:
        """It is not told of anything twice at the seam."""
        slow = self.watched.watch(room_bytes=200)
        self.watched.change(*(put("a", str(number)) for number in range(5)))
        self.watched.settle()
        slow.room_bytes = None
        slow.read()
        self.watched.change(put("b"))
        self.watched.settle()
        self.watched.change(put("c"))
        self.watched.settle()
        self.assertEqual(expected(list(self.watched.store.changes_after(0))), told(slow.data))
        self.assertEqual(1, len(self.watched.hub._groups))

    def test_a_mark_may_be_one_too_many(self) -> None:
        """A client that reads nothing although nothing happens is not told of old things when it reads again."""
        change(self.watched.store, put("a"), put("b"))
        slow = self.watched.watch(room_bytes=60)
        self.watched.clock.pump([1.0] * 16)
        self.assertTrue(slow.is_full)
        self.watched.change(put("c"))
        slow.read()
        self.watched.settle()
        self.assertEqual([(3, ["c=1"])], told(slow.data))

    def test_who_catches_up_waits_for_the_others(self) -> None:
        """It is not told of what they are yet to be told of, nor does it keep the reactor busy until they are."""
        slow, fast = self.watched.watch(room_bytes=1), self.watched.watch()
        send = fast.send
        self.patch(fast, "send", lambda data: [send(data), self.watched.clock.advance(0.5)])
        self.watched.change(put("a"))
        self.watched.settle()
        self.watched.change(put("b"))
        slow.room_bytes = None
        slow.read()
        self.watched.settle()
        self.assertEqual([(1, ["a=1"])], told(slow.data))
        self.watched.clock.advance(1)
        self.assertEqual([(1, ["a=1"]), (2, ["b=1"])], told(slow.data))

    def test_who_does_not_read_at_all_is_cut_off(self) -> None:
        """It holds a place that others want. It may come back, and is told why it was cut."""
        slow, fast = self.watched.watch(room_bytes=1), self.watched.watch()
        self.watched.clock.pump([1.0] * (int(limits.WATCH_UNREAD_SECONDS) - 1))
        self.assertEqual((None, 2), (slow.ended_with, len(self.watched.hub)))
        self.watched.clock.pump([1.0, 1.0])
        self.assertEqual(("too_slow", 1, None), (slow.reason, len(self.watched.hub), fast.ended_with))

    def test_time_begins_anew_when_it_reads(self) -> None:
        """Slow is not dead."""
        slow = self.watched.watch(room_bytes=1)
        for number in range(5):
            self.watched.clock.pump([1.0] * 20)
            slow.read()
            self.watched.change(put("a", str(number)))
            self.watched.settle()
        self.assertIsNone(slow.ended_with)

    def test_who_is_too_far_behind_is_cut_off(self) -> None:
        """What it should be told next is not known any more, and a gap would be worse than an end."""
        self.watched = Watched(store(remembers_count=3))
        slow = self.watched.watch(room_bytes=1)
        for number in range(5):
            self.watched.change(put("a", str(number)))
            self.watched.settle()
        slow.read()
        self.watched.settle()
        self.assertEqual(("compacted", 2), (slow.reason, messages(slow.ended_with or b"")[0]["oldest_revision"]))
        self.assertEqual([], told(slow.data))

    def test_the_history_is_told_in_portions(self) -> None:
        """Of a long history no more is sent at once than a portion, and a turn of the reactor is not spent on one client."""
        change(self.watched.store, *(put("a", "x" * 1000) for _ in range(3000)))
        stream = self.watched.watch(since=0)
        sizes, sent, send = [0], [0], stream.send
        self.patch(stream, "send", lambda data: [sent.append(len(data)), send(data)])
        while stream.watcher is not None and stream.watcher.group is None:
            self.watched.clock.turn()
            sizes.append(len(stream.data))
            self.assertLess(sizes[-1] - sizes[-2], limits.WATCH_TURN_CHANGES_COUNT * 1200)
        self.assertLess(max(sent), limits.WATCH_PORTION_BYTES + 2000)
        self.assertEqual(list(range(1, 3001)), [revision for revision, _ in told(stream.data)])

    def test_a_portion_is_a_portion(self) -> None:
        """Whatever happens in one turn, a client that does not read is sent little more than a portion of it."""
        slow = self.watched.watch(room_bytes=1)
        slow.read()
        self.watched.settle()
        self.watched.change(*(put("a", "x" * 1000) for _ in range(1000)))
        self.watched.settle()
        self.assertLess(len(slow.data), limits.WATCH_PORTION_BYTES + 2000)


class EndTests(HubTestCase):
    """How a watch ends, or does not begin."""

    def test_a_snapshot_that_reaches_back_is_no_gap(self) -> None:
        """A follower's store is replaced while it is watched; what was committed meanwhile is in the snapshot's history."""
        stream, slow = self.watched.watch(), self.watched.watch(room_bytes=1)
        self.watched.change(put("a"))
        self.watched.settle()
        newer = self.watched.store.restored(list(self.watched.store.snapshot()))
        change(newer, put("b"), put("c"))
        self.watched.store = newer
        self.watched.hub.applied()
        self.watched.settle()
        slow.room_bytes = None
        slow.read()
        self.watched.settle()
        for each in (stream, slow):
            self.assertEqual([(1, ["a=1"]), (2, ["b=1"]), (3, ["c=1"])], told(each.data))

    def test_a_snapshot_that_does_not_is_an_end(self) -> None:
        """Nobody is told of the changes after a gap as if there were none."""
        stream = self.watched.watch()
        newer = store(remembers_count=2)
        change(newer, *(put("a", str(number)) for number in range(9)))
        self.watched.store = newer
        self.watched.hub.applied()
        self.watched.settle()
        self.assertEqual(([], "compacted"), (told(stream.data), stream.reason))

    def test_a_stop_ends_all(self) -> None:
        """With a reason, and whatever they wait for; and nobody new comes."""
        streams = [self.watched.watch(), self.watched.watch(room_bytes=1)]
        self.watched.change(put("a"))
        self.watched.hub.stop()
        self.assertEqual(["stopping"] * 2, [stream.reason for stream in streams])
        self.assertEqual("stopping", self.refusal(None))

    def test_says_what_cannot_be_watched(self) -> None:
        """Before there is an answer: a gap, a revision that was never seen, one watcher too many."""
        self.watched = Watched(store(remembers_count=2), watchers_count=1)
        change(self.watched.store, *(put("a", str(number)) for number in range(9)))
        self.assertEqual("compacted", self.refusal(6))
        self.assertEqual("bad_revision", self.refusal(10))
        for since in (7, 9, None):
            self.watched.hub.check(since)
        self.watched.watch()
        self.assertEqual("too_many_watchers", self.refusal(None))

    def refusal(self, since: int | None) -> object:
        return self.assertRaises(Problem, self.watched.hub.check, since).members["code"]

    def test_who_has_gone_is_forgotten_at_once(self) -> None:
        """In step, behind, or full; also while others are being told."""
        change(self.watched.store, *(put("a") for _ in range(5)))
        gone = [self.watched.watch(), self.watched.watch(since=0), self.watched.watch(room_bytes=1)]
        last = self.watched.watch()
        self.patch(gone[0], "send", lambda data: [self.watched.hub.remove(each.watcher) for each in gone if each.watcher])
        self.watched.change(put("b"))
        self.watched.settle()
        self.assertEqual([(6, ["b=1"])], told(last.data))
        self.assertEqual(1, len(self.watched.hub))

    def test_who_has_gone_is_not_told_of_the_past(self) -> None:
        """It was about to be."""
        change(self.watched.store, put("a"))
        gone, other = self.watched.watch(since=0), self.watched.watch(since=0)
        assert gone.watcher is not None
        self.watched.hub.remove(gone.watcher)
        self.watched.settle()
        self.assertEqual(([], [(1, ["a=1"])]), (told(gone.data), told(other.data)))

    def test_silence_is_told(self) -> None:
        """A client learns that it is connected, and from where to go on, though none of its keys has changed for long."""
        silent, told_all = self.watched.watch(A_KEY), self.watched.watch()
        for _ in range(2):
            self.watched.clock.pump([1.0] * 8)
            self.watched.change(put("b"))
            self.watched.settle()
        self.assertEqual([0, 1], [message["revision"] for message in messages(silent.data)])
        self.assertEqual(["progress", "change", "change"], [message["type"] for message in messages(told_all.data)])


commands = st.one_of(
    st.sampled_from("abcd").map(put),
    st.sampled_from("abcd").map(delete),
    st.dictionaries(st.sampled_from("abcd"), st.sampled_from("xyz"), min_size=2).map(lambda pairs: put_many(**pairs)),
)
views = st.sampled_from([ALL, A_KEY, View(b"b", b"d"), View(b"c", b"")])
steps = st.lists(
    st.one_of(
        st.tuples(st.just("change"), st.lists(commands, min_size=1, max_size=4)),
        st.tuples(st.just("settle"), st.none()),
        st.tuples(st.just("turn"), st.none()),
        st.tuples(st.just("read"), st.integers(0, 2)),
        st.tuples(st.just("cut"), st.integers(0, 2)),
        st.tuples(st.just("restore"), st.none()),
    ),
    max_size=40,
)


class ResumingTests(SynchronousTestCase):
    """The promise, whatever happens."""

    @settings(max_examples=300)
    @given(st.lists(st.tuples(views, st.sampled_from([None, 1, 300])), min_size=3, max_size=3), steps)
    def test_every_change_once_and_in_order(
        self, clients: list[tuple[View, int | None]], happens: list[tuple[str, list[Command] | int | None]]
    ) -> None:
        """Clients are cut off at any moment and go on from the last revision that they heard of: nothing is missing, or twice."""
        watched = Watched()
        streams = [watched.watch(view, 0, room) for view, room in clients]
        heard = [b"" for _ in clients]

        def resume(number: int) -> None:
            stream, (view, room) = streams[number], clients[number]
            assert stream.watcher is not None
            watched.hub.remove(stream.watcher)
            heard[number] += stream.data
            streams[number] = watched.watch(view, messages(heard[number])[-1]["revision"], room)

        for what, how in happens:
            if what == "change":
                assert isinstance(how, list)
                watched.change(*how)
            elif what == "settle":
                watched.settle()
            elif what == "turn":
                watched.clock.turn()
            elif what == "restore":
                watched.store = watched.store.restored(list(watched.store.snapshot()))
                watched.hub.applied()
            elif what == "read":
                assert isinstance(how, int)
                streams[how].read()
            else:
                assert isinstance(how, int)
                resume(how)
        self.finish(watched, streams)
        for (view, _), before, stream in zip(clients, heard, streams, strict=True):
            self.assertEqual(expected(list(watched.store.changes_after(0)), view.sees), told(before + stream.data))

    def finish(self, watched: Watched, streams: list[ToldStream]) -> None:
        for _ in range(1000):
            watched.settle()
            if not any(stream.is_full for stream in streams):
                return
            for stream in streams:
                stream.read()
        self.fail("some never catch up")
