"""`hraft doctor` on real nodes: one that is well, one that is killed, and the directory that it leaves."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from cluster import PATIENT, Cluster, Node


def doctor(cluster: Cluster, *words: str) -> tuple[int, list[dict[str, Any]]]:
    """The exit code, and whatever is not well."""
    command = [sys.executable, "-m", "hraft", "--json", *words]
    done = subprocess.run(command, env=cluster.environment, capture_output=True, text=True, timeout=120)
    assert "Traceback" not in done.stderr, done.stderr
    findings = [json.loads(line) for line in done.stdout.splitlines()]
    return done.returncode, [finding for finding in findings if finding["level"] != "ok"]


def checks(findings: list[dict[str, Any]], node: Node | None = None) -> set[str]:
    return {finding["check"] for finding in findings if node is None or finding["subject"] == node.node_id}


def test_a_cluster_and_what_is_left_of_it(cluster: Cluster) -> None:
    """All members are found from one; a dead one is named, and its directory can be looked at where it is."""
    nodes = cluster.start(3, *PATIENT)
    cluster.leader()
    endpoint = nodes[1].http_address
    code, findings = doctor(cluster, "-e", endpoint, "doctor")
    assert (1, {"address"}) == (code, checks(findings) - {"open files", "disk"})
    nodes[2].kill()
    code, findings = doctor(cluster, "-e", endpoint, "doctor")
    assert (2, {"reachable"}) == (code, checks(findings, nodes[2]))
    code, findings = doctor(cluster, "doctor", "--dir", str(nodes[2].directory))
    assert set() == checks(findings) - {"file system", "room"}
    code, findings = doctor(cluster, "doctor", "--dir", str(nodes[1].directory))
    assert set() == checks(findings) - {"file system", "room"}
