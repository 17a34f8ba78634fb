"""/join and /status: what is asked of the node, and how its outcomes read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from web_doubles import ApiTestCase, ToldLeader

from hraft.errors import BadAddress, ChangeRefused, NodeRemoved, NotLeader, OutcomeUnknown, PeerUnreachable, WrongPeer
from hraft.questions import JoinOutcome
from hraft.raft.configuration import Configuration


class JoinRouteTests(ApiTestCase):
    def test_a_voter(self) -> None:
        """200 when the node is a member and the change is committed; empty, as hraftd's."""
        answer = self.request("POST", "/join", data=b'{"addr":"host3:12003","id":"node3"}')
        self.assertNoResult(answer)
        self.assertEqual(
            [("join", ("node3", "host3:12003", None, None))], [(asked.how, asked.arguments) for asked in self.node.asked]
        )
        self.node.asked[0].answer.callback(JoinOutcome("voter"))
        self.assertEqual(b"", self.answered(answer, 200)[1])

    def test_a_learner(self) -> None:
        """202: accepted, and on its way."""
        answer = self.request("POST", "/join", data=b'{"addr":"host3:12003","empty_log":true}')
        self.assertEqual(("host3:12003", "host3:12003", True, None), self.node.asked[0].arguments)
        self.node.asked[0].answer.callback(JoinOutcome("learner"))
        self.assertEqual({"role": "learner"}, json.loads(self.answered(answer, 202)[1]))

    def test_a_bad_request_asks_nobody(self) -> None:
        """Membership is not changed on a guess."""
        self.refused(self.request("POST", "/join", data=b'{"addr":"host3:12003","id":3}'), 400)
        self.assertEqual([], self.node.asked)

    def test_refusals(self) -> None:
        """409 tells the joiner to give up, 503 to try again."""
        cases: list[tuple[Exception, int, str]] = [
            (ChangeRefused("this id was removed"), 409, "not done"),
            (ChangeRefused("another change is under way", temporary=True), 503, "not done"),
            (WrongPeer("another cluster answers there"), 409, "not done"),
            (PeerUnreachable("nobody answers there"), 503, "not done"),
            (BadAddress("no port"), 400, "not done"),
            (NotLeader(None), 503, "not done"),
            (OutcomeUnknown("the leader is gone"), 503, "unknown"),
        ]
        self.node.leads = False
        for error, status, outcome in cases:
            with self.subTest(error=error):
                answer = self.request("POST", "/join", data=b'{"addr":"host3:12003"}')
                self.node.asked[-1].answer.errback(error)
                response, problem = self.refused(answer, status)
                self.assertEqual(outcome, problem["outcome"])
                is_temporary = status == 503 and outcome == "not done"
                self.assertEqual(["1"] if is_temporary else None, response.headers.getRawHeaders("Retry-After"))

    def test_a_leader_known_by_now(self) -> None:
        """The node asked passes a join on; where even that fails, the joiner is told whom to ask."""
        self.node.leads, self.node.known_leader = False, ToldLeader()
        answer = self.request("POST", "/join", data=b'{"addr":"host3:12003"}')
        self.node.asked[0].answer.errback(NotLeader("node1"))
        self.assertEqual(["http://host1:11001"], self.refused(answer, 421)[0].headers.getRawHeaders("X-Hraft-Leader"))


class StatusRouteTests(ApiTestCase):
    def status(self) -> dict[str, Any]:
        response, body = self.answered(self.request("GET", "/status"), 200)
        self.assertEqual(["application/json"], response.headers.getRawHeaders("Content-Type"))
        found: dict[str, Any] = json.loads(body)
        return found

    def test_the_fields(self) -> None:
        """hraftd's three first, then what an operator wants to know of this node."""
        status = self.status()
        self.assertEqual(["me", "leader", "followers"], list(status)[:3])
        self.assertEqual("leader", status["role"])
        self.assertEqual([3, "c1"], [status["term"], status["cluster_id"]])
        indexes = ["first_index", "snapshot_index", "applied_index", "commit_index", "persisted_index", "last_index"]
        self.assertEqual([2, 1, 6, 7, 8, 9], [status[name] for name in indexes])
        self.assertEqual(["host0:11000", "host0:11000"], [status["http_address"], status["leader_http_address"]])
        self.assertEqual(
            [["node0", "node1"], ["node2"]], [[one["id"] for one in status[kind]] for kind in ("voters", "learners")]
        )

    def test_a_follower(self) -> None:
        """It is among the followers, and the leader is not."""
        self.node.leads, self.node.known_leader = False, ToldLeader()
        status = self.status()
        self.assertEqual({"id": "node0", "address": "host0:12000"}, status["me"])
        self.assertEqual({"id": "node1", "address": "host1:12001"}, status["leader"])
        self.assertEqual(["node0", "node2"], [follower["id"] for follower in status["followers"]])
        self.assertEqual(["follower", "host1:11001"], [status["role"], status["leader_http_address"]])

    def test_no_leader(self) -> None:
        """Go's zero value, which hraftd's clients meet too; everybody follows."""
        self.node.leads = False
        status = self.status()
        self.assertEqual({"id": "", "address": ""}, status["leader"])
        self.assertEqual(["node0", "node1", "node2"], [follower["id"] for follower in status["followers"]])

    def test_a_single_node(self) -> None:
        """An empty list, never null."""
        self.node.configuration = Configuration({"node0": "host0:12000"})
        self.assertEqual([], self.status()["followers"])


class RemovedNodeTests(ApiTestCase):
    @pytest.mark.scenario("M12")
    def test_it_serves_nobody_and_says_why(self) -> None:
        """Not even a stale read, a write, a join or a watch; but how it is, it tells."""
        self.node.removal = NodeRemoved(17)
        for method, path in (
            ("GET", "/key/a"),
            ("POST", "/key"),
            ("POST", "/join"),
            ("GET", "/v1/kv/a?level=stale"),
            ("PUT", "/v1/kv/a"),
            ("DELETE", "/v1/cluster/members/node1"),
            ("GET", "/v1/watch"),
            ("GET", "/v1/snapshot"),
        ):
            with self.subTest(path):
                response, problem = self.refused(self.request(method, path, data=b"{}"), 503)
                self.assertEqual(("node_removed", 17), (problem["code"], problem["removed_index"]))
                self.assertIn("removed from the cluster at index 17", problem["detail"])
                self.assertIsNone(response.headers.getRawHeaders("Retry-After"))
        self.assertEqual([], self.node.asked)
        for path in ("/status", "/v1/status"):
            self.assertEqual(17, json.loads(self.answered(self.request("GET", path), 200)[1])["removed_index"])
