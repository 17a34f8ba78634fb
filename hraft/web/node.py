"""What the web needs of a node. `hraft.service` has it; so has a test's node that answers when told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from twisted.internet.defer import Deferred

from hraft.errors import NodeRemoved
from hraft.interfaces import Observer, ReadLevel, StateMachine
from hraft.questions import Change, ChangeOutcome, JoinOutcome
from hraft.raft.entry import Snapshot
from hraft.raft.ready import NodeStatus
from hraft.service.alarms import Alarms
from hraft.service.chronicle import Chronicle
from hraft.service.counts import Counts
from hraft.service.health import Check
from hraft.service.shared_view import MemberView


class Leader(Protocol):
    """Who leads, as far as this node knows. `http_address` is host:port, with https:// before it where that is
    spoken, and None until that node has said it."""

    @property
    def node_id(self) -> str: ...
    @property
    def raft_address(self) -> str: ...
    @property
    def http_address(self) -> str | None: ...


class Applied(Protocol):
    """A command was committed and applied at `index`. `result` is for `hraft.kv.results.result_of`."""

    @property
    def index(self) -> int: ...
    @property
    def result(self) -> Any: ...


class Backup(Protocol):
    """The bytes of a snapshot file, made as they are asked for."""

    @property
    def snapshot(self) -> Snapshot: ...

    def next_part(self) -> Deferred[bytes]:
        """None at the end."""


class Node(Protocol):
    """One node of a cluster. Deferreds fail with errors of `hraft.errors`; cancelling one detaches who waits, and no more."""

    @property
    def node_id(self) -> str: ...
    @property
    def cluster_id(self) -> str: ...
    @property
    def raft_address(self) -> str: ...
    @property
    def http_address(self) -> str: ...
    @property
    def removal(self) -> NodeRemoved | None:
        """Set once this node was removed from its cluster, for ever."""

    @property
    def state_machine(self) -> StateMachine:
        """The present one: a snapshot from the leader replaces it, so it is never kept."""

    @property
    def term(self) -> int: ...
    @property
    def tick_seconds(self) -> float:
        """How long the unit is that a status counts contacts in."""

    def status(self) -> NodeStatus: ...

    def age_seconds(self) -> float | None:
        """How old what this node has may be; None: it never was in touch with its cluster."""

    @property
    def chronicle(self) -> Chronicle:
        """What happened to this node since its start."""

    def leader(self) -> Leader | None: ...

    def look_around(self) -> None:
        """Where this node follows, have its leader say what it knows of the members: `member_views` has it a moment later."""

    def member_views(self) -> Mapping[str, MemberView]:
        """How far each member is, as far as this node knows; empty where it does not."""

    @property
    def alarms(self) -> Alarms:
        """What an operator must look at."""

    def counts(self) -> Counts: ...

    def liveness(self) -> tuple[Check, ...]: ...

    def readiness(self) -> tuple[Check, ...]: ...

    def http_address_of(self, node_id: str) -> str | None:
        """host:port of a member, if it has said it."""

    def propose(self, command: bytes) -> Deferred[Any]:
        """Fires with an Applied. Fails with NotLeader, ProposalDropped or OutcomeUnknown."""

    def submit(self, command: bytes) -> Deferred[Any]:
        """The same on any node: passed to the leader where this node does not lead."""

    def confirm_read(self, level: ReadLevel = ReadLevel.LINEARIZABLE) -> Deferred[int]:
        """Fires when whatever was acknowledged before the call can be read from this node's state machine."""

    def backup(self) -> Backup:
        """The state of now, in parts. Raises ReadFailed."""

    def observe(self, observer: Observer) -> None:
        """Have this told from now on of what happens."""

    def join(
        self, node_id: str, address: str, empty_log: bool | None = None, learner: bool | None = None
    ) -> Deferred[JoinOutcome]: ...

    def change_member(self, change: Change, node_id: str) -> Deferred[ChangeOutcome]:
        """Fails with ChangeRefused, NotLeader or OutcomeUnknown."""
