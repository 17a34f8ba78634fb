"""Real nodes that talk TLS to each other and to clients, with the certificates that docs/security.md makes."""

from __future__ import annotations

import http.client
import shlex
import signal
import socket
import ssl
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import certificates
import pytest
from cluster import PATIENCE_SECONDS, PATIENT, Cluster, Node, wait_until

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "security.md"


@pytest.fixture
def secured(cluster: Cluster) -> Cluster:
    """A cluster whose certificates are in certs/, made by the page's own commands."""
    for line in PAGE.read_text("utf-8").splitlines():
        if line.startswith("    hraft certs "):
            hraft(cluster, *shlex.split(line)[1:])
    folder = cluster.folder / "certs"
    cluster.context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    cluster.context.load_cert_chain(folder / "ops.pem", folder / "ops-key.pem")
    cluster.certificates_of = lambda node: options(folder / node.name, folder / "ca.pem")
    return cluster


def options(certificate: Path, ca: Path) -> list[str]:
    """Of a node, as on the page."""
    pair = [f"{certificate}.pem", f"{certificate}-key.pem"]
    names = ("--http-cert", "--http-key", "--http-client-ca", "--http-ca", "--raft-cert", "--raft-key", "--raft-ca")
    return [word for both in zip(names, [*pair, ca, ca, *pair, ca], strict=True) for word in map(str, both)]


def hraft(cluster: Cluster, *words: str) -> subprocess.CompletedProcess[str]:
    """The command, in the cluster's folder."""
    command = [sys.executable, "-m", "hraft", *words]
    done = subprocess.run(command, cwd=cluster.folder, env=cluster.environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done


def shown(node: Node, cluster: Cluster) -> int:
    """The serial number of the certificate that a node shows to a new client."""
    assert cluster.context is not None
    plain = socket.create_connection(("localhost", node.http_port), PATIENCE_SECONDS)
    with cluster.context.wrap_socket(plain, server_hostname="localhost") as connection:
        found = connection.getpeercert()
    assert found is not None
    return int(str(found["serialNumber"]), 16)


def refused(node: Node, context: ssl.SSLContext) -> bool:
    """Whether a client of this kind gets no answer over HTTPS."""
    connection = http.client.HTTPSConnection("localhost", node.http_port, timeout=PATIENCE_SECONDS, context=context)
    try:
        connection.request("GET", "/status")
        connection.getresponse()
    except OSError:
        return True
    finally:
        connection.close()
    return False


@pytest.mark.scenario("O18")
def test_a_cluster_under_tls(secured: Cluster) -> None:
    """It forms, takes writes, survives kill -9, and lets in nobody without a certificate."""
    nodes = secured.start(3, *PATIENT)
    secured.write("a", "1")
    leader = secured.leader()
    leader.kill()
    secured.write("b", "2")
    leader.start().wait_until_started()
    for node in nodes:
        node.wait_for_value("a", "1")
        node.wait_for_value("b", "2")
    follower = secured.followers()[0]
    reply = follower.set("c", "3")
    assert reply.headers["x-hraft-leader"] == f"https://{secured.leader().http_address}"
    folder = secured.folder / "certs"
    assert refused(follower, ssl.create_default_context(cafile=str(folder / "ca.pem"))), "no certificate was needed"
    assert refused(follower, ssl.create_default_context()), "the node's authority was known"
    plain = http.client.HTTPConnection("localhost", follower.http_port, timeout=PATIENCE_SECONDS)
    plain.request("GET", "/status")
    assert f"https://{follower.http_address}/" in plain.getresponse().read().decode()
    plain.close()
    # The raft port, without a certificate and without TLS.
    for hello in (b"\0\x05hello", b"\x16\x03\x01"):
        with socket.create_connection(("localhost", follower.raft_port), PATIENCE_SECONDS) as stranger:
            stranger.sendall(hello)
            with suppress(ConnectionError):
                while stranger.recv(1000):
                    pass
    credentials = ("--cacert", "certs/ca.pem", "--cert", "certs/ops.pem", "--key", "certs/ops-key.pem")
    where = ("-e", f"https://{nodes[1].http_address}", *credentials)
    hraft(secured, *where, "put", "d", "4")
    assert hraft(secured, *where, "get", "d").stdout == "4\n"
    assert f"https://{nodes[0].http_address}" in hraft(secured, *where, "members").stdout
    hraft(secured, *where, "backup", "b.backup")
    assert not any("Traceback" in node.log() for node in nodes)


@pytest.mark.scenario("O19")
def test_a_certificate_is_renewed_while_running(secured: Cluster) -> None:
    """On SIGHUP at once; bad files change nothing; and no connection between nodes is lost for it."""
    nodes = secured.start(3, *PATIENT)
    leader, (node, _) = secured.leader_and_followers()
    before = shown(node, secured)
    folder = secured.folder / "certs"
    hraft(secured, "certs", "node", "certs", "new", "--host", "localhost")
    (folder / "new.pem").replace(folder / f"{node.name}.pem")
    node.send_signal(signal.SIGHUP)
    words = "goes on with the certificates that it has"
    wait_until(lambda: node.log().count(words) >= 2, "the old key is refused, for both ports")
    assert shown(node, secured) == before
    (folder / "new-key.pem").replace(folder / f"{node.name}-key.pem")
    node.send_signal(signal.SIGHUP)
    wait_until(lambda: shown(node, secured) != before, "the new certificate is shown")
    secured.write("a", "1")
    node.wait_for_value("a", "1")
    assert secured.leader() is leader
    assert not any(" lost " in each.log() for each in nodes), "a connection between nodes was lost"


@pytest.mark.scenario("O18")
def test_a_node_that_does_not_belong(secured: Cluster) -> None:
    """With another authority's certificate it is not let in, and says why; with an expired one it does not start."""
    [first] = secured.start(1)
    right = secured.certificates_of
    good = right(first)
    other = certificates.node("localhost", by="other")
    of_another = [*good[:8], "--raft-cert", other.certificate, "--raft-key", other.key, "--raft-ca", certificates.ca("other")]
    secured.certificates_of = lambda node: of_another if node is not first else good
    stranger = secured.node(join=[first]).start()
    wait_until(lambda: "not among those that are trusted here" in stranger.log() + first.log(), "it is said why")
    assert not stranger.says_started()
    assert [member["id"] for member in first.ask("GET", "/v1/cluster").json()["members"]] == [first.node_id]
    stranger.kill()
    old = certificates.expired("localhost")
    secured.certificates_of = lambda node: [*good[:8], "--raft-cert", old.certificate, "--raft-key", old.key, *good[12:]]
    late = secured.node(join=[first])
    assert not late.comes_up()
    assert f"hraft: --raft-cert {old.certificate}: it expired at " in late.log()
    assert "Traceback" not in first.log() + late.log() + stranger.log()
