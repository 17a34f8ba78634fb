"""Who may do what: the table of routes, and every stream beside it, for everybody who may ask."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from web_doubles import Served

from hraft.web.openapi import STREAMS
from hraft.web.permissions import Need


class TableTests(SynchronousTestCase):
    """Permissions are data."""

    def test_every_route_says_who_may_ask(self) -> None:
        """What nobody has thought of is open to nobody, and is found here before a user finds it."""
        silent = [route.path for route in (*Served().api.table, *STREAMS) if route.needs.need is Need.UNSAID]
        self.assertEqual([], silent)
