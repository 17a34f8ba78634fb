"""The rule that a disk which failed once is never trusted again by this process.

Knows nothing of what is stored.
"""

from __future__ import annotations

from types import TracebackType

from hraft.errors import StorageFailed, StorageFull
from hraft.storage.files import is_full


class FailStop:
    """A context for every call that touches the disk: turns the system's errors into hraft's, and after the first
    StorageFailed refuses all further calls. One is shared by all that one storage does, in whatever thread."""

    def __init__(self) -> None:
        self._reason = ""

    @property
    def failed(self) -> bool:
        return bool(self._reason)

    def __enter__(self) -> None:
        if self._reason:
            raise StorageFailed(f"the disk failed before and is not used again: {self._reason}")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if isinstance(error, StorageFailed):
            self._reason = str(error)
        elif isinstance(error, OSError):
            if is_full(error):
                raise StorageFull(f"no room on the disk: {error}; free some, and the same will be tried again") from error
            self._reason = str(error)
            raise StorageFailed(f"the disk failed: {error}") from error
