"""Three NodeServices with everything real but disk, network and time."""

from __future__ import annotations

import pytest
from clusters import Cluster, Outcome, set_command
from twisted.trial.unittest import SynchronousTestCase

from hraft.errors import NotLeader


class ThreeNodesTests(SynchronousTestCase):
    """The walk through a healthy cluster."""

    def setUp(self) -> None:
        self.cluster = Cluster().bootstrap(3)

    def test_a_write_is_on_every_node(self) -> None:
        """What the README promises first."""
        written = self.cluster.write("user1", "batman")
        self.assertIsNone(written.error)
        self.cluster.settle()
        self.assertEqual(["batman"] * 3, [member.get("user1") for member in self.cluster.members.values()])
        self.cluster.stop()
