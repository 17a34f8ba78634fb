"""/livez and /readyz: what orchestrators and load balancers are told, also before a node has a cluster; and alarms over HTTP."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from web_doubles import Client, WireTestCase, get

from hraft.errors import DiskFull, NodeRemoved
from hraft.service.alarms import STATE_DIFFERS, Alarm
from hraft.service.health import Check
from hraft.waiting_room import WaitingRoom
from hraft.web.site import HttpSite

WELL = (Check("leader", True, "node1"), Check("disk", True))
ILL = (Check("leader", True, "node1"), Check("quorum", False, "1 of 3 voters\nwere heard"))


class HealthTests(WireTestCase):
    def test_all_is_well(self) -> None:
        """Two letters, which is what Kubernetes' own servers say."""
        self.node.checks = WELL
        for path in ("/livez", "/readyz"):
            reply = self.ask("GET", path)
            self.assertEqual((200, b"ok\n"), (reply.status, reply.body))
            self.assertEqual("text/plain; charset=utf-8", reply.headers["content-type"])
            self.assertEqual("no-store", reply.headers["cache-control"])

    def test_verbose(self) -> None:
        """A line for each check, with what was found."""
        self.node.checks = WELL
        reply = self.ask("GET", "/readyz?verbose")
        self.assertEqual((200, b"[+] leader ok: node1\n[+] disk ok\nreadyz check passed\n"), (reply.status, reply.body))

    def test_a_failure_says_its_reason(self) -> None:
        """Also unasked, for whoever reads the log of a probe; and a reason is one line whatever is in it."""
        self.node.checks = ILL
        reply = self.ask("GET", "/readyz")
        words = b"[+] leader ok: node1\n[-] quorum failed: 1 of 3 voters were heard\nreadyz check failed\n"
        self.assertEqual((503, words), (reply.status, reply.body))
        self.assertEqual(503, self.ask("GET", "/livez").status)

    def test_one_check_alone(self) -> None:
        """For a probe, or an alert, that is about one thing: whatever else fails."""
        self.node.checks = ILL
        self.assertEqual((200, b"ok\n"), (lambda reply: (reply.status, reply.body))(self.ask("GET", "/readyz/leader")))
        reply = self.ask("GET", "/readyz/leader?verbose")
        self.assertEqual(b"[+] leader ok: node1\nreadyz/leader check passed\n", reply.body)
        reply = self.ask("GET", "/livez/%71uorum")
        self.assertEqual(503, reply.status)
        self.assertIn(b"[-] quorum failed: 1 of 3 voters were heard\n", reply.body)
        reply = self.ask("GET", "/readyz/etcd")
        self.assertEqual(404, reply.status)
        self.assertEqual("there is no check 'etcd' here; there are leader, quorum", reply.json()["detail"])
        self.assertEqual(400, self.ask("GET", "/readyz/leader?exclude=leader").status)

    def test_checks_that_are_not_to_count(self) -> None:
        """One by one or between commas, as Kubernetes and etcd have it; what fails and counts is said all the same."""
        self.node.checks = (*ILL, Check("disk", False, "it has 3 MiB left"))
        for query in ("exclude=quorum&exclude=disk", "exclude=quorum,disk", "exclude=disk%2Cquorum"):
            self.assertEqual((200, b"ok\n"), (lambda reply: (reply.status, reply.body))(self.ask("GET", f"/readyz?{query}")))
        reply = self.ask("GET", "/readyz?exclude=quorum")
        words = b"[+] leader ok: node1\n[+] quorum excluded: ok\n[-] disk failed: it has 3 MiB left\nreadyz check failed\n"
        self.assertEqual((503, words), (reply.status, reply.body))

    def test_a_check_that_there_is_not_is_no_reason_to_fail(self) -> None:
        """One probe asks nodes of several releases; a misspelt name excludes nothing, and whoever looks is told."""
        self.node.checks = WELL
        self.assertEqual(200, self.ask("GET", "/readyz?exclude=lead").status)
        reply = self.ask("GET", "/readyz?exclude=lead&verbose")
        words = b"[+] leader ok: node1\n[+] disk ok\nwarn: there is no check 'lead' to exclude\nreadyz check passed\n"
        self.assertEqual((200, words), (reply.status, reply.body))

    def test_a_removed_node_tells_it(self) -> None:
        """It lives, or whoever probes one check of /livez would start it again and again."""
        self.node.checks = WELL
        self.node.removal = NodeRemoved(7)
        self.assertEqual(200, self.ask("GET", "/livez/disk").status)

    def test_head_and_others(self) -> None:
        """A probe may ask for the status alone; nobody can write here; and a parameter that means nothing is refused."""
        self.node.checks = ILL
        self.assertEqual((503, b""), (lambda reply: (reply.status, reply.body))(self.ask("HEAD", "/readyz")))
        self.assertEqual(405, self.ask("POST", "/livez", b"").status)
        self.assertEqual(400, self.ask("GET", "/readyz?verbos").status)


class WaitingTests(SynchronousTestCase):
    def ask(self, path: str) -> bytes:
        client = Client(HttpSite(WaitingRoom(), Clock()))
        client.send(get(path))
        return client.received()

    def test_a_node_without_a_cluster(self) -> None:
        """It lives, or it would be killed while it waits for the others; and nobody should be sent to it."""
        self.assertRegex(self.ask("/livez"), rb"^HTTP/1.1 200 OK\r\n(.+\r\n)+\r\nok\n$")
        reason = rb"\[-\] member failed: this node has not joined its cluster yet, and keeps trying\nreadyz check failed\n$"
        self.assertRegex(self.ask("/readyz?verbose"), rb"^HTTP/1.1 503 Service Unavailable\r\n(.+\r\n)+\r\n" + reason)
        self.assertRegex(self.ask("/livez/ping"), rb"^HTTP/1.1 200 OK\r\n(.+\r\n)+\r\nok\n$")
        for path in ("/readyz/leader", "/readyz?exclude=member"):
            self.assertRegex(self.ask(path), rb"^HTTP/1.1 503 Service Unavailable\r\n(.+\r\n)+\r\n" + reason)
        self.assertRegex(self.ask("/v1/kv/a"), rb"^HTTP/1.1 503 .*(.+\r\n)+\r\n\{.*\"joining\"")


class AlarmTests(WireTestCase):
    def test_alarms_are_listed(self) -> None:
        """With who has it, since when, and what to do: in the view of the cluster and in the node's own status."""
        self.assertEqual([], self.answered(200, "GET", "/v1/cluster")["alarms"])
        self.node.alarms.sound(Alarm(STATE_DIFFERS, ("node2",), "they differ", index=7, hashes={"node0": "a", "node2": "b"}))
        told = self.answered(200, "GET", "/v1/cluster")["alarms"]
        self.assertEqual(told, self.answered(200, "GET", "/v1/status")["alarms"])
        [alarm] = told
        advice = alarm.pop("advice")
        self.assertIn("replace", advice)
        self.assertEqual(
            {
                "kind": "state_differs",
                "members": ["node2"],
                "detail": "they differ",
                "age_seconds": 0,
                "index": 7,
                "hashes": {"node0": "a", "node2": "b"},
            },
            alarm,
        )

    def test_a_full_disk(self) -> None:
        """507 and not 503: repeating it at once, or elsewhere, does not help; and it was certainly not done."""
        self.node.at_once = False
        self.send("PUT", "/v1/kv/a", b"1")
        self.node.asked[-1].answer.errback(DiskFull("the disk of node0 has 3 MiB left"))
        problem = self.reply()
        self.assertEqual((507, "disk_full", "not done"), (problem.status, problem.json()["code"], problem.json()["outcome"]))
