"""NodeService.backup: one state under its own index, made part by part beside everything else that the node does."""

from __future__ import annotations

from functools import partial

from clusters import Cluster, Member
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from hraft.errors import ReadFailed
from hraft.kv.store import KeyValueStore
from hraft.service.backup import Backup
from hraft.storage.snapshot_file import read_layout, read_lines


async def whole(backup: Backup) -> bytes:
    data = b""
    while part := await backup.next_part():
        data += part
    return data


def read_of(data: bytes) -> partial[bytes]:
    return partial(lambda all_, offset, length: all_[offset : offset + length], data)


def hash_of(member: Member) -> str:
    store = member.service.state_machine
    assert isinstance(store, KeyValueStore)
    return store.state_hash()


class BackupTests(SynchronousTestCase):
    def test_of_any_node(self) -> None:
        """Its index is that of the state which is in it, whatever is written while it is made; the members are those of then."""
        cluster = Cluster().bootstrap(3)
        cluster.write_many(50)
        cluster.settle()
        for member in cluster.members.values():
            status, expected = member.service.status(), hash_of(member)
            backup = member.service.backup()
            cluster.write_many(20)
            data = cluster.wait_for(Deferred.fromCoroutine(whole(backup))).value
            layout = read_layout(read_of(data), len(data), "it")
            store = KeyValueStore().restored(read_lines(read_of(data), layout, "it"))
            self.assertEqual((status.applied_index, expected), (layout.snapshot.index, store.state_hash()))
            self.assertEqual(("c1", status.configuration), (layout.cluster_id, layout.snapshot.configuration))
            cluster.settle()

    def test_not_while_it_stops(self) -> None:
        """A node that is closing its log has nothing to say for."""
        cluster = Cluster().bootstrap(1)
        [member] = cluster.members.values()
        cluster.wait_for(member.service.stopService())
        self.assertRaises(ReadFailed, member.service.backup)
