"""What is wrong with a data directory, where, and what can be done: one `Verdict` for each thing found."""

from __future__ import annotations

from dataclasses import dataclass

from hraft.offline.contents import Contents

_REPLACE = (
    "restore the file from a copy of this very directory; or, while a majority of the cluster lives, remove this node and join "
    "again with an empty directory and a new id"
)
_TORN = "a save that was never acknowledged, as far as can be told; the next start cuts it off"
_SET_ASIDE = "the log reaches back to what comes before it; the next start sets it aside"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`is_damage`: a node does not start with it. Otherwise a start mends it by itself, and `advice` says how."""

    problem: str
    advice: str
    is_damage: bool


def verdicts_of(contents: Contents) -> tuple[Verdict, ...]:
    """Everything that is not as a clean stop leaves it, the worst first."""
    found = [*_of_log(contents), *_of_snapshots(contents)]
    return tuple(sorted(found, key=lambda verdict: not verdict.is_damage))


def _of_log(contents: Contents) -> list[Verdict]:
    log, path, found = contents.log, contents.path, []
    if contents.damage is not None:
        advice = f"if this is all that is left of the cluster, `hraft log repair {path}` shows what cutting it off would lose"
        found.append(Verdict(str(contents.damage), advice, True))
    if log.torn is not None:
        problem = f"{path}/log/{log.torn.name}, byte {log.torn.end} of {log.torn.size}: batch {log.torn.batch} is not whole"
        found.append(Verdict(problem, _TORN, False))
    if contents.missing is not None:
        first, last = contents.missing
        problem = f"{path}/log begins with entry {last + 1}, but no sound snapshot covers the entries from {first} to {last}"
        found.append(Verdict(problem, f"{_REPLACE}. Nothing that could be cut off would help", True))
    newest = contents.newest
    is_void = newest is not None and log.segments and log.next_index != newest.index + 1 and not contents.entries_after(newest)
    if newest is not None and is_void and contents.missing is None and not _ends_with(contents):
        problem = f"{path}/log ends with entry {log.next_index - 1} and does not reach the snapshot of entry {newest.index}"
        found.append(Verdict(problem, "an installation was interrupted; the next start begins the log anew behind it", False))
    return found


def _ends_with(contents: Contents) -> bool:
    """Whether the log's last entry is the newest snapshot's."""
    newest, log = contents.newest, contents.log
    return newest is not None and bool(log.entries) and log.entries[-1].id == newest.id


def _of_snapshots(contents: Contents) -> list[Verdict]:
    found = []
    newest_index = contents.newest.index if contents.newest else 0
    for each in contents.snapshots:
        if each.snapshot is not None:
            continue
        is_newer = int(each.name[:20]) > newest_index
        if is_newer and contents.missing is not None:
            found.append(Verdict(each.problem, _REPLACE, True))
        elif is_newer:
            found.append(Verdict(each.problem, _SET_ASIDE, False))
        else:
            found.append(Verdict(each.problem, "there is a newer one, so nobody needs it", False))
    return found
