"""A client that writes without a pause while a cluster is changed: what was acknowledged is there."""

from __future__ import annotations

import http.client
import threading
from types import TracebackType

from cluster import Cluster, Node


class Load:
    """One key after the other, each until some node has acknowledged it: `with Load(cluster) as load: ...`."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._is_over = False
        self._favourite: Node | None = None
        self.acknowledged_count = 0

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._is_over = True
        self._thread.join(60.0)

    def _write(self) -> None:
        while not self._is_over:
            if self._put(f"load/{self.acknowledged_count:06}", str(self.acknowledged_count)):
                self.acknowledged_count += 1

    def _put(self, key: str, value: str) -> bool:
        """Once round the nodes, first the one that answered last. Putting the same twice is harmless."""
        nodes = list(self._cluster.running())
        for node in sorted(nodes, key=lambda node: node is not self._favourite):
            try:
                if node.ask("PUT", f"/v1/kv/{key}", value.encode(), seconds=5.0).status == 200:
                    self._favourite = node
                    return True
            except (OSError, http.client.HTTPException):
                continue
        return False

    def check(self, node: Node) -> None:
        """Nothing that was acknowledged is missing: read through this node, linearizably."""
        assert self.acknowledged_count > 0
        for number in range(0, self.acknowledged_count, 1000):
            page = node.ask("GET", f"/v1/kv?prefix=load/&limit=1000{f'&after=load/{number - 1:06}' if number else ''}").json()
            found = {pair["key"]: pair["value"] for pair in page["kvs"]}
            last = min(number + 1000, self.acknowledged_count)
            missing = [n for n in range(number, last) if found.get(f"load/{n:06}") != str(n)]
            assert missing == [], (len(missing), missing[:5])
