"""What `twist hraft` starts: options in, a service out.

Whatever keeps it from starting is one line on stderr and exit status 1.
"""

from __future__ import annotations

from typing import Any

from twisted.application.service import IService, MultiService

from hraft import limits
from hraft.assembly import HraftService
from hraft.errors import HraftError
from hraft.log_file import UnhurriedFile
from hraft.options import Options
from hraft.process import allow_files, reload_on_hangup, return_memory, settle_memory, use_monotonic_time
from hraft.supervisor import Condition, supervision

__all__ = ["Options", "makeService"]


class _Process(MultiService):
    """The root of the services of one process."""

    def startService(self) -> None:
        """Under `twist`, any exception but this one would be a traceback, and one that came later would be nothing at all."""
        try:
            super().startService()  # type: ignore[no-untyped-call]
        except HraftError as error:
            raise SystemExit(f"hraft: {' '.join(str(error).split())}") from error
        settle_memory()


def makeService(options: Options, reactor: Any = None) -> IService:
    """One node, as the options say."""
    if reactor is None:
        from twisted.internet import reactor
    use_monotonic_time(reactor)
    allow_files(limits.FILES_COUNT)
    return_memory()
    # `twist` begins its log after this, with the file that it finds here.
    twist = getattr(options, "parent", None)
    if twist is not None and twist.get("logFile") is not None:
        twist["logFile"] = UnhurriedFile(twist["logFile"])
    process = _Process()  # type: ignore[no-untyped-call]
    service = HraftService(reactor, options.settings)
    service.setServiceParent(process)  # type: ignore[no-untyped-call]
    supervised = supervision(reactor, lambda: _condition(service))
    if supervised is not None:
        # After the node: what is added last is stopped first.
        supervised.setServiceParent(process)  # type: ignore[no-untyped-call]
    if service.certificates.live or options.settings.access.user_file is not None:
        # An operator's word that the files of certificates or users are new. Without any, it means what it always does.
        reload_on_hangup(reactor, service.reload)
    return process


def _condition(service: HraftService) -> Condition:
    """What `systemctl status` shows of a node."""
    node = service.node
    if node is None:
        return Condition(False, bool(service.running), "asks to be taken in")
    status = node.status()
    words = f"{node.node_id}: {status.role.value}, term {status.term}, "
    words += "no leader is known" if status.leader_id is None else f"leader {status.leader_id}"
    return Condition(service.is_started, all(check.is_ok for check in node.liveness()), words)
