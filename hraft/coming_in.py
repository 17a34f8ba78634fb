"""A node's way into its cluster, from listening to being a voter that knows its leader: which is what "started" means.

Knows nothing of directories and ports; how a cluster is asked is in `hraft.admission`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger

from hraft.addresses import url_of
from hraft.admission import Admission, Ask
from hraft.errors import ChangeRefused
from hraft.founding import Founding, Verdict
from hraft.gathering import gather
from hraft.service import NodeService
from hraft.settings import NodeSettings

SECONDS_BETWEEN_LOOKS = 0.05
#: A node that waits for a leader says so after this time, and then half as often each time.
SILENCE_SECONDS = 10.0
#: Asking again to be taken in is harmless, and is done in case that the first asking was lost on its way.
SECONDS_BETWEEN_ASKING = 20.0

_log = Logger(namespace="hraft.coming_in")


class ComingIn:
    """One node's, once. `enter(cluster id)` makes the node of that cluster, durably; `found()` that of a new one. `founding` is
    None where this node begins no cluster with others.
    """

    def __init__(
        self,
        reactor: Any,
        settings: NodeSettings,
        node_id: str,
        enter: Callable[[str], NodeService],
        ask: Ask,
        founding: Founding | None,
        found: Callable[[], NodeService],
    ) -> None:
        self._reactor = reactor
        self._settings = settings
        self._node_id = node_id
        self._enter = enter
        self._ask = ask
        self._founding = founding
        self._found = found

    async def come_in(self, node: NodeService | None) -> None:
        """From listening to being a voter, or the learner it is to be, that knows its leader; or to knowing that it was removed.
        `node` is None while its cluster is not known.

        Raises ChangeRefused and WrongPeer, and what `enter` raises.
        """
        if node is not None and node.removal is not None:
            return
        if node is None and self._founding is not None:
            verdict = await gather(self._reactor, self._ask, self._settings.join_targets, self._founding)
            node = self._found() if verdict is Verdict.FOUND else None
        if node is None or self._is_on_its_way_in(node):
            node = await self._be_admitted(node)
        else:
            await self._tell_new_address(node)
        await self._wait_until_led(node)
        if node.removal is not None:
            return
        _log.info(
            "{node}: hraft started successfully, listening on {url}",
            node=node.node_id,
            url=url_of(node.http_address),
            http_address=node.http_address,
            raft_address=node.raft_address,
            cluster=node.cluster_id,
        )

    def _is_on_its_way_in(self, node: NodeService) -> bool:
        """Whether it must ask (again). Some log is no proof: it may have come by a change that was rolled back, after which
        nobody knows this node any more."""
        configuration, may_learn = node.status().configuration, self._settings.members.is_learner
        is_in = configuration.is_voter(node.node_id) or (may_learn and node.node_id in configuration.replicas)
        return node.has_empty_log or (bool(self._settings.join_targets) and not is_in)

    def _when_member(self, node: NodeService) -> Deferred[None]:
        """One that has come as a learner may be a replica by now, whatever the command line says."""
        is_replica = node.node_id in node.status().configuration.replicas
        return node.when_member(as_learner=self._settings.members.is_learner or is_replica)

    async def _be_admitted(self, known: NodeService | None) -> NodeService:
        admission = self._admission()
        node = self._enter(await admission.cluster_id()) if known is None else known
        await admission.check_cluster(node.cluster_id)
        member = self._when_member(node)
        while not member.called and node.removal is None:
            await admission.ask_to_join(lambda: node.has_empty_log)
            await self._either(member, SECONDS_BETWEEN_ASKING)
        return node

    async def _tell_new_address(self, node: NodeService) -> None:
        """The others find a member where the configuration says. One that has moved must tell them."""
        known = node.status().configuration.members.get(node.node_id)
        if known is None or known == node.raft_address:
            return
        fields = {"node": node.node_id, "known": known, "raft_address": node.raft_address}
        if not self._settings.join_targets:
            _log.warn("{node}: the cluster knows this node at {known}, not at {raft_address}; say --join to tell it", **fields)
            return
        _log.info("{node}: tells the cluster that it has moved from {known} to {raft_address}", **fields)
        try:
            await self._admission().ask_to_join(lambda: False)
        except ChangeRefused as error:
            _log.error("{node}: goes on without its new address: {reason}", reason=str(error), **fields)

    def _admission(self) -> Admission:
        settings = self._settings
        return Admission(
            self._reactor, self._ask, settings.join_targets, self._node_id, settings.raft_address, settings.members.is_learner
        )

    async def _wait_until_led(self, node: NodeService) -> None:
        member, silence_seconds = self._when_member(node), SILENCE_SECONDS
        next_words = self._reactor.seconds() + silence_seconds
        while (not member.called or node.leader() is None) and node.removal is None:
            await deferLater(self._reactor, SECONDS_BETWEEN_LOOKS)
            if self._reactor.seconds() >= next_words:
                silence_seconds *= 2
                next_words = self._reactor.seconds() + silence_seconds
                _log.warn("{node}: has not started yet: no majority of the cluster answers", node=node.node_id)

    async def _either(self, event: Deferred[None], seconds: float) -> None:
        deadline = self._reactor.seconds() + seconds
        while not event.called and self._reactor.seconds() < deadline:
            await deferLater(self._reactor, SECONDS_BETWEEN_LOOKS)
