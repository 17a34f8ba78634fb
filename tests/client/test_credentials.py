"""Who the client says it is, and what it makes of being turned away."""

from __future__ import annotations

from client_cases import ClientTestCase

from hraft.client import Credentials, Forbidden, HraftClient, LimitReached, LoginNeeded, Unavailable

TOKEN = Credentials.of_token("token-1")


class CredentialTests(ClientTestCase):
    """On the wire, and in errors."""

    def test_each_request_says_who_asks(self) -> None:
        """Reads, writes, sessions and watches, also at the leader that a node has pointed out."""
        client = self.new_client(credentials=TOKEN)
        client.caller.endpoints._current = 1
        self.done(client.put("a", "1"))
        self.done(client.get("a"))
        self.done(client.lease(5))
        watch = client.watch("a")
        watching = self.begin(watch.__anext__())
        self.cluster.advance(0)
        self.assertGreater(len({asked.node for asked in self.cluster.asked}), 1)
        self.assertEqual({"Bearer token-1"}, {asked.headers.get("authorization") for asked in self.cluster.asked})
        watch.close()
        watching.addErrback(lambda _: None)

    def test_nobody_is_led_away_from_tls(self) -> None:
        """Members tell addresses, and one without TLS would be told a secret in clear, by `hraft status` for one."""
        client = HraftClient("https://node0:11000", agent=self.cluster, clock=self.cluster.clock, credentials=TOKEN)
        error = self.fails(Unavailable, client.status("http://node0:11000"))
        self.assertIn("has no TLS", str(error))
        self.assertEqual([], self.cluster.asked)

    def test_without_any(self) -> None:
        """Nothing is said."""
        self.done(self.client.put("a", "1"))
        self.assertEqual({None}, {asked.headers.get("authorization") for asked in self.cluster.asked})

    def test_being_turned_away_is_final(self) -> None:
        """To ask again would be one more wrong login, and no other node would answer otherwise."""
        for status, code, kind in (
            (401, "unauthorized", LoginNeeded),
            (403, "forbidden", Forbidden),
            (403, "host_not_allowed", Forbidden),
            (429, "too_many_logins", LimitReached),
        ):
            self.cluster.asked.clear()
            self.cluster.faults.append(self.cluster.say(status, code))
            error = self.fails(kind, self.client.get("a"))
            self.assertEqual((status, code, 1), (error.status, error.code, len(self.cluster.asked)))

    def test_a_node_that_is_busy_is_asked_again(self) -> None:
        """So many passwords waited to be looked at; nothing was done."""
        self.cluster.faults.append(self.cluster.say(503, "logins_busy", "not done"))
        self.done(self.client.put("a", "1"), 5.0)

    def test_a_watch_that_is_turned_away(self) -> None:
        """Its user may not, or is gone: it ends with that, and does not go round the nodes."""
        self.cluster.faults.append(self.cluster.say(401, "unauthorized"))
        self.fails(LoginNeeded, self.client.watch("a").__anext__())
