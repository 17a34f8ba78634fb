"""What a user may do with which keys."""

from __future__ import annotations

from unittest import TestCase

from hypothesis import given
from hypothesis import strategies as st

from hraft.auth.users import Access, Rule, User
from hraft.kv.transactions import TO_THE_LAST, is_within, prefix_end

SHORT = st.binary(max_size=2)
_BYTES = (0, 97, 255)
KEYS = [b"", b"\x01", b"\xfe", *(bytes([one]) for one in _BYTES), *(bytes([one, two]) for one in _BYTES for two in _BYTES)]
RULES = st.lists(st.builds(Rule, st.sampled_from(KEYS), st.sampled_from(["read", "write"])), max_size=4)


def user(*rules: Rule, role: str = "write") -> User:
    return User("u", role, rules=rules)  # type: ignore[arg-type]


class KeyTests(TestCase):
    """Rules by prefix."""

    def test_roles(self) -> None:
        """Without rules the role decides of all keys."""
        for role, may_write in (("read", False), ("write", True), ("admin", True)):
            asked = User("u", role)  # type: ignore[arg-type]
            self.assertEqual((True, may_write), (asked.may("read", b"", TO_THE_LAST), asked.may("write", b"k", None)))

    def test_who_may_write_may_read(self) -> None:
        """And not the other way about; and a reader's rule lets nobody write."""
        asked = user(Rule(b"w/", "write"), Rule(b"r/", "read"))
        self.assertEqual((True, True), (asked.may("read", b"w/1", None), asked.may("write", b"w/1", None)))
        self.assertEqual((True, False), (asked.may("read", b"r/1", None), asked.may("write", b"r/1", None)))
        self.assertFalse(user(Rule(b"w/", "write"), role="read").may("write", b"w/1", None))

    def test_no_rules_at_all(self) -> None:
        """An empty list is none of the keys, and not all."""
        self.assertFalse(user().may("read", b"k", None))

    def test_neighbours_make_one_range(self) -> None:
        """Who may have a and b may ask for all from a to c."""
        asked = user(Rule(b"a", "read"), Rule(b"b", "write"))
        self.assertTrue(asked.may("read", b"a", b"c"))
        self.assertFalse(asked.may("write", b"a", b"c"))
        self.assertFalse(asked.may("read", b"a", b"c\0"))

    def test_the_last_prefix(self) -> None:
        """A prefix of 0xff has no end, and gives no key before it."""
        asked = user(Rule(b"\xff", "read"))
        self.assertTrue(asked.may("read", b"\xff\xff", TO_THE_LAST))
        self.assertFalse(asked.may("read", b"\xfe", TO_THE_LAST))
        self.assertFalse(user(Rule(b"a", "read")).may("read", b"a", TO_THE_LAST))

    @given(RULES, st.sampled_from(KEYS), st.one_of(st.none(), st.sampled_from(KEYS)), st.sampled_from(["read", "write"]))
    def test_a_range_is_its_keys(self, rules: list[Rule], start: bytes, end: bytes | None, access: Access) -> None:
        """Whoever may have a range may have each key in it: no way around a rule by asking for many."""
        if user(*rules).may(access, start, end):
            for key in KEYS:
                if is_within(key, start, end) and not (end is None and key != start):
                    given_by = [rule for rule in rules if key.startswith(rule.prefix) and access in ("read", rule.access)]
                    self.assertTrue(given_by, (key, start, end, rules))

    @given(SHORT)
    def test_a_rule_gives_its_prefix(self, prefix: bytes) -> None:
        """Whoever has a prefix may list it."""
        self.assertTrue(user(Rule(prefix, "write")).may("write", prefix, prefix_end(prefix)))

    def test_secrets_are_not_shown(self) -> None:
        """A user ends up in a traceback sooner or later."""
        self.assertNotIn("scrypt", repr(User("u", "read", "scrypt$...", ("sha256$...",))))
        self.assertNotIn("sha256", repr(User("u", "read", "scrypt$...", ("sha256$...",))))
