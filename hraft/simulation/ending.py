"""How a world ends: all is well again, and then it must be seen that nothing was lost and that the cluster lives (N12, L21).

The second of the two phases. Liveness is judged here only, since under faults nobody promises it.
"""

from __future__ import annotations

import gc
from collections.abc import Sequence

from twisted.python.failure import Failure

from hraft.errors import NotLeader, OutcomeUnknown, ProposalDropped
from hraft.kv.commands import Set, encode_command
from hraft.kv.results import Transacted, Written
from hraft.kv.store import KeyValueStore
from hraft.raft.entry import EntryKind
from hraft.service import Applied
from hraft.simulation.bit_rot import look_at_damage
from hraft.simulation.disk_truth import StorageWatcher, WatchedStorage
from hraft.simulation.history import Kind, Operation, Outcome
from hraft.simulation.life import CLUSTER_ID
from hraft.simulation.linearizability import Verdict
from hraft.simulation.node import SimulatedNode
from hraft.simulation.oracle import Attempt
from hraft.simulation.story import Violation
from hraft.simulation.watcher import look_at_watchers
from hraft.simulation.witness import Witness, judge
from hraft.simulation.world import World

#: From the end of all faults to a cluster in which everybody agrees: a snapshot or two may have to travel.
SETTLE_SECONDS = 60.0
#: New writes are acknowledged within so many election timeouts.
WRITE_TIMEOUTS_COUNT = 5
_AGAIN_SECONDS = 0.1
QUIET_SECONDS = 15.0


def end(world: World) -> None:
    """To be called when all is healed and the clients were told to stop. Raises Violation."""
    world.run_until(lambda: is_settled(world), SETTLE_SECONDS, "all members agree")
    if world.is_store:
        _write(world)
        world.run(QUIET_SECONDS)
        world.run_until(lambda: is_settled(world), SETTLE_SECONDS, "all members agree")
        _look_at_stores(world)
        look_at_watchers(world)
        world.lease_judge.look_at_end(world.members()[0].state_machine)
    _look_at_states(world)
    _look_at_logs(world)
    _look_at_disks(world)
    gc.collect()  # A Deferred whose error nobody handled says so when it is let go.
    world.run(0.0)
    if world.is_store:
        world.oracle.finish()
        operations = world.history.operations()
        judgement = judge(operations, _witness(world, operations))
        if judgement.verdict is not Verdict.LEGAL:
            raise Violation(f"the history is {judgement.verdict.value}", judgement.story())


def _witness(world: World, operations: Sequence[Operation]) -> Witness:
    """With what the log says of the writes, too. Of those with unknown outcome only what changed something is of interest."""
    for attempt in world.oracle.attempts():
        if attempt.token is None or attempt.index is None:
            continue
        result = world.ledger.result_at(attempt.index)
        changed = isinstance(result, Written) or (isinstance(result, Transacted) and result.succeeded)
        operation = operations[attempt.token]
        if operation.outcome is Outcome.OK or (changed and operation.kind is not Kind.GET):
            world.witness.took_effect(attempt.token, attempt.index)
    return world.witness


def is_settled(world: World) -> bool:
    """One leader, known to all members, who takes proposals in; and everything applied everywhere."""
    leader = world.leader()
    if leader is None or not leader.state.is_configuration_committed or leader.state.configuration.learners:
        return False
    if leader.state.leading is None or leader.state.leading.transfer is not None:
        return False
    last_index = leader.state.log.last_index
    return all(
        node.is_up
        and node.state.leader_id == leader.node_id
        and node.state.term == leader.state.term
        and node.service.status().applied_index == last_index
        and not node.is_short_of_room
        for node in world.members()
    )


def _write(world: World) -> None:
    """A write through every member is acknowledged in time. A disk that is slow may cost a leader its office even now."""
    limit_seconds = WRITE_TIMEOUTS_COUNT * world.shape.election_timeout_seconds
    for node in world.members():
        deadline, tries_count = world.clock.now + limit_seconds, 1
        while not _is_written(world, node, f"{node.node_id}-{tries_count}", deadline):
            tries_count += 1
            world.run(_AGAIN_SECONDS)


def _is_written(world: World, node: SimulatedNode, value: str, deadline: float) -> bool:
    token = world.history.invoke("end", Kind.SET, b"end", values=[value])
    attempt = world.oracle.attempt("end", encode_command(Set(b"end", value.encode())), token=token)
    assert node.life is not None
    node.life.process.callLater(0, _submit, world, node, attempt)
    what = f"a write through {node.node_id} is acknowledged"
    world.run_until(lambda: attempt.outcome is not None, max(0.0, deadline - world.clock.now), what)
    if attempt.outcome is Outcome.OK:
        world.history.done(token)
    elif attempt.outcome is Outcome.NOT_DONE:
        world.history.not_done(token)
    else:
        world.history.unknown(token)
    return attempt.outcome is Outcome.OK


def _submit(world: World, node: SimulatedNode, attempt: Attempt) -> None:
    def written(applied: Applied) -> None:
        world.oracle.done(attempt, applied.index)

    def failed(failure: Failure) -> None:
        failure.trap(NotLeader, ProposalDropped, OutcomeUnknown)
        world.oracle.failed(attempt, failure.value)

    node.service.submit(attempt.command).addCallbacks(written, failed).addErrback(world.broken)


def _look_at_stores(world: World) -> None:
    """Final durability: the state is the one that the committed commands make."""
    model = KeyValueStore(world.shape.store_limits)
    for entry in world.ledger.committed:
        if entry.kind is EntryKind.COMMAND:
            model.apply(entry.index, entry.command)
    expected = model.state_hash()
    node = world.members()[0]
    found = node.state_machine.state_hash()
    if found != expected:
        raise Violation("final durability", f"{node.node_id} has the state {found}, the committed commands make {expected}")


def _look_at_states(world: World) -> None:
    """All members have the same state, and would write the same snapshot."""
    states = {node.node_id: list(node.state_machine.snapshot()) for node in world.members()}
    first = next(iter(states))
    for node_id, state in states.items():
        if state != states[first]:
            raise Violation("equal states", f"{node_id} has {state[:20]}, {first} has {states[first][:20]}")


def _look_at_logs(world: World) -> None:
    """Every member's log is the ledger's, as far as it reaches back."""
    for node in world.members():
        log = node.state.log
        if log.last_index != world.ledger.commit_index:
            raise Violation("equal logs", f"{node.node_id} ends at {log.last_index}, the ledger at {world.ledger.commit_index}")
        for entry in log.between(log.first_index, log.last_index):
            if entry != world.ledger.committed[entry.index - 1]:
                raise Violation(
                    "equal logs", f"{node.node_id} has {entry}, committed is {world.ledger.committed[entry.index - 1]}"
                )


def _look_at_disks(world: World) -> None:
    """After a power cut at this moment, with the worst luck, each disk would hold what it must (D14)."""
    random = world.stream("damage")
    for node in world.nodes.values():
        if node.disk.has_failed:
            raise Violation("a node went on after its disk had failed", node.describe())
        found = node.disk.after_crash(lambda low, high: low)
        truth = node.truth.copy()
        storage = WatchedStorage(found, truth, CLUSTER_ID, world.shape.segment_bytes, 0, StorageWatcher())
        storage.pending = None if node.life is None else node.life.storage.pending
        storage.recover()
        look_at_damage(node.disk, CLUSTER_ID, random)
