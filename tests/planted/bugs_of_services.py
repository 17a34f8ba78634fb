"""What `hraft/service` promises, and a little of `hraft/peers` and `hraft/kv`. Data only, see `planted_bug`."""

from planted_bug import both, bug

_ONE_CLUSTER = "a world has one cluster, and every address one node"
_LINKS = "simulated links stand in the place of hraft.peers"
_PROMPTNESS = "only how soon: who waits is told within the timeout all the same"
_THREADS = "simulated threads stand in the place of hraft.one_thread"
_SECOND = "another line of defence holds: "

_IN_ORDER = bug(
    "", "", "service/applying", "        assert entry.index == self.applied_id.index + 1, (self.applied_id, entry.id)\n", ""
)
_C4 = bug(
    "C4a",
    "who waits for an entry is told of another at its index",
    "service/proposals",
    "            if proposal.entry_id == entry_id:\n",
    "            if proposal.entry_id.index == entry_id.index:\n",
    unseen=_SECOND + "who leads no more has told all who wait (C5)",
)
_C5 = bug(
    "C5",
    "who waits is not told that its leader leads no more",
    "service/running",
    "            if self._leading_term is not None:\n",
    "            if False:\n",
    unseen=_PROMPTNESS,
)

CLIENTS = (
    _C4,
    _C5,
    both("C4+C5", "who waits for an entry of an earlier reign is told of another", _C4, _C5),
    bug(
        "C4b",
        "what a former leader proposed is said to be not done",
        "service/proposals",
        "(overtaken):\n            proposal.fail(OutcomeUnknown(",
        "(overtaken):\n            proposal.fail(ProposalDropped(",
    ),
    bug(
        "C4c",
        "what takes too long is said to be not done",
        "service/proposals",
        '                OutcomeUnknown(f"not applied',
        '                ProposalDropped(f"not applied',
    ),
    bug(
        "C4d",
        "what was forwarded and never answered is said to be not done",
        "service/forwarding",
        "    if failure.check(PeerUnreachable):\n        raise ProposalDropped(",
        "    if failure.check(PeerUnreachable, OutcomeUnknown):\n        raise ProposalDropped(",
    ),
    bug(
        "C4e",
        "what a snapshot took the place of is said to be not done",
        "service/proposals",
        "            self._waiting.popleft().fail(OutcomeUnknown(reason))",
        "            self._waiting.popleft().fail(ProposalDropped(reason))",
    ),
    bug(
        "L19a",
        "the last entry of a turn is applied twice",
        "service/applying",
        "        self._queue.extend(entries)\n",
        "        self._queue.extend((*entries, entries[-1]))\n",
    ),
    both(
        "L19b",
        "the same, and nobody looks at the order",
        _IN_ORDER,
        bug(
            "",
            "",
            "service/applying",
            "        self._queue.extend(entries)\n",
            "        self._queue.extend((*entries, entries[-1]))\n",
        ),
    ),
    both(
        "L19c",
        "the entry that came last is applied first",
        _IN_ORDER,
        bug("", "", "service/applying", "self._queue.popleft()", "self._queue.pop()"),
    ),
    bug(
        "L24",
        "proposals are taken in however far applying is behind",
        "service/running",
        "        self.applying.check_lag()\n",
        "",
        unseen="a world has too few clients to bring a node to its limits",
    ),
    bug(
        "R7",
        "a read does not wait for its index to be applied",
        "service/reads",
        "        if not read.is_local or read_index <= self._applied_index:\n",
        "        if True:\n",
    ),
    bug(
        "R8",
        "the snapshot is not read in before a node serves",
        "service/running",
        "        if recovered.snapshot is not None:\n",
        "        if False:\n",
    ),
    bug(
        "R9",
        "a follower answers reads by what it knows itself",
        "service/running",
        "        self.loop.wake()\n        return self.reads.gather(",
        "        read_id = self.reads.next_id()\n"
        "        waiting = self.reads.wait(read_id, self._clock.seconds())\n"
        "        self.reads.confirm(read_id, self.node.commit_index)\n"
        "        return waiting\n"
        "        return self.reads.gather(",
    ),
)

SAVES = (
    bug(
        "D1d",
        "a save that failed is tried again",
        "service/saves",
        "        if not failure.check(StorageFull):\n",
        "        if False:\n",
    ),
    bug(
        "D1e",
        "a node whose disk failed goes on",
        "service/saves",
        '            self._halt(f"a save failed: {in_words(failure.value)}")\n            return\n',
        "            self._done(None)\n            return\n",
    ),
    bug(
        "D3a", "a full disk stops the node", "service/saves", "        if not failure.check(StorageFull):\n", "        if True:\n"
    ),
    bug(
        "D3b",
        "a save that found no room is never tried again",
        "service/saves",
        "        if self._saved is not _ignore:\n            self._retry =",
        "        if False:\n            self._retry =",
    ),
    bug(
        "D3c",
        "a save that found no room counts as done",
        "service/saves",
        "        if self._saved is not _ignore:\n            self._retry =",
        "        self._done(None)\n        if False:\n            self._retry =",
    ),
    bug(
        "L6e",
        "a save counts as done when it is begun",
        "service/loop",
        "            self._saves.start(ready.save)\n",
        "            self._saves.start(ready.save)\n            self._node.saved(ready.save.number)\n",
        "            self._node.saved(save.number)\n",
        "",
    ),
    bug(
        "X2a",
        "the reactor waits for every save, however slow the disk is",
        "one_thread",
        "self._last_seconds < self._patience_seconds and",
        "self._thread is not None and",
        unseen=_THREADS,
    ),
    bug(
        "X2b",
        "what is done just after nobody waits for it any more is never heard of",
        "one_thread",
        "        if self.done is not None and self.firsts[0] is not None:\n",
        "        if self.done is not None:\n",
        unseen=_THREADS,
    ),
)

SNAPSHOTS_ON_THE_WAY = (
    bug(
        "S5b",
        "a received snapshot is read in before it is durable",
        "service/loop",
        "            self._applying.expect_restore(ready.restore)\n",
        "            self._applying.expect_restore(ready.restore)\n            self._applying.restore(ready.restore)\n",
    ),
    bug(
        "S7",
        "entries are applied while a snapshot is read in",
        "service/applying",
        "        if self._restore is not None or self._is_stopped or not self._queue:\n",
        "        if self._is_stopped or not self._queue:\n",
    ),
    bug(
        "S8c",
        "a chunk may come in any order",
        "service/snapshot_receiving",
        "        if chunk.offset != receiving.next_offset or not chunk.data:\n",
        "        if not chunk.data:\n",
    ),
    bug(
        "S8d",
        "a chunk of another transfer is taken for the next one",
        "service/snapshot_receiving",
        "not receiving.is_of(sender, chunk)",
        "False",
    ),
    bug(
        "S9b",
        "a chunk that was lost is not sent again",
        "service/snapshot_sending",
        "            self._send(sending, sending.chunk)\n",
        "            pass\n",
    ),
    bug(
        "S13b",
        "a second snapshot is received while the first is being installed",
        "service/snapshot_receiving",
        "        if self._is_installing:\n            return",
        "        if False:\n            return",
        unseen=_SECOND + "the core takes in one at a time (S13), and files that were received are kept",
    ),
    bug(
        "S14b",
        "a snapshot has the newest configuration, committed or not",
        "service/compaction",
        "applying.applied_id.term, applying.configuration)",
        "applying.applied_id.term, self._node.configuration)",
    ),
)

MEMBERS = (
    bug(
        "D19g",
        "a voter that lost its disk is told that it is in",
        "service/joining",
        "        if empty_log:\n",
        "        if False:\n",
    ),
    bug(
        "D20a",
        "a voter that asks is refused for good for a late answer of its own",
        "service/joining",
        "            raise _not_now(\n                f\"the log of",
        "            raise ChangeRefused(\n                f\"the log of",
    ),
    bug(
        "M8",
        "nobody looks who answers at the address of a joiner",
        "service/joining",
        "        if identity.node_id != node_id:\n",
        "        if False:\n",
        unseen=_ONE_CLUSTER,
    ),
    bug(
        "M15",
        "a node of another cluster is taken in",
        "service/joining",
        '        if identity.cluster_id not in ("", self._cluster_id):\n',
        "        if False:\n",
        unseen=_ONE_CLUSTER,
    ),
    bug(
        "M16",
        "a member may be in two places",
        "service/joining",
        "            if identity.node_id == node_id:\n",
        "            if False:\n",
        unseen=_ONE_CLUSTER,
    ),
    bug(
        "M20",
        "a joiner is told that it is in before that is committed",
        "service/joining",
        "        if not self._node.is_configuration_committed or configuration",
        "        if configuration",
    ),
)

PEERS = (
    bug("M14", "whoever dials is talked to", "peers/accepted", "        if objection:\n", "        if False:\n", unseen=_LINKS),
    bug(
        "C6",
        "a node that does not lead passes a peer's question on",
        "service/requests",
        "        if running.node.role is not Role.LEADER:\n            raise NotLeader(running.leader_id)\n",
        "",
        "return running.propose(request.command).addCallback",
        "return running.forwarding.propose(request.command).addCallback",
        unseen="it costs time, and in a circle much of it, but breaks no promise",
    ),
)

ALARMS = (
    bug(
        "O14a",
        "a member's hash is of a later state than was asked for",
        "service/applying",
        "        if applied_id.index == self._marked_index:\n",
        "        if applied_id.index > self._marked_index > 0:\n",
    ),
    bug(
        "O14b",
        "a difference is seen by the leader and told to nobody",
        "service/comparing",
        'verdict = b"" if alarm is None else msgspec.json.encode(alarm)',
        'verdict = b""',
        unseen="in a world no states differ",
    ),
    bug(
        "O14c",
        "an alarm of differing states is forgotten while a leader still finds it",
        "service/comparing",
        "            self._said_seconds = now\n",
        "            pass\n",
        unseen="in a world no states differ",
    ),
    bug(
        "O14d",
        "histories are compared, which begin elsewhere after an upgrade from snapshots of format 1",
        "kv/store",
        "has_history=False",
        "has_history=True",
        unseen="in a world all begin with the same release",
    ),
    bug(
        "O16",
        "writes are taken until the disk is full",
        "service/disk_room",
        "        self._is_below = use.free_bytes < bound\n",
        "",
        unseen="the nodes of a world do not look at the room on their disks",
    ),
    bug(
        "O16b",
        "a full disk that its node tells of no more is listed for ever",
        "service/shared_view",
        "limits.VIEW_REPEAT_SECONDS * 3)",
        "1e9)",
        unseen="it is shown, and decides nothing",
    ),
    bug(
        "O16c",
        "what a leader said of its members is believed for ever",
        "service/shared_view",
        "        return {} if is_old or",
        "        return {} if",
        unseen="it is shown, and decides nothing",
    ),
    bug(
        "O17",
        "a node that hears no leader says that it is ready",
        "service/health",
        "Check(\"quorum\", facts.hears_leader, words)",
        "Check(\"quorum\", True, words)",
        unseen="nobody in a world asks whether a node is ready",
    ),
)

STORE = (
    bug(
        "C1",
        "a write that is repeated is done again",
        "kv/store",
        "        if known is not None:\n",
        "        if False:\n",
    ),
    bug(
        "C2",
        "a snapshot has no sessions",
        "kv/store",
        "State(self._keyspace, self._sessions)",
        "State(self._keyspace, Sessions())",
    ),
    bug(
        "C8a",
        "what was set while a key was in use is forgotten when it is used no more",
        "kv/table",
        "                if changed is not None:\n",
        "                if False:\n",
    ),
    bug(
        "C8b",
        "a snapshot has keys in use as they were before",
        "kv/table",
        "self._changed.copy(), self._large.copy()",
        "{}, self._large.copy()",
    ),
    bug(
        "C8c",
        "a byte that ends a record may be in one",
        "kv/packing",
        '    return data.replace(b"\\xfe", b"\\xfe\\2").replace(b"\\xff", b"\\xfe\\3")\n',
        "    return data\n",
        unseen="what a world writes is text",
    ),
    bug(
        "C8d",
        "keys are not counted anew where a leaf was cut or emptied",
        "kv/tree",
        "        self.keys_count += sum(counts) - self.counts[at]\n",
        "",
    ),
)
