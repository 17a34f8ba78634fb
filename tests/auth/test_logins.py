"""From an Authorization header to a user: right, wrong, often, at once, and while users change."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest
from held_thread import HeldThread
from twisted.internet.defer import maybeDeferred
from twisted.internet.task import Clock
from twisted.logger import LogEvent, globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from hraft import limits
from hraft.auth.logins import Logins
from hraft.auth.secrets import hash_password, hash_token
from hraft.auth.users import User
from hraft.errors import LoginNeeded, LoginsBusy, TooManyLogins

ADA = User("ada", "admin", hash_password(b"sesame:x", log_n=10), (hash_token("token-1"), hash_token("token-2")))
BOB = User("bob", "read", tokens=(hash_token("token-3"),))


def basic(user: str, password: str) -> bytes:
    return b"Basic " + b64encode(f"{user}:{password}".encode())


RIGHT = basic("ada", "sesame:x")


class LoginTests(SynchronousTestCase):
    """Of one node."""

    def setUp(self) -> None:
        self.clock, self.thread = Clock(), HeldThread()
        self.logins = Logins({"ada": ADA, "bob": BOB}, self.thread, self.clock.seconds)
        self.told: list[LogEvent] = []
        globalLogPublisher.addObserver(self.told.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.told.append)

    def ask(self, header: bytes | None, address: str = "192.0.2.1") -> User | str:
        """The user, or the name of what is said instead."""
        outcome: list[Any] = []
        asked = maybeDeferred(self.logins.user_of, header, address)
        self.thread.work()
        asked.addBoth(outcome.append)
        [found] = outcome
        return type(found.value).__name__ if isinstance(found, Failure) else found

    def test_passwords_and_tokens(self) -> None:
        """Each says who asks; a password may have colons in it, and any letters the scheme's name."""
        for header in (RIGHT, RIGHT.replace(b"Basic", b"bAsIc"), b"Bearer token-1", b"bearer  token-2 "):
            self.assertEqual(ADA, self.ask(header), header)
        self.assertEqual(BOB, self.ask(b"Bearer token-3"))

    def test_what_is_wrong(self) -> None:
        """No header, half of one, another's secret, a hash in the place of what it was made of."""
        wrong = (
            *(None, b"", b"Basic", b"Bearer ", b"Basic !", b"Basic " + b64encode(b"ada"), b"Digest x", b"sesame:x"),
            *(basic("ada", "wrong"), basic("bob", "token-3"), basic("bob", ""), basic("nobody", "x"), b"Bearer token-4"),
            *(b"Bearer " + ADA.tokens[0].encode(), b"Bearer \xff", b"Basic " + b64encode(b"\xff:\xff"), b"x" * 5000),
        )
        for number, header in enumerate(wrong):
            self.assertEqual("LoginNeeded", self.ask(header, f"192.0.2.{number}"), header)

    def test_nobody_takes_as_long_as_somebody(self) -> None:
        """How long an answer takes must not tell who is a user: there is one hash for each."""
        for name in ("ada", "bob", "nobody"):
            self.logins.user_of(basic(name, "wrong"), "192.0.2.1").addErrback(lambda _: None)  # type: ignore[union-attr]
        self.assertEqual(3, self.thread.work())

    def test_hashed_once(self) -> None:
        """What is right is remembered, and those who come meanwhile wait for the same answer."""
        asked = [self.logins.user_of(RIGHT, "192.0.2.1") for _ in range(20)]
        self.assertEqual(1, self.thread.work())
        self.assertEqual([ADA] * 20, [self.successResultOf(each) for each in asked])  # type: ignore[arg-type]
        self.assertIs(ADA, self.logins.user_of(RIGHT, "192.0.2.9"))
        self.assertEqual(0, self.thread.work())

    def test_who_hangs_up_takes_nobody_along(self) -> None:
        """One of those who wait for the same hash goes; the others are told."""
        first, second = self.logins.user_of(RIGHT, "a"), self.logins.user_of(RIGHT, "a")
        first.addErrback(lambda _: None).cancel()  # type: ignore[union-attr]
        self.thread.work()
        self.assertEqual(ADA, self.successResultOf(second))  # type: ignore[arg-type]

    @pytest.mark.scenario("O21")
    def test_o21_users_change(self) -> None:
        """Who is gone, or has another password, is not known by what was right before; nor by what is being looked at."""
        self.ask(RIGHT)
        waiting = self.logins.user_of(basic("ada", "sesame:x").replace(b"Basic", b"basic"), "a")
        self.logins.replace({"ada": User("ada", "read", hash_password(b"other", log_n=10))})
        self.thread.work()
        self.failureResultOf(waiting, LoginNeeded)  # type: ignore[arg-type]
        self.assertEqual(["LoginNeeded"] * 2, [self.ask(RIGHT), self.ask(b"Bearer token-1")])
        found = self.ask(basic("ada", "other"))
        self.assertEqual("read", found.role if isinstance(found, User) else found)

    @pytest.mark.scenario("O20")
    def test_o20_too_many_wrong_ones(self) -> None:
        """One address may try one user ten times, then now and then; the secret is not even looked at."""
        for number in range(limits.FAILED_LOGINS_OF_USER_COUNT):
            self.assertEqual("LoginNeeded", self.ask(basic("ada", str(number))))
        with self.assertRaises(TooManyLogins) as caught:
            self.logins.user_of(RIGHT, "192.0.2.1")
        self.assertEqual((0, limits.FAILED_LOGIN_OF_USER_SECONDS), (self.thread.work(), caught.exception.seconds))
        self.clock.advance(limits.FAILED_LOGIN_OF_USER_SECONDS)
        self.assertEqual(ADA, self.ask(RIGHT))

    @pytest.mark.scenario("O20")
    def test_o20_nobody_is_locked_out_by_others(self) -> None:
        """Neither the same user elsewhere, nor who was known before, nor another user at the same address."""
        self.assertEqual(BOB, self.ask(b"Bearer token-3"))
        for number in range(30):
            self.ask(basic("ada", str(number)))
        self.assertEqual("TooManyLogins", self.ask(RIGHT))
        self.assertEqual(BOB, self.ask(b"Bearer token-3"))
        self.assertEqual(ADA, self.ask(b"Bearer token-1"))
        self.assertEqual(ADA, self.ask(RIGHT, "192.0.2.2"))

    @pytest.mark.scenario("O20")
    def test_o20_an_old_token_keeps_nobody_out(self) -> None:
        """A program goes on asking with a token that was taken away; others have its address, as behind a proxy."""
        for _ in range(limits.FAILED_LOGINS_OF_ADDRESS_COUNT + 1):
            self.assertEqual("LoginNeeded", self.ask(b"Bearer token-4"))
        self.assertEqual([BOB, ADA], [self.ask(b"Bearer token-3"), self.ask(RIGHT)])
        self.assertEqual(1, len(self.told))

    def test_who_is_as_before_stays_known(self) -> None:
        """When another user changes, at an address that has to wait."""
        self.ask(RIGHT)
        for number in range(limits.FAILED_LOGINS_OF_USER_COUNT):
            self.ask(basic("ada", str(number)))
        self.logins.replace({"ada": User(ADA.name, ADA.role, ADA.password, ADA.tokens)})
        self.assertEqual([ADA, "LoginNeeded"], [self.ask(RIGHT), self.ask(b"Bearer token-3")])

    def test_one_address_and_many_names(self) -> None:
        """Or one tries all users instead of all passwords; an IPv6 client has many addresses, and is one."""
        for number in range(limits.FAILED_LOGINS_OF_ADDRESS_COUNT):
            self.assertEqual("LoginNeeded", self.ask(basic(f"u{number}", "x"), f"2001:db8::{number:x}"))
        self.assertEqual("TooManyLogins", self.ask(RIGHT, "2001:db8::ffff"))
        self.assertEqual(ADA, self.ask(RIGHT, "2001:db8:0:1::1"))

    def test_from_everywhere(self) -> None:
        """Many addresses together are slowed down, too; who has done nothing wrong comes in."""
        for number in range(limits.FAILED_LOGINS_COUNT):
            self.ask(basic("ada", "x"), f"10.0.{number // 200}.{number % 200}")
        self.assertEqual("TooManyLogins", self.ask(basic("ada", "y"), "10.0.0.1"))
        self.assertEqual(ADA, self.ask(RIGHT, "192.0.2.1"))

    def test_right_ones_are_no_failures(self) -> None:
        """Fifty programs at one address that all log in are no attack, though each is counted while it is looked at."""
        for number in range(200):
            self.assertEqual(ADA, self.ask(RIGHT.replace(b"Basic ", b"Basic" + b" " * (number + 1))))

    def test_few_hashes_at_once(self) -> None:
        """Each takes 16 MiB and 50 ms: one client gets a few, and all together a bounded number."""
        waiting = [self.logins.user_of(basic("x", str(n)), "a") for n in range(limits.LOGINS_WAITING_PER_CLIENT_COUNT)]
        self.assertRaises(LoginsBusy, self.logins.user_of, RIGHT, "a")
        for number in range(limits.LOGINS_WAITING_COUNT - len(waiting)):
            waiting.append(self.logins.user_of(basic("x", "y" * number), f"b{number}"))
        self.assertRaises(LoginsBusy, self.logins.user_of, RIGHT, "c")
        self.assertEqual(limits.LOGINS_WAITING_COUNT, self.thread.work())
        for each in waiting:
            self.failureResultOf(each, LoginNeeded)  # type: ignore[arg-type]
        self.assertEqual(ADA, self.ask(RIGHT, "c"))

    @pytest.mark.scenario("O11")
    def test_o11_nothing_secret_is_logged(self) -> None:
        """A password typed where the name belongs is one, too."""
        wrong = (basic("hunter22", "sesame:y"), basic("ada", "hunter22"), b"Bearer hunter22", RIGHT, b"Basic hunter22")
        for number, header in enumerate(wrong):
            self.ask(header, f"192.0.2.{number}")
        said = repr([{**event, "log_logger": None} for event in self.told])
        self.assertIn("'ada'", said)
        for secret in ("hunter22", "sesame", b64encode(b"hunter22").decode()[:8]):
            self.assertNotIn(secret, said)

    def test_a_thread_that_fails(self) -> None:
        """No right and no wrong: ask again."""
        self.logins = Logins({"ada": ADA}, lambda *_: maybeDeferred(_broken), self.clock.seconds)
        self.assertEqual("LoginsBusy", self.ask(RIGHT))
        self.assertEqual(1, len(self.flushLoggedErrors(RuntimeError)))


def _broken() -> None:
    raise RuntimeError("no more threads")
