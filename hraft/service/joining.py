"""Taking nodes in, on the leader: who asks is dialled back, becomes a learner, and is waited for until a voter (Section 4.2.1).

Refusals come before anything is changed: a mistyped address, another cluster's node or a second node under the same id must
never cost the quorum anything (M8, M13, M15, M16). Asking twice is harmless (M20).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from hraft import limits
from hraft.errors import ChangeRefused, HraftError, NotLeader, PeerUnreachable, WrongPeer
from hraft.interfaces import PeerIdentity, Transport
from hraft.questions import ForwardJoin, JoinOutcome
from hraft.raft.node import RaftNode
from hraft.raft.ready import Role


class _Joiner:
    """One who waits to be taken in. `deferred` is None once it was answered, failed or has hung up."""

    def __init__(self, request: ForwardJoin, deadline: float) -> None:
        self.node_id = request.node_id
        self.address = request.address
        #: It is not to be promoted by itself.
        self.is_replica = bool(request.learner)
        self.deadline = deadline
        #: Why the last attempt to append the change was refused, if it was.
        self.refused: ChangeRefused | None = None
        self.deferred: Deferred[JoinOutcome] | None = Deferred(self._hung_up)

    def _hung_up(self, _: Deferred[JoinOutcome]) -> None:
        self.deferred = None

    def answer(self, role: str) -> None:
        deferred, self.deferred = self.deferred, None
        if deferred is not None:
            deferred.callback(JoinOutcome(role))

    def fail(self, error: HraftError) -> None:
        deferred, self.deferred = self.deferred, None
        if deferred is not None:
            deferred.errback(error)


class Joining:
    """The joiners of this leader."""

    def __init__(
        self, clock: IReactorTime, node: RaftNode, transport: Transport, cluster_id: str, wake: Callable[[], None]
    ) -> None:
        self._clock = clock
        self._node = node
        self._transport = transport
        self._cluster_id = cluster_id
        self._wake = wake
        self._joiners: list[_Joiner] = []
        self._dialling_count = 0

    def join(self, request: ForwardJoin) -> Deferred[JoinOutcome]:
        """Take a node in. Fails with NotLeader, ChangeRefused, PeerUnreachable or WrongPeer."""
        node, node_id, address = self._node, request.node_id, request.address
        if node.role is not Role.LEADER:
            return fail(NotLeader(node.leader_id))
        try:
            _check(node_id, address)
            self._check_not_wiped(node_id, request.empty_log)
            if node_id in node.configuration.removed:
                # Its old node may not answer any more, and that is not the reason.
                node.configuration.with_learner(node_id, address)
        except ChangeRefused as refusal:
            return fail(refusal)
        joiner = _Joiner(request, self._clock.seconds() + limits.JOIN_TIMEOUT_SECONDS)
        role = self._role_of(joiner)
        if role is not None:
            return succeed(JoinOutcome(role))
        if len(self._joiners) + self._dialling_count >= limits.MEMBERS_COUNT:
            return fail(_not_now(f"{limits.MEMBERS_COUNT} nodes are joining already; try again a little later"))
        self._dialling_count += 1
        dialling = self._dial_back(node_id, address)
        dialling.addBoth(self._dialled)
        dialling.addCallback(lambda _: self._admit(joiner))
        return dialling

    def changed(self) -> None:
        """Something was committed or the role changed: answer whoever that is the answer for."""
        if not self._joiners:
            return
        leads = self._node.role is Role.LEADER
        for joiner in self._joiners[:]:
            if not leads:
                joiner.fail(_not_now("the leader changed while the node was being taken in; join again, it is harmless"))
            elif (role := self._role_of(joiner)) is not None:
                joiner.answer(role)
        self._joiners = [joiner for joiner in self._joiners if joiner.deferred is not None]

    def tick(self) -> None:
        """Try again what had to wait for another change; end what took too long."""
        now = self._clock.seconds()
        for joiner in self._joiners[:]:
            if joiner.refused is not None:
                self._try(joiner)
            if joiner.deadline <= now:
                self._expire(joiner)
        self._joiners = [joiner for joiner in self._joiners if joiner.deferred is not None]

    def fail_all(self, reason: str) -> None:
        joiners, self._joiners = self._joiners, []
        for joiner in joiners:
            joiner.fail(_not_now(reason))

    # --- one joiner ------------------------------------------------------------------------------

    def _check_not_wiped(self, node_id: str, empty_log: bool | None) -> None:
        """Refuse a voter that has forgotten its promises (Section 3.8): it could elect one who lacks committed entries (D19)."""
        if not self._node.configuration.is_voter(node_id):
            return
        if empty_log:
            raise ChangeRefused(
                f"{node_id!r} is a voter of this cluster, but its log is empty: its disk was wiped or its data directory is "
                "another one. Remove it from the cluster and join under a new id"
            )
        if node_id in self._node.forgetful_peers:
            # A late answer may say so wrongly, until the next: no reason to end a voter, who may be needed.
            raise _not_now(
                f"the log of {node_id!r} ends before what it had acknowledged; if that stays so, its disk has lost something: "
                "remove it from the cluster, and join under a new id"
            )

    def _role_of(self, joiner: _Joiner) -> str | None:
        """What it is by now, if that is committed and all that it can become by itself."""
        configuration = self._node.configuration
        if not self._node.is_configuration_committed or configuration.members.get(joiner.node_id) != joiner.address:
            return None
        if configuration.is_voter(joiner.node_id):
            return "voter"
        return "learner" if joiner.is_replica and joiner.node_id in configuration.replicas else None

    def _dial_back(self, node_id: str, address: str) -> Deferred[Any]:
        """Nobody is taken in who cannot be reached at the address it names, under the id it names (M8)."""
        dialling: Deferred[Any] = maybeDeferred(self._transport.dial_back, address)
        dialling.addCallback(self._check_identity, node_id, address)
        old_address = self._node.configuration.members.get(node_id)
        if old_address is not None and old_address != address:
            dialling.addCallback(lambda _: self._check_moved(node_id, old_address, address))
        return dialling

    def _check_identity(self, identity: PeerIdentity, node_id: str, address: str) -> None:
        # A node that was never a member may not know its cluster yet.
        if identity.cluster_id not in ("", self._cluster_id):
            raise WrongPeer(f"{address} belongs to cluster {identity.cluster_id}, not {self._cluster_id}")
        if identity.node_id != node_id:
            raise WrongPeer(f"{address} calls itself {identity.node_id!r}, not {node_id!r}")

    def _check_moved(self, node_id: str, old_address: str, address: str) -> Deferred[Any]:
        """A member may move to another address, but not be in two places at once: that would be two votes (M16)."""

        def answered(identity: PeerIdentity) -> None:
            if identity.node_id == node_id:
                raise ChangeRefused(
                    f"{node_id!r} is a member at {old_address} and answers there, so another node cannot join as {node_id!r} "
                    f"from {address}; give it an id of its own"
                )

        def is_gone(failure: Failure) -> None:
            failure.trap(PeerUnreachable, WrongPeer)

        dialling: Deferred[Any] = maybeDeferred(self._transport.dial_back, old_address)
        return dialling.addCallbacks(answered, is_gone)

    def _dialled(self, result: Any) -> Any:
        self._dialling_count -= 1
        return result

    def _admit(self, joiner: _Joiner) -> Deferred[JoinOutcome]:
        waiting = joiner.deferred
        assert waiting is not None
        self._joiners.append(joiner)
        self._try(joiner)
        self.changed()
        return waiting

    def _try(self, joiner: _Joiner) -> None:
        """Append the change; where only the moment is wrong, the next tick tries again."""
        joiner.refused = None
        try:
            self._node.add_learner(joiner.node_id, joiner.address, joiner.is_replica)
        except ChangeRefused as refusal:
            if refusal.temporary:
                joiner.refused = refusal
            else:
                joiner.fail(refusal)
        except NotLeader as error:
            joiner.fail(error)
        self._wake()

    def _expire(self, joiner: _Joiner) -> None:
        status = self._node.status()
        if joiner.refused is not None:
            joiner.fail(joiner.refused)
        elif status.configuration_committed and status.configuration.members.get(joiner.node_id) == joiner.address:
            joiner.answer("learner")
        else:
            within = f"within {limits.JOIN_TIMEOUT_SECONDS:g} s"
            joiner.fail(_not_now(f"the change was not committed {within}; it may still be, and joining again is harmless"))


def _not_now(reason: str) -> ChangeRefused:
    return ChangeRefused(reason, temporary=True)


def _check(node_id: str, address: str) -> None:
    if not 0 < len(node_id) <= limits.NODE_ID_CHARACTERS_COUNT or not node_id.isprintable():
        raise ChangeRefused(
            f"a node id has 1 to {limits.NODE_ID_CHARACTERS_COUNT} printable characters, which {node_id[:80]!r} has not"
        )
    host, colon, port = address.rpartition(":")
    is_plausible = bool(host and colon and port) and address.isprintable() and " " not in address
    if not is_plausible or len(address) > limits.ADDRESS_CHARACTERS_COUNT:
        raise ChangeRefused(f"{address[:80]!r} is no address that others could dial; host:port would be right")
