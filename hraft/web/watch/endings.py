"""Why a watch does not begin, or ends: one Problem for each reason. Knows nothing of watchers."""

from __future__ import annotations

from hraft import limits
from hraft.web.problems import NOT_DONE, RETRY_AFTER_SECONDS, Problem, retry_later


def compacted(position: int, oldest_revision: int) -> Problem:
    """Some of what comes after `position` is not known any more: whoever wants to go on must read the keys anew."""
    kept = f"changes are kept from after revision {oldest_revision} on, and {position} is older"
    detail = f"{kept}: read the keys again, and watch from the revision of that answer"
    return Problem(410, "compacted", detail, oldest_revision=oldest_revision)


def unknown_revision(since: int, revision: int) -> Problem:
    """There has been no such revision. A client that has seen it has seen another cluster's."""
    detail = f"the store is at revision {revision}: there has been no revision {since} yet"
    return Problem(400, "bad_revision", detail, revision=revision)


def too_slow(position: int) -> Problem:
    """The client may watch again from where it is, if it can keep up then."""
    seconds, size_kib = limits.WATCH_UNREAD_SECONDS, limits.WATCH_PORTION_BYTES // 1024
    detail = f"not even {size_kib} KiB were read within {seconds:g} s; all up to revision {position} had been sent"
    return Problem(408, "too_slow", detail)


def too_many(watchers_count: int) -> Problem:
    """This node has as many watchers as it takes."""
    headers = {b"Retry-After": str(RETRY_AFTER_SECONDS)}
    return Problem(429, "too_many_watchers", f"{watchers_count} watches are open here, and that is the limit", headers)


def stopping() -> Problem:
    """Nothing is lost: another node has the same revisions."""
    return retry_later("stopping", "this node is stopping; ask another one", outcome=NOT_DONE)
