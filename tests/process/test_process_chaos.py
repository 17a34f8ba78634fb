"""Short runs of the chaos command, what it must find, and that it leaves nothing behind."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from cluster import wait_until

from chaos import ending, namespaces
from chaos.clients import Record
from chaos.links import Place
from chaos.nodes import Node, Reply
from chaos.proxies import Proxies
from hraft.simulation.history import Kind

ROOT = Path(__file__).resolve().parents[2]
#: A busy machine takes its time to start five nodes, and to settle.
RUN_SECONDS = 200


def chaos(folder: Path, *words: str) -> str:
    """Run it, expect that it finds nothing wrong, and return what it said."""
    command = [sys.executable, "-m", "chaos", "--folder", str(folder), *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=RUN_SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "verdict: linearizable, nothing lost, all nodes equal" in done.stdout
    assert [] == list(folder.iterdir()), "a run that passed leaves no file"
    return done.stdout


@pytest.mark.scenario("N6", "N7", "R6", "X6")
def test_three_nodes_are_killed_and_paused(tmp_path: Path) -> None:
    """Who dies or sleeps and comes back neither loses what was acknowledged nor answers a read with what has been overwritten."""
    told = chaos(tmp_path, "--seconds", "14", "--seed", "7", "--faults", "kill,pause", "--tls", "--auth")
    assert "kill: " in told and "pause: " in told


@pytest.mark.scenario("N1", "N8", "N12")
def test_three_nodes_are_cut_off(tmp_path: Path) -> None:
    """Packets vanish without a word, both ways or one way: no stale read, and new writes when it is healed."""
    told = chaos(tmp_path, "--seconds", "16", "--seed", "1", "--faults", "partition,one-way,flapping")
    assert "partition: " in told and "one-way: " in told


@pytest.mark.scenario("N13")
def test_five_nodes_of_which_two_die_at_once(tmp_path: Path) -> None:
    """A minority of five is two; now and then all of them."""
    told = chaos(tmp_path, "--nodes", "5", "--seconds", "16", "--seed", "5", "--faults", "kill,restart-all")
    assert "kill: " in told and "restart-all: " in told


def test_proxies_where_namespaces_are_not_permitted(tmp_path: Path) -> None:
    """Anybody can run it: the links then are TCP proxies."""
    told = chaos(tmp_path, "--seconds", "8", "--seed", "3", "--faults", "partition,one-way,slow,members", "--links", "proxies")
    assert "TCP proxies" in told


def test_an_interrupted_run_leaves_nothing(tmp_path: Path) -> None:
    """Ctrl-C ends every node, every namespace and every file of it."""
    command = [sys.executable, "-u", "-m", "chaos", "--folder", str(tmp_path), "--seconds", "100", "--faults", "pause,partition"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        stop = threading.Timer(RUN_SECONDS - 40, run.kill)
        stop.start()
        next(line for line in run.stdout if "pause: " in line or "partition: " in line)
        assert processes_with(str(tmp_path))
        run.send_signal(signal.SIGINT)
        run.stdout.read()
        stop.cancel()
    assert 130 == run.returncode
    wait_until(lambda: not processes_with(str(tmp_path)), "no process of it is there any more")
    assert [] == list(Path("/run/netns").glob(f"hraft-chaos-{run.pid}-*"))
    assert [] == list(tmp_path.iterdir())


def processes_with(word: str) -> list[str]:
    """The command lines of this machine that have it."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"))
        except OSError:
            continue
    return [line for line in found if word in line and "-m twisted" in line]


class MadeUpNode(Node):
    """Answers from a dictionary instead of a process."""

    def __init__(self, name: str, values: dict[str, str]) -> None:
        self.name = name
        self.values = values

    def ask(self, method: str, path: str, body: object = None, seconds: float = 2.0) -> Reply:
        """GET /key."""
        key = path.removeprefix("/key/").partition("?")[0]
        return Reply(200, b'{"%s":"%s"}' % (key.encode(), self.values.get(key, "").encode()), {})


def test_a_lost_write_is_found() -> None:
    """The whole command is worth what its judgement is worth."""
    record = Record()
    epoch = record.epochs[0]
    key = epoch.keys[0]
    record.close(epoch, record.invoke("a", Kind.SET, key, "1", epoch), "ok", Reply(200, b"", {}), key, False)
    assert [] == ending.judged(record)
    answer = Reply(200, b"{}", {"x-hraft-exists": "false"})
    record.close(epoch, record.invoke("b", Kind.GET, key, None, epoch), "ok", answer, key, True)
    assert "illegal" in ending.judged(record)[0]


def test_unlike_nodes_are_found() -> None:
    """Also where each of them could be right on its own, and a key that is missing on one."""
    record = Record()
    key = record.epochs[0].keys[0]
    alike = [MadeUpNode("a", {key: "1"}), MadeUpNode("b", {key: "1"})]
    assert [] == ending.differences(record, alike)
    assert ["unequal: a has " in words for words in ending.differences(record, [alike[0], MadeUpNode("b", {key: "2"})])] == [True]
    record.kept["kept"] = "yes"
    lacking = [MadeUpNode("a", {"kept": "yes"}), MadeUpNode("b", {})]
    assert ["lost: b has kept" in words for words in ending.differences(record, lacking)] == [True]


def test_proxies_close_and_namespaces_say_why_not() -> None:
    """Both ways of joining nodes end when told so, twice; a machine that permits no namespaces gives a reason in words."""
    network = Proxies(random.Random(1))
    assert isinstance(network.add("node1"), Place)
    network.close()
    network.close()
    objection = namespaces.objection()
    assert objection is None or objection.endswith(")") or "permitted" in objection
