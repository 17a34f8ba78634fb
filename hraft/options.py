"""The command line of `twist hraft`: text in, checked values out, or a `usage.UsageError` of one clear sentence.

Opens no file and no socket, so that all of it can be tested by parsing. The defaults of limits are in `hraft.limits`.
"""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from typing import Any

from twisted.python import usage

from hraft import __version__, limits
from hraft.access_options import ACCESS_PARAMETERS, access_settings
from hraft.addresses import Address, Endpoint, advertised, parse_advertised, parse_listening, parse_target
from hraft.errors import BadAddress
from hraft.interfaces import SnapshotPolicy, Timing
from hraft.member_options import MEMBER_FLAGS, MEMBER_PARAMETERS, member_settings
from hraft.settings import BackupPolicy, NodeSettings
from hraft.tls_options import TLS_PARAMETERS, tls_settings

TICK_MILLISECONDS = 20
#: A follower must miss several heartbeats before it campaigns, or one lost packet is an election (Section 3.9, E19).
ELECTION_TIMEOUT_HEARTBEATS_COUNT = 3
_BYTES_IN_MIB = 1024 * 1024
_COMPLAINT_CHARACTERS_COUNT = 600
_NODE_ID = re.compile(r"[!-~]{1,128}")


@dataclass(frozen=True, slots=True)
class Range:
    """What a number on the command line may be."""

    default: int
    lowest: int
    highest: int


NUMBERS = {
    "election-timeout": Range(400, 60, 60_000),
    "heartbeat-interval": Range(100, 20, 20_000),
    "snapshot-entries": Range(limits.SNAPSHOT_ENTRIES_COUNT, 1, 1_000_000_000),
    "snapshot-log-mib": Range(limits.SNAPSHOT_LOG_BYTES // _BYTES_IN_MIB, 1, 1024 * 1024),
    "kept-entries": Range(limits.KEPT_ENTRIES_COUNT, 1, 1_000_000_000),
    "backup-interval": Range(3600, 1, 365 * 24 * 3600),
    "backup-keep": Range(24, 1, 1_000_000),
    "check-interval": Range(limits.CHECK_INTERVAL_SECONDS, 0, 365 * 24 * 3600),
    "disk-reserve-mib": Range(limits.DISK_RESERVE_BYTES // _BYTES_IN_MIB, 0, 1024 * 1024),
}


class Options(usage.Options):
    """Command line options of `twist hraft`."""

    synopsis = "[options] <data directory>"
    longdesc = (
        "Run one node of a replicated key-value store. Addresses are host:port, :port (every interface), [v6]:port or a Twisted "
        "endpoint string. Without --join, a node with an empty data directory begins a cluster of its own. "
        "A node with a data directory that is not empty goes on where it was, whatever --join says."
    )
    optParameters = [
        ["haddr", None, "localhost:11000", "where to serve HTTP"],
        ["raddr", None, "localhost:12000", "where to talk to the other nodes"],
        ["haddr-adv", None, None, "HTTP address that others are told [default: as --haddr, localhost for every interface]"],
        ["raddr-adv", None, None, "Raft address that others are told [default: as --raddr, localhost for every interface]"],
        ["join", None, None, "HTTP addresses of any members, with commas between: ask the first that answers to be taken in"],
        ["backup-dir", None, None, "directory in which this node keeps backups of the whole store, made by itself"],
        *TLS_PARAMETERS,
        *ACCESS_PARAMETERS,
        *MEMBER_PARAMETERS,
        ["id", None, None, "name of this node, used once for all time [default: the advertised Raft address]"],
        *(
            [name, None, NUMBERS[name].default, help_text]
            for name, help_text in (
                ("election-timeout", "milliseconds of silence after which a node seeks to lead, at least 3 heartbeats"),
                ("heartbeat-interval", "milliseconds between a leader's signs of life"),
                ("snapshot-entries", "take a snapshot after this many log entries"),
                ("snapshot-log-mib", "take a snapshot after this much log, in MiB"),
                ("kept-entries", "log entries kept behind a snapshot for nodes that lag"),
                ("backup-interval", "seconds from one backup in --backup-dir to the next"),
                ("backup-keep", "backups of this node kept in --backup-dir"),
                ("check-interval", "seconds from one comparison of the members' states to the next; 0: none"),
                ("disk-reserve-mib", "refuse writes, but not deletes, while the disk has less room than so many MiB; 0: never"),
            )
        ),
    ]
    optFlags = [
        ["inmem", None, "keep everything in memory: a stopped node has lost its promises and must not come back under its id"],
        ["forward", None, "pass a write on to the leader instead of answering who leads"],
        *MEMBER_FLAGS,
    ]

    #: Set by `postOptions`.
    settings: NodeSettings

    def opt_version(self) -> None:
        """Display the version of hraft and exit."""
        sys.stdout.write(f"hraft {__version__}\n")
        raise SystemExit(0)

    def parseOptions(self, options: Any = None) -> None:
        """Parse and check. Under `twist`, which would print pages of usage, a mistake is one line and exit status 64."""
        try:
            super().parseOptions(options)  # type: ignore[no-untyped-call]
        except usage.UsageError as error:
            shown = _one_line(str(error))
            if getattr(self, "parent", None) is None:
                raise usage.UsageError(shown) from error
            sys.stderr.write(f"hraft: {shown} (twist hraft --help explains the options)\n")
            raise SystemExit(os.EX_USAGE) from error

    def parseArgs(self, *arguments: str) -> None:
        """Take the data directory, the only argument."""
        if len(arguments) > 1:
            raise usage.UsageError(f"one data directory, not {len(arguments)}: {' '.join(arguments)}")
        if not any(arguments) and not self["inmem"]:
            raise usage.UsageError("no data directory: say where this node keeps its log, for example ~/node0, or say --inmem")
        self["directory"] = arguments[0] if arguments else None

    def postOptions(self) -> None:
        """Check everything that was said, in itself and together."""
        http_listening, http_address = self._listening("haddr")
        raft_listening, raft_address = self._listening("raddr")
        if isinstance(raft_listening, Endpoint) and raft_listening.kind == "ssl":
            raise usage.UsageError(f"--raddr {raft_listening}: nodes talk plain TCP there; write host:port, and --raft-cert")
        tls = tls_settings(self)
        is_https = tls.http.is_there or (isinstance(http_listening, Endpoint) and http_listening.kind == "ssl")
        if tls.http.is_there and isinstance(http_listening, Endpoint) and http_listening.kind == "ssl":
            raise usage.UsageError(f"--haddr {http_listening} names certificates, and so does --http-cert: leave out one of them")
        if http_address == raft_address:
            raise usage.UsageError(f"--haddr and --raddr are both {http_address}: HTTP and Raft need a port each")
        join_targets = self._join_targets(is_https)
        self.settings = NodeSettings(
            directory=None if self["inmem"] else self["directory"],
            node_id=self._node_id(),
            http_listening=http_listening,
            http_address=f"https://{http_address}" if is_https else http_address,
            raft_listening=raft_listening,
            raft_address=raft_address,
            join_targets=join_targets,
            forward=bool(self["forward"]),
            timing=self._timing(),
            snapshot_policy=SnapshotPolicy(
                entries_count=self._number("snapshot-entries"),
                log_bytes=self._number("snapshot-log-mib") * _BYTES_IN_MIB,
                kept_entries_count=self._number("kept-entries"),
            ),
            backups=self._backups(),
            access=access_settings(self),
            check_interval_seconds=self._number("check-interval"),
            disk_reserve_bytes=self._number("disk-reserve-mib") * _BYTES_IN_MIB,
            tls=tls,
            members=member_settings(self, len(join_targets)),
        )

    def _listening(self, name: str) -> tuple[Address | Endpoint, str]:
        """Where to listen, and what others are told."""
        try:
            listening = parse_listening(self[name])
        except BadAddress as error:
            raise usage.UsageError(f"--{name}: {error}") from error
        try:
            told = parse_advertised(self[f"{name}-adv"]) if self[f"{name}-adv"] is not None else advertised(listening)
        except BadAddress as error:
            raise usage.UsageError(f"--{name}-adv: {error}") from error
        if told is None:
            raise usage.UsageError(f"--{name} {listening} does not say what others should dial: add --{name}-adv host:port")
        return listening, str(told)

    def _node_id(self) -> str | None:
        node_id: str | None = self["id"]
        if node_id is not None and not _NODE_ID.fullmatch(node_id):
            raise usage.UsageError(f"--id {node_id[:200]!r}: an id is 1 to 128 printable ASCII characters without spaces")
        return node_id

    def _join_targets(self, is_https: bool) -> tuple[Address | Endpoint, ...]:
        if self["join"] is None:
            return ()
        try:
            return tuple(parse_target(target.strip(), is_https) for target in self["join"].split(","))
        except BadAddress as error:
            raise usage.UsageError(f"--join: {error}") from error

    def _backups(self) -> BackupPolicy | None:
        interval_seconds, kept_count = self._number("backup-interval"), self._number("backup-keep")
        if self["backup-dir"] is None:
            return None
        if not self["backup-dir"]:
            raise usage.UsageError("--backup-dir is empty: name a directory, or leave it out")
        return BackupPolicy(os.path.abspath(os.path.expanduser(self["backup-dir"])), interval_seconds, kept_count)

    def _timing(self) -> Timing:
        names = ("election-timeout", "heartbeat-interval")
        election, heartbeat = (round(self._number(name) / TICK_MILLISECONDS) for name in names)
        if election < ELECTION_TIMEOUT_HEARTBEATS_COUNT * heartbeat:
            raise usage.UsageError(
                f"--election-timeout {self['election-timeout']} must be at least {ELECTION_TIMEOUT_HEARTBEATS_COUNT} times "
                f"--heartbeat-interval {self['heartbeat-interval']} (milliseconds, rounded to {TICK_MILLISECONDS})"
            )
        return Timing(TICK_MILLISECONDS / 1000, heartbeat, election)

    def _number(self, name: str) -> int:
        allowed, text = NUMBERS[name], str(self[name])
        if not re.fullmatch("[0-9]{1,10}", text) or not allowed.lowest <= int(text) <= allowed.highest:
            raise usage.UsageError(f"--{name} {text[:100]}: must be a whole number from {allowed.lowest} to {allowed.highest}")
        return int(text)


def _one_line(text: str) -> str:
    """Twisted's own complaints repeat an option as it was given, with line ends in it and at any length."""
    line = " ".join(text.splitlines())
    return line if len(line) <= _COMPLAINT_CHARACTERS_COUNT else line[:_COMPLAINT_CHARACTERS_COUNT] + "..."
