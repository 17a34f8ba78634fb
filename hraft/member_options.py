"""The options of `twist hraft` about becoming and ceasing to be a member: text in, `MemberSettings` out. Asks nobody."""

from __future__ import annotations

import re
from typing import Any

from twisted.python import usage

from hraft import limits
from hraft.settings import MemberSettings

MEMBER_PARAMETERS: list[list[str | None]] = [
    [
        "bootstrap-expect",
        None,
        None,
        "begin one cluster of so many nodes, all started with this command line; --join names all",
    ],
    ["reap-after", None, None, "while this node leads, remove members not heard for so many seconds [default: never]"],
]
MEMBER_FLAGS: list[list[str | None]] = [
    ["learner", None, "join as a read replica: a learner until `hraft members promote`"],
    ["leave-on-stop", None, "be removed from the cluster when this node is stopped; its id is then never used again"],
]
#: Shorter, and a restart would cost a node its membership.
REAP_SECONDS_AT_LEAST = 10


def member_settings(options: Any, targets_count: int) -> MemberSettings:
    """What was said. Raises UsageError where it does not belong together."""
    expected_count = _number(options, "bootstrap-expect", 1, limits.MEMBERS_COUNT)
    if expected_count is not None and expected_count != targets_count:
        raise usage.UsageError(
            f"--bootstrap-expect {expected_count} needs the HTTP addresses of all {expected_count} nodes in --join, "
            f"this one's too, and not {targets_count}"
        )
    if expected_count is not None and options["learner"]:
        raise usage.UsageError("--learner joins a cluster, and --bootstrap-expect begins one: leave out one of them")
    if options["learner"] and not targets_count:
        raise usage.UsageError("--learner needs --join: there is nothing to learn in a cluster of one's own")
    return MemberSettings(
        is_learner=bool(options["learner"]),
        leaves_on_stop=bool(options["leave-on-stop"]),
        reap_after_seconds=_number(options, "reap-after", REAP_SECONDS_AT_LEAST, 365 * 24 * 3600),
        expected_count=expected_count,
    )


def _number(options: Any, name: str, lowest: int, highest: int) -> int | None:
    if options[name] is None:
        return None
    text = str(options[name])
    if not re.fullmatch("[0-9]{1,10}", text) or not lowest <= int(text) <= highest:
        raise usage.UsageError(f"--{name} {text[:100]}: must be a whole number from {lowest} to {highest}")
    return int(text)
