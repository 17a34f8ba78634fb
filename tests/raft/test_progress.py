"""A follower as its leader sees it, against a window kept as a plain list."""

from __future__ import annotations

from unittest import TestCase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hraft.raft.invariants import InvariantBroken
from hraft.raft.progress import Progress, ProgressState
from hraft.raft.settings import Settings

SETTINGS = Settings(10, 3, inflight_messages_count=3, inflight_bytes=500)
VERBS = ("send", "send", "send", "accept", "accept", "refuse", "snapshot", "failed", "tick", "heartbeat")


class ProgressTests(TestCase):
    """Its transitions, and what never changes."""

    @pytest.mark.scenario("L8", "L14", "L17")
    @given(st.lists(st.tuples(st.sampled_from(VERBS), st.integers(0, 12), st.integers(0, 12)), max_size=40))
    def test_like_a_list(self, steps: list[tuple[str, int, int]]) -> None:
        """In any order: match < next, match never falls, and the window is what was sent and not yet accepted."""
        progress, window = Progress(5, SETTINGS), []
        for verb, one, other in steps:
            match_index, state = progress.match_index, progress.state
            if verb == "send" and not progress.is_paused:
                last_index = progress.next_index - 1 + one % 4
                size_bytes = 100 * (one % 4)
                if state is ProgressState.REPLICATE and last_index >= progress.next_index:
                    window.append((last_index, size_bytes))
                progress.sent(last_index, size_bytes, commit_index=other)
            elif verb == "accept":
                # A follower accepts what it was sent: it never says more than the leader has.
                self.assertEqual(one > match_index, progress.acknowledged(one, other, base_index=3))
            elif verb == "refuse":
                changed = progress.refused(one, other)
                is_stale = one <= match_index or (state is ProgressState.PROBE and one != progress.next_index - 1 and not changed)
                self.assertTrue(changed or is_stale or state is ProgressState.SNAPSHOT)
            elif verb == "snapshot" and not progress.is_waiting:
                progress.snapshot_sent(one)
            elif verb == "failed":
                progress.snapshot_failed()
            elif verb == "tick":
                progress.tick()
            elif verb == "heartbeat":
                progress.is_probe_sent = False
            if progress.state is not ProgressState.REPLICATE or state is not ProgressState.REPLICATE:
                window = []
            window = [(index, size_bytes) for index, size_bytes in window if index > progress.match_index]
            self.assertTrue(0 <= progress.match_index < progress.next_index)
            self.assertGreaterEqual(progress.match_index, match_index)
            if progress.state is ProgressState.REPLICATE:
                is_full = len(window) >= 3 or sum(size_bytes for _, size_bytes in window) >= 500
                self.assertEqual(is_full, progress.is_paused)
                self.assertLessEqual(len(window), 3)
            else:
                self.assertEqual(progress.state is ProgressState.SNAPSHOT or progress.is_probe_sent, progress.is_paused)

    def test_a_probe_is_one_message(self) -> None:
        """Its answer ends it; another answer does not, unless it is news."""
        progress = Progress(5, SETTINGS)
        progress.sent(7, 100, 0)
        self.assertEqual((5, True), (progress.next_index, progress.is_paused))
        self.assertFalse(progress.acknowledged(0, 2, 0))
        self.assertEqual(ProgressState.PROBE, progress.state)
        self.assertTrue(progress.acknowledged(7, 4, 0))
        self.assertEqual((ProgressState.REPLICATE, 8), (progress.state, progress.next_index))

    @pytest.mark.scenario("S16")
    def test_out_of_snapshot(self) -> None:
        """By the snapshot's arrival, by being in the leader's log anyway, by failure, by silence."""
        for expected, end in (
            ((ProgressState.REPLICATE, 9), lambda progress: progress.acknowledged(8, 8, 8)),
            ((ProgressState.REPLICATE, 7), lambda progress: progress.acknowledged(6, 6, 6)),
            ((ProgressState.SNAPSHOT, 6), lambda progress: progress.acknowledged(5, 5, 6)),
            ((ProgressState.SNAPSHOT, 2), lambda progress: progress.refused(7, 3)),
            ((ProgressState.PROBE, 1), lambda progress: progress.snapshot_failed()),
            ((ProgressState.PROBE, 1), lambda progress: [progress.tick() for _ in range(10)]),
            ((ProgressState.SNAPSHOT, 2), lambda progress: [progress.tick() for _ in range(9)]),
        ):
            with self.subTest(expected=expected):
                progress = Progress(2, SETTINGS)
                progress.snapshot_sent(8)
                end(progress)
                self.assertEqual(expected, (progress.state, progress.next_index))

    def test_contact(self) -> None:
        """Active for an election timeout after the last sign of life, unless it forgot its promises."""
        progress = Progress(2, SETTINGS)
        for _ in range(9):
            progress.tick()
        self.assertTrue(progress.is_active)
        progress.is_wiped = True
        self.assertFalse(progress.is_active)
        progress.is_wiped = False
        progress.tick()
        self.assertFalse(progress.is_active)

    def test_impossible_places(self) -> None:
        """A programmer's error stops the node."""
        progress = Progress(2, SETTINGS)
        progress.match_index = -1
        with self.assertRaises(InvariantBroken):
            progress.snapshot_sent(3)
