"""Nodes that begin a cluster, leave it, or are removed from it. Data only, see `planted_bug`."""

from planted_bug import bug

_TWO_LINES = "behind it stands that addresses lead to the same directories, which no model of a test gives up"
_SIMULATED = "no simulated world begins with several nodes without a cluster"

REMOVED = (
    bug(
        "M12a",
        "whoever was removed is never told",
        "service/removal",
        "        if node_id not in self._applying.configuration.removed:\n",
        "        if True:\n",
        unseen="it idles, and breaks no promise",
    ),
    bug(
        "M12b",
        "a removal that is not committed is told",
        "service/removal",
        "        if node_id not in self._applying.configuration.removed:\n",
        "        if node_id not in self._node.configuration.removed:\n",
    ),
    bug(
        "M12c",
        "a removed node goes on serving",
        "service/node_service",
        "        if self.removal is not None:\n            raise self.removal\n",
        "        self._closed_reason = self._closed_reason if self.removal is None else ''\n",
        unseen="it serves what was acknowledged before it was removed",
    ),
    bug(
        "M12d",
        "a removed node has forgotten it after a restart",
        "service/node_service",
        "        if self._removed_index is None:\n            running",
        "        if True:\n            running",
        unseen="the others tell it again",
    ),
    bug(
        "M12e",
        "a removed node is taken in at the hello",
        "peers/accepted",
        "        if index is not None:\n",
        "        if False:\n",
        unseen="a simulation has no connections",
    ),
    bug(
        "M12f",
        "a new cluster's only voter takes itself for removed, since the old cluster had removed it",
        "offline/founding",
        "    for part in REMEMBERED:\n",
        "    for part in ():\n",
        unseen="no simulated directory is recovered",
    ),
    bug(
        "M22",
        "a leader that stood still reaps whom it did not hear",
        "service/reaping",
        "min(now - self._looked_at, _STALL_SECONDS)",
        "now - self._looked_at",
        unseen="no simulated node reaps",
    ),
)

FOUNDING = (
    bug(
        "M21a",
        "anybody founds",
        "founding",
        "        if ids[0] != self._me.node_id:\n",
        "        if False:\n",
        unseen=_SIMULATED,
    ),
    bug(
        "M21b",
        "a cluster is founded while a node is missing",
        "founding",
        "        if len(views) < len(answers) or len(views) != self._expected_count:\n",
        "        if len(views) < 2:\n",
        unseen=_SIMULATED,
    ),
    bug(
        "M21c",
        "a cluster is founded before all see all",
        "founding",
        " and view.sees != ids)\n",
        " and False)\n",
        unseen=_TWO_LINES,
    ),
    bug(
        "M21d",
        "who took another for the founder founds all the same",
        "founding",
        "        if self._founder not in (None, ids[0]):\n",
        "        if False:\n",
        unseen=_TWO_LINES,
    ),
    bug(
        "M21e",
        "a founder says that it has no cluster",
        "founding",
        "self._me.life, self._has_founded,",
        "self._me.life, False,",
        unseen=_SIMULATED,
    ),
    bug(
        "M21f",
        "a proxy's 404 is taken for a member's",
        "gathering",
        '    if answer.body.get("code") in _WORDS_OF_MEMBERS:\n',
        "    if answer.code == 404:\n",
        unseen=_SIMULATED,
    ),
    bug(
        "M21g",
        "a service that was stopped goes on asking its way in",
        "gathering",
        "    except CancelledError:\n        raise\n",
        "",
        unseen=_SIMULATED,
    ),
)
