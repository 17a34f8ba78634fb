"""/metrics: what Prometheus reads is right, described, named as its rules say, and costs the same however large the store is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import yaml
from counted_calls import calls_in
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse
from twisted.internet.task import Clock
from web_doubles import Served, WireTestCase

from hraft.counting import DiskTally, Histogram, Traffic
from hraft.interfaces import DiskUse
from hraft.kv.commands import GrantLease, OpenSession, Set, SetMany, encode_command
from hraft.raft.ready import FollowerStatus
from hraft.reactor_stalls import ReactorStalls
from hraft.service.alarms import DISK_FULL, Alarm
from hraft.service.counts import Counts
from hraft.web.figures import Figures
from hraft.web.metrics import METRICS

ROOT = Path(__file__).resolve().parent.parent.parent


class FakeCertificate:
    """Ends a day after the epoch began."""

    name = "HTTPS"
    expires_at = datetime(1970, 1, 2, tzinfo=timezone.utc)


class FakePeers:
    """The transport's part."""

    def __init__(self) -> None:
        self.traffic = {"node1": Traffic(), "stranger": Traffic()}
        self.traffic["node1"].sent_bytes = 10

    def queued_bytes(self, peer: str) -> int:
        return 7


class MetricsTests(WireTestCase):
    def scrape(self) -> dict[str, Metric]:
        reply = self.ask("GET", "/metrics")
        self.assertEqual(200, reply.status, reply.body)
        self.assertTrue(reply.headers["content-type"].startswith("text/plain; version="))
        return {family.name: family for family in parse(reply.body.decode())}

    def values(self) -> dict[str, float]:
        """Each sample by its name and labels as they are written."""
        return dict(self._samples(self.scrape()))

    def _samples(self, families: dict[str, Metric]) -> Iterator[tuple[str, float]]:
        for family in families.values():
            for sample in family.samples:
                labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
                yield sample.name + (f"{{{labels}}}" if labels else ""), sample.value

    def test_after_known_operations(self) -> None:
        """Requests by route and class, what the store has, and what the node says of itself."""
        self.ask("PUT", "/v1/kv/a", b"1")
        self.ask("PUT", "/v1/kv/b", b"1")
        self.ask("GET", "/v1/kv/a")
        self.ask("GET", "/v1/kv/missing")
        self.ask("HEAD", "/v1/kv/a")
        self.ask("GET", "/nowhere")
        self.node.put_line(7, encode_command(GrantLease(60)))
        self.node.put_line(8, encode_command(OpenSession()))
        values = self.values()
        expected = {
            "hraft_http_requests_total{method=PUT,route=/v1/kv/{key},status=2xx}": 2,
            "hraft_http_requests_total{method=GET,route=/v1/kv/{key},status=2xx}": 2,
            "hraft_http_requests_total{method=GET,route=/v1/kv/{key},status=4xx}": 1,
            "hraft_http_requests_total{method=,route=none,status=4xx}": 1,
            "hraft_http_request_seconds_count{kind=write}": 2,
            "hraft_http_request_seconds_count{kind=read}": 3,
            "hraft_store_keys": 2,
            "hraft_store_revision": 2,
            "hraft_store_leases": 1,
            "hraft_store_sessions": 1,
            "hraft_store_history_events": 2,
            "hraft_raft_term": 3,
            "hraft_raft_role{role=leader}": 1,
            "hraft_raft_role{role=follower}": 0,
            "hraft_raft_last_index": 9,
            "hraft_raft_commit_index": 7,
            "hraft_raft_applied_index": 6,
            "hraft_raft_voters": 2,
            "hraft_raft_learners": 1,
            "hraft_ready": 1,
            "hraft_alarm{kind=disk_full}": 0,
        }
        self.assertEqual(expected, {name: values.get(name) for name in expected})
        self.assertNotIn("hraft_disk_free_bytes", values, "nobody knows it, which is not the same as none")

    def test_figures_of_a_node(self) -> None:
        """Counted elsewhere and told here: the disk, peers that are members, proposals, alarms."""
        self.node.alarms.sound(Alarm(DISK_FULL, ("node0",), "full"))
        self.node.followers = {"node1": FollowerStatus(7, 8, "replicate", 5)}
        saves = Histogram()
        for seconds in (0.0004, 0.001, 0.0011, 99.0):
            saves.observe(seconds)
        self.node.counted = Counts(
            elections_count=2, proposals={"applied": 5}, saves=saves, disk=DiskUse(100, 20, 3), disk_reserve_bytes=64
        )
        disk = DiskTally(lambda: 0.0)
        disk.wrote(12)
        stalls = ReactorStalls(Clock())
        stalls.longest_seconds, stalls.stalls_count, stalls.stalled_seconds = 0.25, 3, 0.5
        figures = Figures(self.node, self.served.api.tally, self.served.site, disk, FakePeers(), stalls, [FakeCertificate()])
        self.served = Served(figures=figures)
        values = self.values_of(figures)
        expected = {
            "hraft_alarm{kind=disk_full}": 1,
            "hraft_certificate_expires_timestamp_seconds{use=HTTPS}": 86400.0,
            "hraft_reactor_longest_stall_seconds": 0.25,
            "hraft_reactor_stalls_total": 3,
            "hraft_reactor_stalled_seconds_total": 0.5,
            "hraft_raft_elections_total": 2,
            "hraft_raft_proposals_total{outcome=applied}": 5,
            "hraft_disk_save_seconds_bucket{le=0.0005}": 1,
            "hraft_disk_save_seconds_bucket{le=0.001}": 2,
            "hraft_disk_save_seconds_bucket{le=0.0025}": 3,
            "hraft_disk_save_seconds_bucket{le=10.0}": 3,
            "hraft_disk_save_seconds_bucket{le=+Inf}": 4,
            "hraft_disk_save_seconds_count": 4,
            "hraft_disk_free_bytes": 100,
            "hraft_disk_log_bytes": 20,
            "hraft_disk_snapshots_bytes": 3,
            "hraft_disk_written_bytes_total": 12,
            "hraft_peer_contact_age_seconds{peer=node1}": 0.1,
            "hraft_peer_lag_entries{peer=node1}": 2,
            "hraft_peer_sent_bytes_total{peer=node1}": 10,
            "hraft_peer_queued_bytes{peer=node2}": 7,
        }
        self.assertEqual(expected, {name: values.get(name) for name in expected})
        self.assertNotIn("hraft_peer_sent_bytes_total{peer=stranger}", values, "labels have a bound: the members")

    def values_of(self, figures: Figures) -> dict[str, float]:
        client = Served(figures=figures).connect()
        client.send(b"GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n")
        body = client.received().partition(b"\r\n\r\n")[2].decode()
        client.hang_up()
        return dict(self._samples({family.name: family for family in parse(body)}))

    def test_openmetrics(self) -> None:
        """For a scraper that prefers it; its parser is stricter."""
        reply = self.ask("GET", "/metrics", Accept="application/openmetrics-text; version=1.0.0")
        self.assertTrue(reply.headers["content-type"].startswith("application/openmetrics-text"), reply.headers)
        self.assertIn("hraft_raft_term", {family.name for family in parse_openmetrics(reply.body.decode())})

    def test_names(self) -> None:
        """As promtool checks them: base units last, _total on counters and nowhere else, help for each, no type in a name."""
        for row in METRICS:
            self.assertRegex(row.name, r"^hraft_[a-z]+(_[a-z]+)*$")
            self.assertEqual(row.kind == "counter", row.name.endswith("_total"), row.name)
            self.assertTrue(row.about and not row.about.endswith("."), row.name)
            self.assertNotRegex(row.name, "_(count|sum|bucket|ms|milliseconds|kb|mib|percent|gauge|histogram)(_|$)")
            for unit in ("seconds", "bytes"):
                if unit in row.name:
                    self.assertRegex(row.name, f"_{unit}(_total)?$")
        self.assertEqual(len(METRICS), len({row.name for row in METRICS}))

    def test_every_metric_is_described(self) -> None:
        """docs/metrics.md has all there are, with their labels, and no others."""
        page = (ROOT / "docs" / "metrics.md").read_text("utf-8")
        described = {}
        for line in page.splitlines():
            if line.startswith("| `hraft_"):
                _, names, labels, *_ = line.split("|")
                for name in re.findall(r"`(hraft_\w+)`", names):
                    described[name] = set(re.findall(r"`(\w+)`", labels))
        self.assertEqual({row.name: set(row.labels) for row in METRICS}, described)
        self.assertEqual(set(), set(re.findall(r"\b(hraft_\w+)", page)) - set(described))

    def test_two_nodes_of_one_process(self) -> None:
        """An application may embed several: nothing of the library's is shared, so neither counts for the other."""
        other = Served()
        self.ask("GET", "/v1/kv/a")
        self.assertEqual([], [route for route in other.api.tally.routes if any(route.counts)])

    def test_a_scrape_does_not_visit_the_store(self) -> None:
        """A store of a million keys is scraped as fast as an empty one."""

        def cost() -> int:
            return calls_in(lambda: self.ask("GET", "/metrics"))

        self.node.put(Set(b"a", b"1"))
        cost()
        few = cost()
        self.node.put(SetMany(tuple((b"k%d" % number, b"v") for number in range(5000))))
        self.assertEqual(few, cost())


class DeployTests(WireTestCase):
    """What is shipped for Prometheus and Grafana names what there is, and alerts lead to the runbook."""

    def known(self) -> set[str]:
        names = set()
        for row in METRICS:
            names |= {row.name} if row.kind != "histogram" else {f"{row.name}_{part}" for part in ("bucket", "sum", "count")}
        return names | {"up", "process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds", "process_max_fds"}

    def check(self, expression: str, where: str) -> None:
        found = set(re.findall(r"\b(hraft_\w+|process_\w+|up)\b", re.sub(r'"[^"]*"', "", expression)))
        self.assertTrue(found, (where, expression))
        self.assertEqual(set(), found - self.known(), (where, expression))
        for opening, closing in ("()", "[]", "{}"):
            self.assertEqual(expression.count(opening), expression.count(closing), (where, expression))

    def test_alert_rules(self) -> None:
        """Each expression can be true, each alert says how bad it is, and what it means is in the runbook."""
        rules = yaml.safe_load((ROOT / "deploy" / "prometheus-alerts.yml").read_text("utf-8"))
        runbook = (ROOT / "docs" / "operating.md").read_text("utf-8")
        titles = [line.lstrip("# ").lower() for line in runbook.splitlines() if line.startswith("#")]
        headings = {re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in titles}
        alerts = [rule for group in rules["groups"] for rule in group["rules"]]
        self.assertGreater(len(alerts), 8)
        for alert in alerts:
            self.check(alert["expr"], alert["alert"])
            self.assertIn(alert["labels"]["severity"], ("critical", "warning"))
            self.assertTrue(alert["annotations"]["summary"])
            page, _, anchor = alert["annotations"]["runbook"].partition("#")
            self.assertEqual("docs/operating.md", page)
            self.assertIn(anchor, headings, alert["alert"])
        self.assertEqual(len(alerts), len({alert["alert"] for alert in alerts}))

    def test_scrape_configuration(self) -> None:
        """It scrapes /metrics and loads the rules that lie beside it."""
        configuration = yaml.safe_load((ROOT / "deploy" / "prometheus.yml").read_text("utf-8"))
        self.assertEqual(["prometheus-alerts.yml"], configuration["rule_files"])
        [job] = configuration["scrape_configs"]
        self.assertEqual("hraft", job["job_name"])

    def test_dashboard(self) -> None:
        """Every panel has a title and queries of metrics that exist, on a data source that is asked for when it is imported."""
        dashboard = json.loads((ROOT / "deploy" / "grafana-dashboard.json").read_text("utf-8"))
        panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
        self.assertGreater(len(panels), 10)
        self.assertEqual(len(panels), len({panel["id"] for panel in panels}))
        for panel in panels:
            self.assertTrue(panel["title"])
            self.assertEqual("${DS_PROMETHEUS}", panel["datasource"]["uid"])
            for target in panel["targets"]:
                self.check(target["expr"], panel["title"])
