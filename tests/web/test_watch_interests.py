"""Who is interested in a key, against a model that looks at everybody."""

from __future__ import annotations

from unittest import TestCase

from hypothesis import given
from hypothesis import strategies as st

from hraft.kv.transactions import is_within, prefix_end
from hraft.web.watch.interests import Interests

keys = st.lists(st.sampled_from([0, 97, 98, 254, 255]), max_size=3).map(bytes)
ranges = st.one_of(
    st.tuples(keys, st.none()),
    st.tuples(keys, st.just(b"")),
    keys.map(lambda key: (key, prefix_end(key))),
    st.tuples(keys, keys).filter(lambda pair: pair[0] < pair[1]),
)


class InterestsTests(TestCase):
    """Finding, and forgetting."""

    @given(st.lists(ranges, max_size=12), st.data())
    def test_finds_whose_range_a_key_is_in(self, added: list[tuple[bytes, bytes | None]], data: st.DataObject) -> None:
        """Whoever is not found is never told, and whoever is found wrongly is told of what it may not even be meant to see."""
        interests: Interests[int] = Interests()
        for number, (start, end) in enumerate(added):
            interests.add(start, end, number)
        gone = data.draw(st.sets(st.sampled_from(range(len(added))))) if added else set()
        for number in gone:
            interests.remove(*added[number], number)
        for key in data.draw(st.lists(keys, min_size=1, max_size=10)):
            there = {number for number, (start, end) in enumerate(added) if number not in gone and is_within(key, start, end)}
            self.assertEqual((key, sorted(there)), (key, sorted(interests.at(key))))

    @given(st.lists(ranges, max_size=12), st.randoms(use_true_random=False))
    def test_keeps_nothing_of_those_gone(self, added: list[tuple[bytes, bytes | None]], chance: object) -> None:
        """Watchers come and go for as long as a node runs."""
        interests: Interests[int] = Interests()
        for number, (start, end) in enumerate(added):
            interests.add(start, end, number)
        order = list(range(len(added)))
        chance.shuffle(order)  # type: ignore[attr-defined]
        for number in order:
            interests.remove(*added[number], number)
        self.assertEqual(({}, [b""], [{}], {}), (interests._keys, interests._bounds, interests._covering, dict(interests._uses)))

    def test_those_not_interested_cost_nothing(self) -> None:
        """A thousand watchers of other keys and prefixes do not slow a write down."""
        interests: Interests[int] = Interests()
        for number in range(1000):
            interests.add(b"key%d" % number, None, number)
            interests.add(b"prefix%d/" % number, prefix_end(b"prefix%d/" % number), -number)
        self.assertEqual([7], list(interests.at(b"key7")))
        self.assertEqual([-7], list(interests.at(b"prefix7/x")))
        self.assertLessEqual(max(map(len, interests._covering)), 1)
