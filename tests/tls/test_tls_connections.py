"""Connections under TLS: who may talk to whom, what each is told who may not, and that nothing stays."""

from __future__ import annotations

import contextlib
import ssl
from types import SimpleNamespace
from unittest import TestCase

import certificates
import pytest
from certificates import dialler, server
from OpenSSL import SSL
from tls_doubles import Context, Ends
from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from hraft.errors import HandshakeFailed
from hraft.limits import TLS_CLOSE_TIMEOUT_SECONDS, TLS_HANDSHAKE_TIMEOUT_SECONDS
from hraft.sending import send, send_now
from hraft.tls.contexts import client_context
from hraft.tls.reasons import in_words, is_refusal


class TlsTestCase(SynchronousTestCase):
    """After each test no timer is left."""

    def ends(self, server: Context | None, client: Context | None, host: str = "localhost") -> Ends:
        ends = Ends(server, client, host)
        ends.flush()
        self.addCleanup(self.leave, ends)
        return ends

    def leave(self, ends: Ends) -> None:
        if not ends.is_over:
            ends.near.abortConnection()
            ends.flush()
        self.assertEqual([], ends.clock.getDelayedCalls())

    def refused(self, ends: Ends) -> str:
        """Why the client's end did not connect. Nothing was said by either, and both ends are closed."""
        error = self.failureResultOf(ends.connecting, HandshakeFailed)
        self.assertEqual((b"", b"", True), (ends.client.received, ends.server.received, ends.is_over))
        return str(error.value)


class ResumptionTests(TestCase):
    def test_nothing_is_resumed(self) -> None:
        """Whoever was let in by a certificate shows it each time, though it keeps what TLS gave it to save the trouble."""
        context = ssl.create_default_context(cafile=certificates.ca())
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context.maximum_version = version
            first = self.shaken(context, None)
            self.assertEqual((version.name, False), (str(first.version()).replace(".", "_"), first.session_reused))
            self.assertFalse(self.shaken(context, first.session).session_reused)

    def shaken(self, context: ssl.SSLContext, session: ssl.SSLSession | None) -> ssl.SSLObject:
        """The client's end after a handshake and a few words."""
        to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = context.wrap_bio(to_client, to_server, server_hostname="localhost", session=session)
        end = SSL.Connection(server(certificates.node("localhost"))(), None)
        end.set_app_data(SimpleNamespace(host=None, hands_shaken=lambda: None))
        end.set_accept_state()
        for _ in range(3):
            with contextlib.suppress(ssl.SSLWantReadError):
                client.do_handshake()
            if to_server.pending:
                end.bio_write(to_server.read())
            with contextlib.suppress(SSL.WantReadError):
                end.do_handshake()
                end.send(b"words")
            with contextlib.suppress(SSL.WantReadError):
                to_client.write(end.bio_read(65536))
        self.assertIn(b"words", client.read(100))
        return client


class RightTests(TlsTestCase):
    def test_both_talk(self) -> None:
        """Whoever is dialled is who was meant, and shows it."""
        for made, host in ((certificates.node("localhost"), "localhost"), (certificates.node("10.1.2.3"), "10.1.2.3")):
            ends = self.ends(server(made), dialler(), host)
            self.assertIs(ends.client, self.successResultOf(ends.connecting))
            ends.client.say(b"x" * 200_000)
            ends.server.say(b"answer")
            ends.flush()
            self.assertEqual((200_000, b"answer"), (len(ends.server.received), ends.client.received))

    def test_both_show_a_certificate(self) -> None:
        """As peers do."""
        made = certificates.node("localhost")
        ends = self.ends(server(made, certificates.ca()), dialler(None, made))
        self.successResultOf(ends.connecting).say(b"hello")
        ends.flush()
        self.assertEqual(b"hello", ends.server.received)

    def test_not_before_the_hands_are_shaken(self) -> None:
        """Or a request would be on its way to whoever answers there."""
        ends = Ends(server(certificates.node("localhost")), dialler())
        self.addCleanup(self.leave, ends)
        self.assertNoResult(ends.connecting)
        ends.flush()
        self.successResultOf(ends.connecting)

    def test_closing_delivers_what_was_said(self) -> None:
        """In both directions, and ends the connection at both ends."""
        ends = self.ends(server(certificates.node("localhost")), dialler())
        ends.server.say(b"last words")
        ends.server.transport.loseConnection()  # type: ignore[union-attr]
        ends.flush()
        self.assertEqual((b"last words", True), (ends.client.received, ends.is_over))

    def test_closing_does_not_wait_for_who_hangs(self) -> None:
        """TLS wants a last word from both; a program that has done its work must end all the same."""
        ends = self.ends(server(certificates.node("localhost")), dialler())
        ends.client.transport.loseConnection()  # type: ignore[union-attr]
        self.assertFalse(ends.near.disconnecting)
        ends.clock.advance(TLS_CLOSE_TIMEOUT_SECONDS)
        self.assertTrue(ends.near.was_aborted)

    def test_a_small_message_leaves_at_once(self) -> None:
        """Twisted would have it wait for more until the reactor's next turn, and the other end waits for it."""
        ends = self.ends(server(certificates.node("localhost")), dialler())
        ends.client.say(b"hello")
        self.assertEqual([], ends.near.stream)
        send_now(ends.client.transport)
        self.assertNotEqual([], ends.near.stream)
        ends.near.stream.clear()
        send(ends.client.transport, b"and more")
        self.assertNotEqual([], ends.near.stream)

    def test_aborting_twice_and_after_the_end(self) -> None:
        """As timers do."""
        ends = self.ends(server(certificates.node("localhost")), dialler())
        for _ in range(2):
            ends.dialled.abortConnection()
            ends.flush()
            ends.dialled.abortConnection()
        self.assertTrue(ends.is_over)

    def test_nothing_is_old(self) -> None:
        """TLS 1.1 is no more."""
        ends = self.ends(server(certificates.node("localhost")), dialler())
        connection = ends.accepted.getHandle()
        self.assertIn(connection.get_protocol_version_name(), ("TLSv1.2", "TLSv1.3"))
        old = SSL.Context(SSL.TLS_METHOD)
        old.set_max_proto_version(SSL.TLS1_1_VERSION)
        old.set_cipher_list(b"ALL:@SECLEVEL=0")
        self.refused(self.ends(server(certificates.node("localhost")), lambda: old))

    def test_tls_1_2_alone(self) -> None:
        """For clients that have no other."""
        context = client_context(certificates.credentials(None, certificates.ca()))
        context.set_max_proto_version(SSL.TLS1_2_VERSION)
        ends = self.ends(server(certificates.node("localhost")), lambda: context)
        self.successResultOf(ends.connecting)
        self.assertIn("GCM", ends.accepted.getHandle().get_cipher_name())


@pytest.mark.scenario("O18")
class WrongTests(TlsTestCase):
    def test_the_certificate_of_another_host(self) -> None:
        """A node's certificate is no proof to be another node."""
        for host in ("elsewhere", "127.0.0.1"):
            ends = self.ends(server(certificates.node("localhost")), dialler(), host)
            self.assertEqual(f"the certificate is for localhost, and not for {host}", self.refused(ends))

    def test_another_authority(self) -> None:
        """Anybody can sign anything."""
        ends = self.ends(server(certificates.node("localhost", by="other")), dialler())
        self.assertIn("not among those that are trusted here", self.refused(ends))
        self.assertEqual("the other end does not know the authority of our certificate", in_words(ends.server.reasons[0]))

    def test_an_expired_one(self) -> None:
        """Of who is dialled, and of who dials."""
        ends = self.ends(server(certificates.expired("localhost")), dialler())
        self.assertEqual("the certificate has expired", self.refused(ends))
        ends = self.ends(
            server(certificates.node("localhost"), certificates.ca()), dialler(None, certificates.expired("localhost"))
        )
        self.assert_turned_away(ends, "the other end says that our certificate has expired")
        self.assertEqual("the certificate has expired", ends.accepted.objection)

    def test_a_client_without_a_certificate(self) -> None:
        """Where one is wanted; with TLS 1.3 it hears of that only after its own part is done."""
        ends = self.ends(server(certificates.node("localhost"), certificates.ca()), dialler())
        self.assert_turned_away(ends, "the other end wants a certificate, and was shown none")

    def test_a_client_of_another_authority(self) -> None:
        """The same."""
        made = certificates.client("other")
        ends = self.ends(server(certificates.node("localhost"), certificates.ca()), dialler(None, made))
        self.assert_turned_away(ends, "the other end does not know the authority of our certificate")

    def test_a_clients_certificate_is_no_servers(self) -> None:
        """Or any client could pose as a node."""
        self.assertIn("not for this use", self.refused(self.ends(server(certificates.client()), dialler())))

    def assert_turned_away(self, ends: Ends, reason: str) -> None:
        ends.client.say(b"something")
        ends.flush()
        [error] = ends.client.reasons
        self.assertEqual((reason, True), (in_words(error), is_refusal(error)))
        self.assertEqual((b"", True), (ends.server.received, ends.is_over))

    def test_the_system_is_trusted_only_where_nobody_is_named(self) -> None:
        """And does not know our authority."""
        context = client_context(certificates.credentials())
        self.refused(self.ends(server(certificates.node("localhost")), lambda: context))


@pytest.mark.scenario("O3", "O18")
class OtherLanguageTests(TlsTestCase):
    def test_plain_bytes_where_tls_is_spoken(self) -> None:
        """They are told so, in the one way that is safe, and closed at once."""
        ends = self.ends(server(certificates.node("localhost")), None)
        ends.client.say(b"GET / HTTP/1.1\r\n\r\n")
        ends.flush()
        self.assertEqual((b"speak TLS\n", b"", True), (ends.client.received, ends.server.received, ends.is_over))
        self.assertEqual("what came is not TLS", ends.accepted.objection)

    def test_tls_where_plain_bytes_are_spoken(self) -> None:
        """Whoever dials hears no handshake, but something else."""
        ends = Ends(None, dialler())
        self.addCleanup(self.leave, ends)
        ends.server.say(b"220 welcome to something else\r\n")
        ends.flush()
        self.assertEqual("the other end does not speak TLS here", str(self.failureResultOf(ends.connecting).value))

    def test_noise_in_the_handshake(self) -> None:
        """It begins like one, and is none."""
        ends = self.ends(server(certificates.node("localhost")), None)
        ends.client.say(b"\x16\x03\x01\x00\x05hello and more")
        ends.flush()
        self.assertEqual((b"", True), (ends.server.received, ends.is_over))

    def test_a_handshake_that_never_ends(self) -> None:
        """Twisted would wait for ever; who says nothing, or one byte a second, is cut."""
        for is_client in (False, True):
            ends = self.ends(None if is_client else server(certificates.node("localhost")), dialler() if is_client else None)
            hello = b"\x16\x03\x03\x02\x00\x02\x00\x01\xfc\x03" if is_client else b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03"
            for byte in hello:
                self.assertFalse(ends.is_over)
                (ends.server if is_client else ends.client).say(bytes([byte]))
                ends.flush(TLS_HANDSHAKE_TIMEOUT_SECONDS / 10)
            self.assertTrue(ends.is_over)
            if is_client:
                self.assertIn("TLS", str(self.failureResultOf(ends.connecting, HandshakeFailed).value))

    def test_a_silent_one(self) -> None:
        """The same."""
        ends = self.ends(server(certificates.node("localhost")), None)
        ends.flush(TLS_HANDSHAKE_TIMEOUT_SECONDS - 1)
        self.assertFalse(ends.is_over)
        ends.flush(1)
        self.assertTrue(ends.is_over)
        self.assertEqual("no TLS handshake within 10 s", ends.accepted.objection)

    def test_giving_up_ends_the_connection(self) -> None:
        """A dialler's own time-out is the shorter one."""
        ends = self.ends(None, dialler())
        ends.connecting.cancel()
        ends.flush()
        self.failureResultOf(ends.connecting, CancelledError, HandshakeFailed)
        self.assertTrue(ends.is_over)


class PausingTests(TlsTestCase):
    def test_a_pause_does_not_stop_the_handshake(self) -> None:
        """What is written before it waits for it, and so asks for a pause; which would then never end."""
        ends = Ends(server(certificates.node("localhost")), dialler())
        self.addCleanup(self.leave, ends)
        ends.accepted.pauseProducing()
        self.assertFalse(ends.far.is_paused)
        ends.flush()
        self.successResultOf(ends.connecting)
        self.assertTrue(ends.far.is_paused)
        ends.accepted.resumeProducing()
        self.assertFalse(ends.far.is_paused)
