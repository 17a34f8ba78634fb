"""What `hraft/storage` promises: the log, the snapshots, the directory. Data only, see `planted_bug`."""

from planted_bug import both, bug

_ONE_CLUSTER = "a world has one cluster, and every node the disk that is its own"
_IDENTITY = "a simulated node is told who it is, and has no node.json"
_SECOND = "another line of defence holds: "
_UP_TO_SNAPSHOT = (
    "            if newest is None:\n                return\n            journal.compact(min(first_index, newest.index + 1))\n"
)

JOURNAL = (
    bug(
        "D1a",
        "an fsync that failed counts as done",
        "storage/files",
        '        raise StorageFailed(f"{file.path}: fdatasync',
        '        str(f"{file.path}: fdatasync',
        ' what is on disk is unknown") from error\n\n\ndef sync_directory',
        ' what is on disk is unknown")\n\n\ndef sync_directory',
    ),
    bug(
        "D1b",
        "an fsync that failed is tried again",
        "storage/files",
        "        file.fdatasync()\n    except OSError as error:\n",
        "        file.fdatasync()\n    except OSError:\n        file.fdatasync()\n    except ValueError as error:\n",
    ),
    bug(
        "D1c",
        "a disk that failed once is used again",
        "storage/fail_stop",
        "        if self._reason:\n",
        "        if False:\n",
        unseen=_SECOND + "the service stops the node at the first failure",
    ),
    bug(
        "D5a",
        "a torn tail is taken for corruption",
        "storage/log_reader",
        "        self.found.torn = TornTail(",
        "        self._refuse(segment.end, problem)\n        self.found.torn = TornTail(",
    ),
    bug("D5b", "a torn tail is not cut off", "storage/journal", "    if torn is None:\n", "    if True:\n"),
    bug(
        "D6",
        "a save that was lost in its midst is taken for corruption",
        "storage/log_reader",
        "        if other is not None:\n",
        "        if self._data.count(b'\"batch\":', segment.end):\n",
    ),
    bug(
        "D7a",
        "corruption is taken for a torn tail",
        "storage/log_reader",
        "        if other is not None:\n",
        "        if False:\n",
    ),
    bug(
        "D7b",
        "a damaged segment is cut off though others follow",
        "storage/log_reader",
        "        if not is_last:\n",
        "        if False:\n",
    ),
    bug(
        "D7c",
        "batches need not follow one another",
        "storage/log_reader",
        "        if batch.number != found.last_batch + 1:\n",
        "        if False:\n",
        "        if first_batch != found.last_batch + 1:\n",
        "        found.last_batch = first_batch - 1\n        if False:\n",
    ),
    bug(
        "D8a",
        "the checksum of a batch is not looked at",
        "storage/batch",
        "header.start(7)])) != checksum:",
        "header.start(7)])) is None:",
    ),
    bug(
        "D11a",
        "the name of a new segment is not synced",
        "storage/journal",
        "        sync_directory(self._file_system, self._directory)\n        self.close()\n",
        "        self.close()\n",
    ),
    bug(
        "D11b",
        "the names of the directories are not synced",
        "storage/durable",
        "            sync_directory(self._file_system, self._path)\n",
        "",
    ),
    bug(
        "D13a",
        "segments are not removed one by one",
        "storage/journal",
        "            sync_directory(self._file_system, self._directory)\n            del self._segments[0]\n",
        "            del self._segments[0]\n",
    ),
    bug(
        "D13b",
        "a log that begins anew does not say so",
        "storage/journal",
        "hard_state, RESET, entries)",
        "hard_state, None, entries)",
    ),
    bug(
        "D14a",
        "a batch is not synced",
        "storage/journal",
        "        sync(file)\n        segment.end = end\n",
        "        segment.end = end\n",
    ),
    bug(
        "D14b",
        "the first batch of a segment is not synced",
        "storage/journal",
        "        sync(file)\n        sync_directory(self._file_system, self._directory)\n        self.close()\n",
        "        sync_directory(self._file_system, self._directory)\n        self.close()\n",
    ),
    bug(
        "D18",
        "a truncation is not written down",
        "storage/journal",
        "hard_state, truncate_from, entries)\n        if",
        "hard_state, None, entries)\n        if",
    ),
    bug(
        "E2",
        "a vote is not written down",
        "storage/batch",
        'b"null" if hard_state.voted_for is None else',
        'b"null" if True else',
    ),
)

SNAPSHOT_FILES = (
    bug(
        "S1a",
        "a snapshot is not synced before it gets its name",
        "storage/snapshots",
        "            sync(file)\n        except OSError as error:\n",
        "        except OSError as error:\n",
    ),
    bug(
        "S1b",
        "a received snapshot is not synced",
        "storage/snapshots",
        "            sync(self._file)\n            try:\n",
        "            try:\n",
    ),
    bug(
        "S1c",
        "a received snapshot is not read through",
        "storage/snapshots",
        "            self._verified(temporary, snapshot)\n",
        "",
        unseen="no simulated link changes a byte, as TCP does not; the file is read through again at the next start",
    ),
    bug(
        "S1d",
        "the name of a snapshot is not synced",
        "storage/snapshots",
        "            sync_directory(self._file_system, self._directory)\n            self._names",
        "            self._names",
    ),
    bug(
        "D8b",
        "the checksum of a snapshot is not looked at",
        "storage/snapshot_file",
        '    if b"%08x" % checksum != layout.checksum:\n',
        "    if False:\n",
    ),
    bug(
        "S2b",
        "the log is dropped on disk before the snapshot is there",
        "storage/durable",
        _UP_TO_SNAPSHOT,
        "            journal.compact(first_index)\n",
        unseen=_SECOND + "the core asks for it when the snapshot is durable",
    ),
    both(
        "S2c",
        "the log is dropped before the snapshot is durable",
        bug(
            "",
            "",
            "storage/durable",
            _UP_TO_SNAPSHOT,
            "            journal.compact(first_index)\n",
        ),
        bug(
            "",
            "",
            "service/compaction",
            "        self._is_busy = True\n",
            "        self._is_busy = True\n        self._written(None, snapshot)\n",
        ),
    ),
    bug(
        "S3a", "a log that is not the snapshot's is kept at a start", "storage/durable", ".term == newest.term:\n", ".term > 0:\n"
    ),
    bug(
        "S3b",
        "a snapshot of a later term does not raise the term at a start",
        "storage/durable",
        " if log.hard_state.term >= newest.term else HardState(newest.term)\n",
        "\n",
    ),
    bug(
        "S4d",
        "the log goes before the snapshot that takes its place is there",
        "storage/durable",
        "                self._snapshots.install(save.install.snapshot)\n                if not",
        "                if not",
        "                    return\n            journal.append",
        "                    self._snapshots.install(save.install.snapshot)\n"
        "                    return\n"
        "                self._snapshots.install(save.install.snapshot)\n"
        "            journal.append",
    ),
    bug(
        "S11",
        "the newest snapshot is removed, not the oldest",
        "storage/snapshots",
        "self._path(self._names[0]))\n                del self._names[0]\n",
        "self._path(self._names[-1]))\n                del self._names[-1]\n",
    ),
    bug(
        "S14a",
        "a snapshot of another cluster is taken in",
        "storage/snapshot_file",
        "    if layout.cluster_id != cluster_id:\n",
        "    if False:\n",
        unseen=_ONE_CLUSTER,
    ),
)

DIRECTORY = (
    bug(
        "D8c",
        "the checksum of node.json is not looked at",
        "storage/directory",
        "crc32(data[: identity.start(4)]) != identity[5]",
        'crc32(data[: identity.start(4)]) == b""',
        unseen=_IDENTITY,
    ),
    bug(
        "D12",
        "node.json is not synced before it gets its name",
        "storage/files",
        "        write_all(file, 0, data)\n        sync(file)\n",
        "        write_all(file, 0, data)\n",
        unseen=_IDENTITY,
    ),
    bug(
        "D11c",
        "the name of node.json is not synced",
        "storage/files",
        '{directory}/{name}")\n    sync_directory(file_system, directory)\n',
        '{directory}/{name}")\n',
        unseen=_IDENTITY,
    ),
    bug(
        "D21",
        "a newer format is read all the same",
        "storage/directory",
        "    if any_identity and int(any_identity[1]) != FORMAT:\n",
        "    if False:\n",
        unseen=_IDENTITY,
    ),
    bug(
        "D22a",
        "two processes may have one directory",
        "storage/directory",
        "fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)",
        "int(lock)",
        unseen=_ONE_CLUSTER,
    ),
    bug(
        "D22b",
        "a directory may be another node's",
        "storage/directory",
        "        if node_id is not None and node_id != self.identity.node_id:\n",
        "        if False:\n",
        unseen=_ONE_CLUSTER,
    ),
)
