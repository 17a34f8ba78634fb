"""Cutting a damaged log off before the damage: what that would take away, and doing it. What is cut off is kept beside the log.

It may take away what this node had acknowledged, its vote among it. So this is for the last node of a cluster, never for one
whose cluster goes on without it. The vote, at least, is not given twice: the term is raised above all that can still be read.
"""

from __future__ import annotations

from dataclasses import dataclass

from hraft.codec import decode_entries
from hraft.errors import BadMessage
from hraft.offline.contents import Contents
from hraft.offline.holding import ReadOnlyFileSystem
from hraft.raft.entry import HardState
from hraft.storage.batch import Batch, decode_batch, find_other_header
from hraft.storage.files import FileSystem, sync, sync_directory, write_all
from hraft.storage.journal import Journal
from hraft.storage.log_reader import read_log

#: A segment is searched for whole batches from header to header; what cannot be read between them is passed over.
_NO_BATCH = -1


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be cut off: `name` from `offset` on, and the segments `later` altogether.

    `left_index` is the last entry that stays. `lost_batches_count` and `lost_index` are of what can still be read behind the
    damage; `term` is above every term there.
    """

    directory: str
    name: str
    offset: int
    later: tuple[str, ...]
    cut_bytes: int
    left_index: int
    lost_batches_count: int
    lost_index: int
    term: int

    def sentences(self) -> tuple[str, ...]:
        """What it comes to, for whoever must decide."""
        cut = f"{self.directory}/{self.name} would be cut off at byte {self.offset}"
        also = f", and taken away: {', '.join(self.later)}" if self.later else ""
        lost = f"up to entry {self.lost_index}" if self.lost_index > self.left_index else "of which no entry can be read"
        return (
            f"{cut}{also}: {self.cut_bytes} bytes in all, which would be kept beside it in files named *.cut",
            f"the log would end with entry {self.left_index}. What follows may be lost, although it was acknowledged: "
            f"{self.lost_batches_count} whole saves behind the damage {lost}, and whatever was in the damaged one",
            "do this only where no other member of the cluster is left: among living members it could undo acknowledged writes",
        )


def planned(contents: Contents) -> Plan | None:
    """What can be cut off so that the log can be read; None where there is nothing to cut, or cutting would not help."""
    directory = f"{contents.path}/log"
    torn, damage = contents.log.torn, contents.damage
    if contents.missing is not None or (torn is None and damage is None):
        return None
    name, offset = (damage.name, damage.sound_end) if damage is not None else (torn.name, torn.end)  # type: ignore[union-attr]
    files = ReadOnlyFileSystem()
    later = tuple(each for each in files.listdir(directory) if each.endswith(".jsonl") and each > name)
    cut_bytes = lost_batches_count = lost_index = 0
    term = contents.log.hard_state.term
    for each, begin in ((name, offset), *((each, 0) for each in later)):
        data = _data(files, f"{directory}/{each}")
        cut_bytes += len(data) - begin
        for batch in _readable(data, begin):
            lost_batches_count += 1
            lost_index = max(lost_index, _last_index(batch))
            term = max(term, batch.hard_state.term)
    left_index = contents.log.next_index - 1
    return Plan(directory, name, offset, later, cut_bytes, left_index, lost_batches_count, lost_index, term + 1)


def carry_out(plan: Plan, files: FileSystem) -> None:
    """Do it. From the end backwards: whenever it is interrupted, the damage is still there to be found, and may be cut again."""
    directory = plan.directory
    for name in reversed(plan.later):
        files.rename(f"{directory}/{name}", f"{directory}/{_free_name(files, directory, name)}")
        sync_directory(files, directory)
    path = f"{directory}/{plan.name}"
    if plan.offset == 0:
        files.rename(path, f"{directory}/{_free_name(files, directory, plan.name)}")
    else:
        _keep_end(plan, files)
        file = files.open(path)
        try:
            file.truncate(plan.offset)
            sync(file)
        finally:
            file.close()
    sync_directory(files, directory)
    journal = Journal(files, directory, read_log(files, directory, 0))
    journal.append(HardState(plan.term, None))
    journal.close()


def _keep_end(plan: Plan, files: FileSystem) -> None:
    data = _data(files, f"{plan.directory}/{plan.name}")[plan.offset :]
    file = files.create(f"{plan.directory}/{_free_name(files, plan.directory, f'{plan.name}.from-{plan.offset}')}")
    try:
        write_all(file, 0, data)
        sync(file)
    finally:
        file.close()
    sync_directory(files, plan.directory)


def _free_name(files: FileSystem, directory: str, name: str) -> str:
    """A name that no earlier repair has used."""
    taken, number = set(files.listdir(directory)), 1
    while f"{name}.{number}.cut" in taken:
        number += 1
    return f"{name}.{number}.cut"


def _data(files: FileSystem, path: str) -> bytes:
    file = files.open(path)
    try:
        return file.read(0, file.size())
    finally:
        file.close()


def _readable(data: bytes, offset: int) -> list[Batch]:
    """The whole batches from `offset` on, whatever stands between them."""
    found = []
    place: int | None = offset
    while place is not None:
        batch = decode_batch(data, place)
        if isinstance(batch, Batch):
            found.append(batch)
            place = batch.end
        else:
            place += 1
        place = find_other_header(data, place, _NO_BATCH)
    return found


def _last_index(batch: Batch) -> int:
    try:
        entries = decode_entries(batch.lines)
    except BadMessage:
        return 0
    return entries[-1].index if entries else 0
