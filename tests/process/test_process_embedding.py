"""The application of docs/embedding.md as real processes: its own state machine, on three nodes, through a kill -9."""

from __future__ import annotations

import http.client
import re
import sys
from pathlib import Path

import pytest
from cluster import PATIENT, Cluster, Node, wait_until

from chaos.ports import free_ports

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "embedding.md"
APPLICATION = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)[0]


class TallyNode(Node):
    """A node inside the application, which has a port of its own."""

    def __init__(self, cluster: Cluster, name: str, program: Path, join: list[Node]) -> None:
        super().__init__(cluster, name, PATIENT, join)
        self.program = program
        [self.port] = free_ports(1)
        cluster.nodes.append(self)

    def command(self) -> list[str]:
        """As the page has it."""
        *_, directory = words = super().command()
        options = words[words.index("hraft") + 1 : -1]
        return [sys.executable, str(self.program), f"tcp:{self.port}:interface=127.0.0.1", *options, directory]

    def call(self, method: str, path: str) -> tuple[int, str]:
        """One request to the application."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)
        try:
            connection.request(method, path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        except (OSError, http.client.HTTPException) as error:
            return 0, str(error)
        finally:
            connection.close()


@pytest.mark.scenario("N7")
def test_the_application_of_the_page(cluster: Cluster) -> None:
    """A vote that was told is counted is there on every node, whoever is killed."""
    program = cluster.folder / "tally.py"
    program.write_text(APPLICATION, "utf-8")
    nodes: list[TallyNode] = []
    for number in range(3):
        node = TallyNode(cluster, f"node{number}", program, list(nodes[:1]))
        node.start()
        nodes.append(node)
        wait_until(lambda node=node: node.call("POST", "/votes/ada")[0] == 200, f"a vote at {node.name} is counted")  # type: ignore[misc]
    for node in nodes:
        wait_until(lambda node=node: node.call("GET", "/votes") == (200, '{"ada": 3}'), f"three votes at {node.name}")  # type: ignore[misc]
        wait_until(lambda node=node: len(node.status().get("voters", ())) == 3, f"{node.name} sees three voters")  # type: ignore[misc]
    leader = cluster.leader()
    leader.kill()
    others = [node for node in nodes if node is not leader]
    wait_until(lambda: others[0].call("POST", "/votes/bob")[0] == 200, "a vote is counted without the old leader")
    wait_until(lambda: others[1].call("GET", "/votes") == (200, '{"ada": 3, "bob": 1}'), "it is counted at the other node")
