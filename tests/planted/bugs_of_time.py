"""What leases of clients, reads by the leader's lease, and watches promise (docs/leases.md). Data only, see `planted_bug`."""

from planted_bug import both, bug

_ALL_REIGNS = bug(
    "",
    "",
    "leases",
    "        if term is not None:\n            self._reign = _Reign()\n",
    "        if True:\n            self._reign = _Reign()\n",
)
_BY_ANYBODY = bug(
    "", "", "leases", "self._node.propose(encode_command(ExpireLeases", "self._node.submit(encode_command(ExpireLeases"
)

LEASES = (
    bug(
        "C9a",
        "a new leader, or a grant, gives leases less than their time",
        "leases",
        "[granted] = now + lease.ttl_seconds\n",
        "[granted] = now + lease.ttl_seconds / 4\n",
    ),
    bug(
        "C9b",
        "a lease is kept alive by whoever takes himself for the leader",
        "leases",
        "        return self._node.confirm_read(ReadLevel.LINEARIZABLE).addCallback(self._confirmed, asked, arrived_at)\n",
        "        from twisted.internet.defer import maybeDeferred\n"
        "        return maybeDeferred(self._confirmed, 0, asked, arrived_at)\n",
    ),
    bug(
        "C9c",
        "a lease is kept alive whose end was asked for",
        "leases",
        "            if asked.lease in reign.ending:\n",
        "            if False:\n",
    ),
    both("C9d", "whoever led once goes on ending leases by his own clock", _ALL_REIGNS, _BY_ANYBODY),
    bug("C10a", "no lease ends by its time", "leases", "            self._end(reign, overdue)\n", "            pass\n"),
    bug(
        "C10b",
        "keys outlive their lease",
        "kv/store",
        "        for key in sorted(keys):\n            self._keyspace.delete(key, None)\n",
        "",
    ),
    bug(
        "C10c",
        "a key that is put again without its lease still ends with it",
        "kv/keyspace",
        "self.leases.detach(key, previous.lease)",
        "pass",
    ),
)

LEASE_READS = (
    bug(
        "R11a",
        "a lease outlasts the time for which votes are withheld",
        "service/contact",
        "LEASE_SHARE = 0.8",
        "LEASE_SHARE = 4.0",
    ),
    bug("R11b", "a leader that has handed over still reads by lease", "raft/view", "leading.has_handed_over or ", ""),
    bug(
        "R11c",
        "a voter that restarts votes at once",
        "raft/state",
        "        self.ticks_since_leader = 0 if self.log.last_index else settings.election_timeout_ticks\n",
        "        self.ticks_since_leader = settings.election_timeout_ticks\n",
    ),
    bug(
        "R11d",
        "a lease counts from when its answers came",
        "service/contact",
        "self._rounds.append((self._last_round + 1, self._turn_began_at))",
        'self._rounds.append((self._last_round + 1, float("inf")))',
    ),
)

WATCHES = (
    bug("C11a", "a snapshot has no history", "kv/snapshot_lines", "keyspace.history.events()", "[]"),
    bug(
        "C11b",
        "a revision of several events is told in parts",
        "kv/history",
        "        for found, events in groupby(self._from(place), key=_revision_of):\n"
        "            yield Change(found, tuple(events))\n",
        "        for event in self._from(place):\n            yield Change(event.revision, (event,))\n",
    ),
    bug(
        "C11c",
        "the history begins later than it says",
        "kv/history",
        "            self.oldest_revision = events[self._first].revision\n",
        "            self.oldest_revision = events[self._first].revision - 1\n",
    ),
)
