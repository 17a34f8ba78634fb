"""systemd's protocol: a supervisor is told that a node has started, how it is, and that it lives; and nothing false."""

from __future__ import annotations

import os
import socket
import tempfile

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hraft.supervisor import LOOK_SECONDS, Condition, NotifySocket, Supervision, supervision

WAITING = Condition(False, True, "waits")
STARTED = Condition(True, True, "follows")


class Letters:
    """A supervisor that reads what it is sent, unless it is deaf."""

    def __init__(self) -> None:
        self.read: list[str] = []
        self.is_deaf = False

    def send(self, message: str) -> bool:
        if not self.is_deaf:
            self.read.append(message)
        return not self.is_deaf


class SupervisionTests(SynchronousTestCase):
    """What is told, and when, by a clock of the test's."""

    def setUp(self) -> None:
        """A node that waits for the others."""
        self.clock, self.letters, self.condition = Clock(), Letters(), WAITING

    def begin(self, watchdog_seconds: float | None = None) -> Supervision:
        supervised = Supervision(self.clock, self.letters, lambda: self.condition, watchdog_seconds)
        supervised.startService()
        self.addCleanup(lambda: supervised.running and supervised.stopService())
        return supervised

    def test_a_wait_for_others_is_no_failure_to_start(self) -> None:
        """More time is asked for with every look, since a majority may come up hours later; READY is said once it has started."""
        self.begin()
        self.clock.advance(LOOK_SECONDS)
        self.assertEqual(["EXTEND_TIMEOUT_USEC=30000000\nSTATUS=waits", "EXTEND_TIMEOUT_USEC=30000000"], self.letters.read)
        self.condition = STARTED
        self.clock.advance(LOOK_SECONDS)
        self.assertEqual("READY=1\nSTATUS=follows", self.letters.read[-1])
        self.clock.advance(LOOK_SECONDS)
        self.assertEqual(3, len(self.letters.read))

    def test_a_status_is_told_when_it_is_another(self) -> None:
        """`systemctl status` shows the last one."""
        self.condition = STARTED
        self.begin()
        self.condition = Condition(True, True, "leads")
        self.clock.pump([LOOK_SECONDS] * 3)
        self.assertEqual(["READY=1\nSTATUS=follows", "STATUS=leads"], self.letters.read)

    def test_what_could_not_be_sent_is_sent_again(self) -> None:
        """A lost READY would have the node killed when its time to start is over."""
        self.condition, self.letters.is_deaf = STARTED, True
        self.begin()
        self.letters.is_deaf = False
        self.clock.advance(LOOK_SECONDS)
        self.assertEqual(["READY=1\nSTATUS=follows"], self.letters.read)

    def test_the_watchdog_is_fed_at_half_its_time(self) -> None:
        """As sd_watchdog_enabled(3) asks."""
        self.condition = STARTED
        self.begin(watchdog_seconds=10)
        self.clock.pump([LOOK_SECONDS] * 40)
        self.assertEqual(1 + 4, self.letters.read.count("WATCHDOG=1"))

    def test_a_node_that_does_not_work_starves_the_watchdog(self) -> None:
        """Else a process whose reactor turns, and whose node is dead, would never be started again."""
        self.condition = Condition(True, False, "broken")
        self.begin(watchdog_seconds=10)
        self.clock.pump([LOOK_SECONDS] * 40)
        self.assertNotIn("WATCHDOG=1", self.letters.read)

    def test_a_stop_is_told_first_and_nothing_after_it(self) -> None:
        """The supervisor then waits for the process, and does not take silence for a failure."""
        self.condition = STARTED
        self.begin(watchdog_seconds=1).stopService()
        self.clock.pump([LOOK_SECONDS] * 10)
        self.assertEqual("STOPPING=1\nSTATUS=stopping", self.letters.read[-1])
        self.assertEqual([], self.clock.getDelayedCalls())


class EnvironmentTests(SynchronousTestCase):
    """What systemd says by environment variables, and a real socket."""

    def listening(self, address: str) -> socket.socket:
        """A supervisor's socket."""
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(listening.close)
        listening.bind(address)
        listening.settimeout(10)
        return listening

    def told(self, listening: socket.socket, address: str) -> list[str]:
        """What a node that has started says there first."""
        environment = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "2000000", "WATCHDOG_PID": str(os.getpid()), "HOME": "x"}
        supervised = supervision(Clock(), lambda: STARTED, environment)
        self.assertEqual({"HOME": "x"}, environment)
        assert supervised is not None
        supervised.startService()
        self.addCleanup(supervised.stopService)
        return [listening.recv(4096).decode() for _ in range(2)]

    def test_a_socket_in_the_file_system(self) -> None:
        """Child processes are not to speak for the node, so the variables are taken out."""
        folder = tempfile.TemporaryDirectory()  # a socket's path has room for 107 bytes only
        self.addCleanup(folder.cleanup)
        path = f"{folder.name}/notify"
        self.assertEqual(["READY=1\nSTATUS=follows", "WATCHDOG=1"], self.told(self.listening(path), path))

    def test_an_abstract_socket(self) -> None:
        """A leading @ stands for the null byte of Linux' abstract names."""
        name = f"hraft-test-{os.getpid()}"
        self.assertEqual(["READY=1\nSTATUS=follows", "WATCHDOG=1"], self.told(self.listening("\0" + name), "@" + name))

    def test_nobody_there(self) -> None:
        """Without the variable nothing is done; a supervisor that is gone is no reason to stop."""
        self.assertIsNone(supervision(Clock(), lambda: STARTED, {"WATCHDOG_USEC": "1"}))
        self.assertIsNone(supervision(Clock(), lambda: STARTED, {"NOTIFY_SOCKET": "vsock:2:1234"}))
        gone = NotifySocket(f"@hraft-test-nobody-{os.getpid()}")
        self.addCleanup(gone.close)
        self.assertFalse(gone.send("READY=1"))

    def test_the_watchdog_of_another_process(self) -> None:
        """WATCHDOG_PID names whom it is for: a wrapper's is not the node's."""
        for interval, process_id in (("2000000", "1"), ("0", ""), ("soon", "")):
            name = f"hraft-test-{os.getpid()}-other"
            clock, listening = Clock(), self.listening("\0" + name)
            environment = {"NOTIFY_SOCKET": "@" + name, "WATCHDOG_USEC": interval, "WATCHDOG_PID": process_id}
            supervised = supervision(clock, lambda: STARTED, environment)
            assert supervised is not None
            supervised.startService()
            supervised.stopService()
            self.assertEqual(["READY", "STOPPING"], [listening.recv(4096).decode().partition("=")[0] for _ in range(2)])
            listening.close()
