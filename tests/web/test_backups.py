"""GET /v1/snapshot: one whole state as a snapshot file, no faster than its client reads, and never half of it unseen."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from test_watch import WatchTestCase, unchunked
from twisted.internet.defer import maybeDeferred
from watch_doubles import put
from web_doubles import Client

from hraft import limits
from hraft.errors import LogCorrupted, ReadFailed
from hraft.kv.store import KeyValueStore
from hraft.raft.entry import Snapshot
from hraft.service.backup import Backup
from hraft.storage.snapshot_file import read_layout, read_lines, verify

PATH = "/v1/snapshot"


def read_of(data: bytes) -> partial[bytes]:
    return partial(lambda all_, offset, length: all_[offset : offset + length], data)


class BackupTests(WatchTestCase):
    def fill(self, count: int = 400, size: int = 4096) -> None:
        for number in range(count):
            self.node.put(put(f"k{number:04d}", "x" * size))

    def body(self, client: Client) -> tuple[bytes, bool]:
        """What has come of the file, and whether the answer has ended as it should."""
        head, _, rest = client.received().partition(b"\r\n\r\n")
        self.assertIn(b"HTTP/1.1 200 OK", head)
        return unchunked(rest)

    def test_the_whole_state(self) -> None:
        """Checksummed, named by cluster, index and term, and the same store when it is read back."""
        self.node.put(put("a", "1"))
        self.node.put(put("b", "\u00e9\n"))
        data, is_whole = self.body(self.ask(PATH))
        layout = read_layout(read_of(data), len(data), "it")
        verify(read_of(data), layout, "it")
        self.assertEqual((True, "c1", 6, 3), (is_whole, layout.cluster_id, layout.snapshot.index, layout.snapshot.term))
        store = KeyValueStore().restored(read_lines(read_of(data), layout, "it"))
        self.assertEqual(self.node.state_machine.state_hash(), store.state_hash())

    def test_of_one_moment(self) -> None:
        """What is written while it is sent is not in it, not even in part."""
        self.fill()
        hash_before = self.node.state_machine.state_hash()
        client = self.connect_slow()
        self.fill(400, 10)
        self.node.put(put("later", "x"))
        data, is_whole = self.read_on(client)
        layout = read_layout(read_of(data), len(data), "it")
        store = KeyValueStore().restored(read_lines(read_of(data), layout, "it"))
        self.assertEqual((True, hash_before), (is_whole, store.state_hash()))

    def test_up_to_date(self) -> None:
        """All that was acknowledged before is in it, on whichever node: it waits for the word of a majority."""
        client = self.served.connect()
        client.send(b"GET %b HTTP/1.1\r\nHost: h\r\n\r\n" % PATH.encode())
        self.assertEqual((["confirm_read"], b""), ([asked.how for asked in self.node.asked], client.received()))
        self.node.put(put("meanwhile", "x"))
        self.node.asked[0].answer.callback(1)
        self.assertIn(b"meanwhile", self.body(client)[0])

    def test_cut_off_from_the_others(self) -> None:
        """No backup rather than an old one that says nothing of it."""
        client = self.served.connect()
        client.send(b"GET %b HTTP/1.1\r\nHost: h\r\n\r\n" % PATH.encode())
        self.node.asked[0].answer.errback(ReadFailed("no quorum"))
        self.assertIn(b"HTTP/1.1 503 ", client.received())

    def connect_slow(self) -> Client:
        """A client that has asked and read nothing yet."""
        client = self.served.connect()
        client.transport.is_slow_to_send = True
        client.send(b"GET %b HTTP/1.1\r\nHost: h\r\n\r\n" % PATH.encode())
        self.node.asked[-1].answer.callback(1)
        return client

    def read_on(self, client: Client) -> tuple[bytes, bool]:
        """Read all of it, a part at a time."""
        received = b""
        while part := client.received():
            received += part
        return unchunked(received.partition(b"\r\n\r\n")[2])

    def test_no_faster_than_its_client(self) -> None:
        """What a slow client has not read is one part, however large the store is."""
        self.fill()
        client = self.connect_slow()
        self.assertEqual(1, self.node.parts_count)
        client.received()
        self.assertEqual(2, self.node.parts_count)

    def test_a_client_that_does_not_read(self) -> None:
        """It holds old values in memory, so it is cut off; and what it has cannot be taken for a whole answer."""
        self.fill()
        client = self.connect_slow()
        self.served.clock.advance(limits.BACKUP_UNREAD_SECONDS - 1)
        self.assertFalse(client.is_closed)
        self.served.clock.advance(1)
        self.assertTrue(client.is_closed)
        self.assertFalse(unchunked(client.transport.value().partition(b"\r\n\r\n")[2])[1])

    def test_a_client_that_hangs_up(self) -> None:
        """Its place is free again, and nothing is made for it any more."""
        self.fill()
        for _ in range(2 * limits.BACKUPS_COUNT):
            self.connect_slow().hang_up()
        self.assertEqual(2 * limits.BACKUPS_COUNT, self.node.parts_count)
        self.assertTrue(self.body(self.ask(PATH))[1])

    def test_few_at_a_time(self) -> None:
        """Each holds the old values of what changes meanwhile."""
        self.fill()
        clients = [self.connect_slow() for _ in range(limits.BACKUPS_COUNT)]
        self.refused(PATH, 429, "too_many_backups")
        self.assertTrue(self.read_on(clients[0])[1])
        self.assertTrue(self.body(self.ask(PATH))[1])

    def test_the_node_stops(self) -> None:
        """A slow client does not keep it, and does not get an end that looks like one."""
        self.fill()
        client = self.connect_slow()
        drained: list[None] = []
        self.served.site.drained().addCallback(drained.append)
        self.assertEqual(([None], True), (drained, client.is_closed))
        self.assertFalse(unchunked(client.transport.value().partition(b"\r\n\r\n")[2])[1])

    def test_a_state_that_cannot_be_encoded(self) -> None:
        """A defect in the midst breaks the answer off, and is not its end."""

        def parts() -> Iterator[bytes]:
            yield b"{}\n"
            raise LogCorrupted("gone")

        self.node.backup = lambda: Backup(Snapshot(6, 3, self.node.configuration), parts(), maybeDeferred)  # type: ignore[method-assign]
        client = self.ask(PATH)
        self.assertEqual(1, len(self.flushLoggedErrors(LogCorrupted)))
        self.assertTrue(client.is_closed)

    def test_what_else_is_asked(self) -> None:
        """HEAD is a GET without a body; another method, or a parameter, is refused, lest somebody expects it to do something."""
        head = self.ask(PATH, method="HEAD").received()
        self.assertIn(b"X-Hraft-Index: 6\r\n", head)
        self.assertEqual(0, self.node.parts_count)
        self.refused(PATH, 405, "method_not_allowed", method="POST")
        self.refused(f"{PATH}?prefix=a", 400, "bad_request")
