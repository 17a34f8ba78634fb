"""Which node a client asks: what it is given, and what a node points out, however odd."""

from __future__ import annotations

from unittest import TestCase

from hraft.client.endpoints import EndpointList, parse_endpoint
from hraft.errors import BadAddress

#: What Python's own reader of URLs answers with a ValueError.
NO_URLS = ("[::1", "http://[::1:80", "http://1]:80", "http://[x]:80", "http://a\u2100b:80", "http://", "[" * 5000)


class EndpointTests(TestCase):
    def test_what_is_no_url_is_a_bad_address(self) -> None:
        """In words that name it: nobody who mistypes an address is shown a traceback."""
        for text in NO_URLS:
            with self.assertRaises(BadAddress, msg=text) as caught:
                parse_endpoint(text)
            self.assertIn(repr(text[:100]), str(caught.exception))
            self.assertLess(len(str(caught.exception)), 500)

    def test_a_node_that_points_to_no_url_is_not_followed(self) -> None:
        """Its answer must not break the client that asked."""
        for text in NO_URLS:
            self.assertFalse(EndpointList("http://h:1", lambda: 0.0).pointed_out(text, "http://h:1"))
