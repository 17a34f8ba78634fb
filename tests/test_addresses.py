"""Addresses as people write them: every form of the manual, and nothing but BadAddress for the rest."""

from __future__ import annotations

from unittest import TestCase

from hypothesis import example, given
from hypothesis import strategies as st

from hraft.addresses import (
    Address,
    Endpoint,
    HttpsAddress,
    advertised,
    is_loopback,
    parse_address,
    parse_advertised,
    parse_listening,
    parse_target,
    url_of,
)
from hraft.errors import BadAddress

WRITTEN = st.text(st.sampled_from("ab1:[].%=\\ \x00é٣0-/tcpsl"), max_size=30) | st.text(max_size=30)


class AddressTests(TestCase):
    """host:port, :port and [v6]:port."""

    def test_forms(self) -> None:
        """Each documented form reads as what it says."""
        for text, expected in (
            ("localhost:11000", Address("localhost", 11000)),
            (":11000", Address("", 11000)),
            ("[::1]:11000", Address("::1", 11000)),
            ("[0:0::1]:1", Address("::1", 1)),
            ("[fe80::1%eth0]:65535", Address("fe80::1%eth0", 65535)),
            ("10.0.0.7:11000", Address("10.0.0.7", 11000)),
            ("node-0.my_rack.example.:80", Address("node-0.my_rack.example.", 80)),
        ):
            self.assertEqual(expected, parse_address(text))

    def test_shown_as_written(self) -> None:
        """What is printed can be typed: brackets come back."""
        for text in ("localhost:11000", ":11000", "[::1]:11000", "10.0.0.7:11000"):
            self.assertEqual(text, str(parse_address(text)))

    def test_mistakes_are_named(self) -> None:
        """Each mistake says the value and what would be right."""
        for text, part in (
            ("localhost", "the port is missing"),
            ("localhost:", "the port is missing"),
            ("", "the port is missing"),
            ("localhost:http", "'http'"),
            ("localhost:0", "from 1 to 65535"),
            ("localhost:65536", "from 1 to 65535"),
            ("localhost:-1", "from 1 to 65535"),
            ("localhost: 80", "from 1 to 65535"),
            ("localhost:٣", "from 1 to 65535"),
            ("::1:11000", "brackets"),
            ("[::1]", "]:port"),
            ("[::1:80", "]:port"),
            ("[::1]80", "]:port"),
            ("[zz]:80", "not an IPv6 address"),
            ("[::1%a\n]:80", "not an IPv6 address"),
            ("1.2.3:80", "not an IPv4 address"),
            ("256.0.0.1:80", "not an IPv4 address"),
            ("my host:80", "not a host name"),
            ("-x:80", "not a host name"),
            ("a..b:80", "not a host name"),
            ("a" * 64 + ":80", "not a host name"),
        ):
            with self.assertRaises(BadAddress, msg=text) as caught:
                parse_address(text)
            self.assertIn(part, str(caught.exception))
            self.assertIn(repr(text), str(caught.exception))

    def test_long_text_is_cut(self) -> None:
        """A megabyte pasted by mistake does not come back as a megabyte."""
        with self.assertRaises(BadAddress) as caught:
            parse_address("x" * 1_000_000 + ":1")
        self.assertLess(len(str(caught.exception)), 400)

    def test_every_interface_is_told_as_localhost(self) -> None:
        """Nobody can dial every interface."""
        for text in (":7", "0.0.0.0:7", "[::]:7", "tcp:7", "tcp6:7", "tcp:7:interface=0.0.0.0"):
            self.assertEqual(Address("localhost", 7), advertised(parse_listening(text)))
        self.assertEqual(Address("localhost", 7), parse_target(":7"))
        self.assertEqual(Address("localhost", 7), parse_advertised("0.0.0.0:7"))


class EndpointStringTests(TestCase):
    """Twisted endpoint strings."""

    def test_where_they_listen_is_read(self) -> None:
        """The address to tell others is in most of them."""
        for text, expected in (
            ("tcp:11000:interface=127.0.0.1", Address("127.0.0.1", 11000)),
            (r"tcp6:11000:interface=\:\:1", Address("::1", 11000)),
            ("tcp:port=11000:interface=localhost", Address("localhost", 11000)),
            ("ssl:11000:privateKey=/k.pem", Address("", 11000)),
            ("TCP:11000", Address("", 11000)),
        ):
            self.assertEqual(Endpoint(text, expected), parse_listening(text))

    def test_some_say_nothing_of_it(self) -> None:
        """Then the operator must."""
        for text in ("unix:/run/hraft", "systemd:domain=INET:name=http", "haproxy:tcp:80"):
            self.assertIsNone(advertised(parse_listening(text)))

    def test_mistakes(self) -> None:
        """What hraft needs of them is checked; the rest is Twisted's business."""
        for text in ("tcp:", "tcp::", "tcp:x", "tcp:interface=localhost", "tcp:0", r"tcp:1:interface=\:z"):
            with self.assertRaises(BadAddress, msg=text):
                parse_listening(text)

    def test_targets(self) -> None:
        """A target may be a client endpoint string, or the beginning of a URL; an address alone is as its reader is."""
        self.assertEqual(Endpoint("unix:/run/hraft", None), parse_target("unix:/run/hraft"))
        self.assertEqual("tls", parse_target("tls:example.com:443").kind)  # type: ignore[union-attr]
        self.assertEqual(Address("a", 1), parse_target("http://a:1", is_https=True))
        for target, is_https in (("https://a:1", False), ("a:1", True)):
            found = parse_target(target, is_https)
            self.assertEqual((HttpsAddress("a", 1), "https://a:1"), (found, str(found)))
        with self.assertRaisesRegex(BadAddress, "leave out the path"):
            parse_target("https://localhost:11000/")
        with self.assertRaisesRegex(BadAddress, "https://host:port"):
            parse_target("ftp://localhost:11000")

    def test_a_node_says_its_scheme_where_it_is_https(self) -> None:
        """Old nodes say host:port, and mean HTTP."""
        self.assertEqual(["http://a:1", "https://a:1"], [url_of("a:1"), url_of("https://a:1")])

    def test_what_only_this_machine_reaches(self) -> None:
        """Elsewhere a node without TLS warns."""
        for text in ("localhost:1", "127.0.0.2:1", "[::1]:1", "unix:/x", "tcp:1:interface=127.0.0.1"):
            self.assertTrue(is_loopback(parse_listening(text)), text)
        for text in (":1", "0.0.0.0:1", "10.0.0.1:1", "[::]:1", "node1:1", "tcp:1"):
            self.assertFalse(is_loopback(parse_listening(text)), text)

    def test_no_host_is_called_as_an_endpoint_string_begins(self) -> None:
        """What one node tells as host:port, another would dial as something else."""
        for parse, text in (
            (parse_advertised, "TCP:80"),
            (parse_advertised, "tls:443"),
            (parse_listening, "tls:443"),
            (parse_target, "tcp4:80"),
            (parse_address, "tcp:80"),
        ):
            with self.assertRaises(BadAddress, msg=text):
                parse(text)
        self.assertEqual(Address("tcp.example", 80), parse_target("tcp.example:80"))

    def test_never_advertised(self) -> None:
        """Other machines cannot dial a file or an endpoint string of ours."""
        with self.assertRaisesRegex(BadAddress, "host:port"):
            parse_advertised("unix:/run/hraft")


@given(WRITTEN)
@example("[::1%]:1")
@example("[%]:1")
@example("tcp:\\")
@example("é:1")
def test_only_bad_address(text: str) -> None:
    """Whatever is typed, there is an address or BadAddress, and never another exception."""
    for parse in (parse_address, parse_listening, parse_target, parse_advertised):
        try:
            where = parse(text)
        except BadAddress as error:
            assert "\n" not in str(error)
            continue
        if isinstance(where, Address):
            assert where == parse_address(str(where))
            assert not where.dialable.is_everywhere
