"""Real nodes on a tmpfs that somebody else fills."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from cluster import Cluster, wait_until
from mounts import small_disk
from requirements import needs_tmpfs
from writers import Writers, check_nothing_lost, settle

pytestmark = needs_tmpfs

DISK_BYTES = 4 * 1024 * 1024
#: More than the room that a segment was given ahead (docs/disk-format.md, "Padding").
BIG = "x" * 700_000
#: The whole disk is smaller than what a node keeps in reserve unless it is told otherwise.
NO_RESERVE = ("--disk-reserve-mib", "0")


@pytest.mark.scenario("D3")
def test_a_lone_node(cluster: Cluster, tmp_path: Path) -> None:
    """Writes are refused with the reason, reads go on, and when there is room it goes on by itself."""
    with small_disk(tmp_path / "disk", DISK_BYTES) as disk, closing(cluster):
        node = cluster.node(*NO_RESERVE)
        node.directory = disk.folder / node.name
        node.start().wait_until_started()
        assert node.set("before", "1").status == 200
        disk.fill()
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(node.set, "big", BIG)
            wait_until(lambda: "nothing is acknowledged until there is room" in node.log(), "the node says that its disk is full")
            refused = node.set("while", "full")
            assert (507, "disk_full", "not done") == (refused.status, refused.json()["code"], refused.json()["outcome"])
            assert "the disk is full" in refused.body.decode() and "No space left on device" in refused.body.decode()
            assert node.get("before") == "1"
            assert node.get("while") == ""
            disk.make_room()
            # It waited for room all the time: there is none in its time limit or there is.
            assert first.result().status in (200, 503)
        node.wait_for_value("big", BIG)
        assert node.set("after", "2").status == 200
        node.wait_until_said("there is room on the disk again")


@pytest.mark.scenario("D3")
def test_the_leader_of_a_cluster(cluster: Cluster, tmp_path: Path) -> None:
    """The cluster serves without it, and it catches up when there is room, also if it was started again meanwhile."""
    with small_disk(tmp_path / "disk", DISK_BYTES) as disk, closing(cluster):
        full = cluster.node(*NO_RESERVE)
        full.directory = disk.folder / full.name
        full.start().wait_until_started()
        for _ in range(2):
            cluster.node(join=[full]).start().wait_until_started()
        others = cluster.nodes[1:]
        with Writers(cluster, "load") as writers:
            writers.wait_for(5)
            disk.fill()
            cluster.write("big", BIG)
            cluster.leader(among=others)
            writers.wait_for(10, "writes are acknowledged by the others")
        assert full.is_running()
        assert full.get("load-0-0") is not None, "what it has can be read"
        disk.make_room()
        settle(cluster, "settled")
        full.wait_for_value("big", BIG)
        check_nothing_lost(cluster.nodes, writers.acknowledged)


@pytest.mark.scenario("D4")
def test_no_room_for_a_snapshot(cluster: Cluster, tmp_path: Path) -> None:
    """The log still has room: writes go on, no part of a snapshot stays, and a restart on the full disk has everything."""
    with small_disk(tmp_path / "disk", DISK_BYTES) as disk, closing(cluster):
        node = cluster.node(*NO_RESERVE, "--snapshot-entries", "30")
        node.directory = disk.folder / node.name
        node.start().wait_until_started()
        assert node.set("large", "x" * 100_000).status == 200
        disk.fill(left_bytes=60_000)
        acknowledged = {f"key{number}": str(number) for number in range(40)}
        for key, value in acknowledged.items():
            assert node.set(key, value).status == 200
        wait_until(lambda: "could not take a snapshot, will try again" in node.log(), "the node says that a snapshot has no room")
        assert [] == list((node.directory / "snapshots").iterdir())
        node.kill()
        node.start().wait_until_started()
        settle(cluster, "settled")
        check_nothing_lost([node], acknowledged)
        disk.make_room()
        for number in range(40):
            assert node.set("more", str(number)).status == 200
        wait_until(lambda: "took a snapshot" in node.log(), "a snapshot is taken when there is room")


@pytest.mark.scenario("O16")
def test_below_the_reserve(cluster: Cluster, tmp_path: Path) -> None:
    """Writes are refused while there is still room to delete; everybody who asks is told so; and it is over by itself."""
    with small_disk(tmp_path / "disk", DISK_BYTES) as disk, closing(cluster):
        node = cluster.node("--disk-reserve-mib", "2")
        node.directory = disk.folder / node.name
        node.start().wait_until_started()
        assert node.set("before", "1").status == 200
        disk.fill(left_bytes=1024 * 1024)
        wait_until(lambda: "alarm disk_full" in node.log(), "the node says that its disk is nearly full")
        refused = node.set("while", "full")
        assert (507, "disk_full", "not done") == (refused.status, refused.json()["code"], refused.json()["outcome"])
        assert "[-] disk failed: the disk of" in node.ask("GET", "/readyz").body.decode()
        assert node.ask("GET", "/livez").status == 200
        assert [alarm["kind"] for alarm in node.ask("GET", "/v1/cluster").json()["alarms"]] == ["disk_full"]
        assert node.ask("DELETE", "/key/before").status == 200
        disk.make_room()
        wait_until(lambda: node.set("after", "2").status == 200, "writes are taken again")
        assert node.ask("GET", "/v1/cluster").json()["alarms"] == []
