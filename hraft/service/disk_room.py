"""Room on the disk, looked at again and again: below a reserve a node takes no more writes, before a save finds no room at all.

What frees room is taken all the same, and what the cluster has agreed on is saved as long as there is any: that is what the
reserve is for. With hysteresis, so that a disk at the bound does not refuse every second write. Knows nothing of files.
"""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from hraft import limits
from hraft.errors import DiskFull
from hraft.interfaces import DiskUse, Precautions
from hraft.service.alarms import DISK_FULL, Alarm, Alarms
from hraft.service.surroundings import RunInThread

_MIB = 1024 * 1024
#: Writes are taken again only with so much more than the reserve.
_ROOM_AGAIN_SHARE = 1.25


class DiskRoom:
    """One node's disk. `is_short` may be looked at for each write; `check` is asked while it is true."""

    def __init__(
        self, clock: IReactorTime, node_id: str, precautions: Precautions, run_in_thread: RunInThread, alarms: Alarms
    ) -> None:
        """`run_in_thread` is that of saves: a disk that hangs hangs for both, and the reactor waits for neither."""
        self._node_id = node_id
        self._disk_use = precautions.disk_use
        self._frees_room = precautions.frees_room
        self.reserve_bytes = precautions.disk_reserve_bytes
        self._run_in_thread = run_in_thread
        self._alarms = alarms
        self._looking = LoopingCall(self._look)
        self._looking.clock = clock
        self._is_below = False
        self._full_reason: str | None = None
        #: As of the last look; None before the first, and where nobody knows.
        self.use: DiskUse | None = None
        self.is_short = False

    def start(self) -> None:
        if self._disk_use is not None:
            self._looking.start(limits.DISK_LOOK_SECONDS, now=False)

    def stop(self) -> None:
        if self._looking.running:
            self._looking.stop()

    def check(self, command: bytes) -> None:
        """Raise DiskFull for a command that would not free any room."""
        if self.is_short and not self._frees_room(command):
            raise DiskFull(f"{self._reason()}; deletes are taken, and writes again when there is room")

    def full(self, reason: str | None) -> None:
        """A save found no room at all; None: there is some again."""
        self._full_reason = reason
        self._tell()

    def _look(self) -> object:
        """The next look waits for this one."""
        assert self._disk_use is not None
        return self._run_in_thread(self._disk_use).addCallbacks(self._seen, _not_seen)

    def _seen(self, use: DiskUse) -> None:
        self.use = use
        bound = self.reserve_bytes * _ROOM_AGAIN_SHARE if self._is_below else self.reserve_bytes
        self._is_below = use.free_bytes < bound
        self._tell()

    def _reason(self) -> str:
        if self._full_reason is not None:
            return self._full_reason
        free_bytes = 0 if self.use is None else self.use.free_bytes
        return (
            f"the disk of {self._node_id} has {free_bytes // _MIB} MiB left, and {self.reserve_bytes // _MIB} MiB "
            f"are kept in reserve"
        )

    def _tell(self) -> None:
        self.is_short = self._is_below
        if self._is_below or self._full_reason is not None:
            self._alarms.sound(Alarm(DISK_FULL, (self._node_id,), self._reason()))
        else:
            self._alarms.clear(DISK_FULL)


def _not_seen(failure: Failure) -> None:
    """A directory that cannot be asked says nothing of room; if it is gone, the next save will say so."""
    failure.trap(OSError)
