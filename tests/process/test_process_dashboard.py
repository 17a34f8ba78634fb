"""The dashboard in a real browser, on a real cluster: what it shows, what it changes, and what it says when its node is killed.

Pictures are left in tests/.output, for people to look at.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from browser import Looker, chromium
from cluster import PATIENT, Cluster

EVIL = "<img src=x onerror=document.title='owned'>"
#: What a browser says on the console when a node is not there: no defect of the page.
OF_THE_NETWORK = "Failed to load resource: net::ERR_"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


def stored(cluster: Cluster, key: str) -> str | None:
    """A key's value as an up-to-date reader sees it."""
    reply = cluster.nodes[0].ask("GET", f"/v1/kv/{key}")
    return reply.json()["value"] if reply.status == 200 else None


def open_key(looker: Looker, key: str) -> None:
    looker.page.fill("#prefix", key)
    looker.page.click("#find button[type=submit]")
    looker.page.click(f"#key-list button:text-is({key!r})")


def try_keys(cluster: Cluster, looker: Looker) -> None:
    """Make, change, collide on and delete keys, as a person would."""
    page, node = looker.page, cluster.nodes[0]
    page.click("#new-key")
    page.fill("#value-key", EVIL)
    page.fill("#value-text", EVIL)
    page.click("#value-save")
    page.wait_for_selector("#value", state="hidden")
    open_key(looker, EVIL)
    looker.wait_for_value("#value-text", EVIL)
    assert (EVIL, EVIL) == (looker.text("#value-title"), page.input_value("#value-key"))
    assert 0 == page.locator("img[src=x]").count()
    page.click("#value-close")

    node.ask("PUT", "/v1/kv/colour", b"red")
    open_key(looker, "colour")
    looker.wait_for_value("#value-text", "red")
    node.ask("PUT", "/v1/kv/colour", b"green")
    page.fill("#value-text", "blue")
    page.click("#value-save")
    looker.wait_for("#value-problem", "Somebody has changed it meanwhile")
    looker.wait_for("#value-problem", "green")
    assert "green" == stored(cluster, "colour")
    looker.picture("conflict", whole=False)
    page.click("#value-overwrite")
    page.wait_for_selector("#value", state="hidden")
    assert "blue" == stored(cluster, "colour")

    open_key(looker, "colour")
    page.wait_for_selector("#value-delete:visible")
    page.click("#value-delete")
    assert "blue" == stored(cluster, "colour")
    page.click("#value-delete")
    page.wait_for_selector("#value", state="hidden")
    assert stored(cluster, "colour") is None

    node.ask("PUT", "/v1/kv/bytes", bytes(range(256)))
    open_key(looker, "bytes")
    looker.wait_for("#value-bytes", "000010  10 11 12")
    assert page.is_disabled("#value-save")
    looker.picture("bytes", whole=False)
    page.keyboard.press("Escape")
    # Then the focus goes back to the key, when the browser gets to it; Enter there would open it again.
    page.wait_for_selector("#value", state="hidden")
    page.fill("#prefix", "")
    page.press("#prefix", "Enter")
    looker.wait_for("#keys-note", "in all")


@pytest.mark.scenario("O22")
def test_o22_the_page_and_its_keys(cluster: Cluster, browser: Any) -> None:
    """It shows the leader, a concurrent change is not overwritten, and a key called <img onerror> is a text.

    On a telephone, in the dark, everything is within the screen.
    """
    leader = cluster.start(1)[0]
    looker = Looker(browser, leader.http_address)
    looker.wait_for("#leader-line", f"{leader.node_id} leads in term")
    looker.wait_for("#connection-words", "live, as of")
    looker.wait_for("#quorum-line", "none of them may be lost")
    try_keys(cluster, looker)
    looker.picture("alone")
    phone = Looker(browser, leader.http_address, viewport={"width": 360, "height": 740}, color_scheme="dark")
    phone.wait_for("#leader-line", "leads in term")
    phone.picture("phone-dark")
    assert 360 == phone.page.evaluate("document.documentElement.scrollWidth")
    assert "rgb(18, 24, 30)" == phone.page.evaluate("getComputedStyle(document.body).backgroundColor")
    phone.page.click("#new-key")
    phone.picture("phone-dialog", whole=False)
    assert 360 == phone.page.evaluate("document.documentElement.scrollWidth")
    for each in (looker, phone):
        assert ([], []) == (each.complaints, each.foreign)
    assert "owned" != looker.page.title()


@pytest.mark.scenario("O22")
def test_o22_a_leader_is_killed(cluster: Cluster, browser: Any) -> None:
    """Another node's page shows who leads now; the dead node's says that it is cut off, since when, and where to go."""
    cluster.start(3, *PATIENT)
    leader, (other, _) = cluster.leader_and_followers()
    at_leader, at_other = Looker(browser, leader.http_address), Looker(browser, other.http_address)
    at_leader.wait_for("#members", "ago")
    at_leader.picture("leader")
    for looker in (at_leader, at_other):
        looker.wait_for("#leader-line", f"{leader.node_id} leads")
    at_other.wait_for("#members", "ago")
    at_other.wait_for("#members-note", "which leads; its own page is")
    at_other.wait_for("#members-note", leader.http_address)
    at_other.wait_for("#quorum-line", "3 voters, 3 of them there; 1 of them may be lost")
    at_other.picture("follower")
    leader.kill()
    at_leader.wait_for("#connection-words", "cut off, as of")
    at_leader.wait_for("#cut-off", other.http_address)
    at_leader.wait_for("#cut-age", "ago")
    new = cluster.leader()
    at_other.wait_for("#leader-line", f"{new.node_id} leads")
    at_other.wait_for("#events", "leads in term")
    at_leader.picture("cut-off")
    at_new = Looker(browser, new.http_address)
    at_new.wait_for("#members", "silent for")
    at_new.wait_for("#quorum-line", "3 voters, 2 of them there; none of them may be lost")
    at_new.picture("after-the-kill")
    for looker in (at_other, at_new):
        assert ([], []) == (looker.complaints, looker.foreign)
    assert [] == [words for words in at_leader.complaints if not words.startswith(OF_THE_NETWORK)]
    leader.start().wait_until_started()
    at_leader.wait_for("#connection-words", "live, as of")
    at_leader.page.wait_for_selector("#cut-off", state="hidden")


def test_a_node_that_falls_silent(cluster: Cluster, browser: Any) -> None:
    """No connection breaks when a cable is pulled or a process is stopped: the page finds out by the figures that do not come."""
    node = cluster.start(1)[0]
    looker = Looker(browser, node.http_address)
    looker.wait_for("#connection-words", "live, as of")
    node.send_signal(signal.SIGSTOP)
    looker.wait_for("#connection-words", "cut off, as of")
    looker.wait_for("#cut-off", "nothing has come from this node")
    node.send_signal(signal.SIGCONT)
    looker.wait_for("#connection-words", "live, as of")


def test_a_browser_logs_in(cluster: Cluster, browser: Any) -> None:
    """With its own login, which the stream and every request carry; what the user may not do is not offered, and if it is tried
    all the same, as by a page that was open when the user's role was changed, the refusal is said in words."""
    users = cluster.folder / "users"
    for name, role in (("eve", "read"), ("ada", "admin")):
        command = [sys.executable, "-m", "hraft", "users", "add", str(users), name, "--role", role]
        subprocess.run(command, input=b"correct horse\n", env=cluster.environment, check=True, capture_output=True)
    node = cluster.node("--auth", f"file:{users}").start().wait_until_started()
    assert 401 == node.ask("GET", "/").status
    looker = Looker(browser, node.http_address, http_credentials={"username": "eve", "password": "correct horse"})
    looker.wait_for("#connection-words", "live, as of")
    looker.wait_for("#keys-note", "0 keys in all")
    looker.page.wait_for_selector("#new-key", state="hidden")
    ada = Looker(browser, node.http_address, http_credentials={"username": "ada", "password": "correct horse"})
    ada.page.click("#new-key")
    ada.page.fill("#value-key", "colour")
    ada.page.fill("#value-text", "red")
    ada.page.click("#value-save")
    ada.page.wait_for_selector("#value", state="hidden")
    open_key(looker, "colour")
    looker.wait_for_value("#value-text", "red")
    looker.wait_for("#value-about", "You may read this key, and not change it")
    assert not looker.page.is_editable("#value-text")
    for hidden in ("#value-save", "#value-delete"):
        assert looker.page.is_hidden(hidden)
    looker.picture("read-only", whole=False)
    looker.page.click("#value-close")
    looker.page.evaluate("document.getElementById('new-key').hidden = false")
    looker.page.click("#new-key")
    looker.page.fill("#value-key", "a")
    looker.page.click("#value-save")
    looker.wait_for("#value-problem", "you may not do this: user 'eve' has the role read")
    looker.wait_for("#value-problem", "Nothing was changed")
    looker.picture("forbidden", whole=False)
    assert [] == [words for words in looker.complaints if "403" not in words and "401" not in words]
