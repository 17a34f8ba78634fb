"""Asking all the addresses of a cluster that is to be founded, round after round, until one has a cluster or this node founds it.

Who may found is decided in `hraft.founding`.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from twisted.internet.defer import CancelledError, Deferred, FirstError, gatherResults
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from hraft.admission import SECONDS_BETWEEN_WORDS, Ask, Target
from hraft.founding import Founding, Verdict, View

PATH: Final = "/v1/discovery"
SECONDS_BETWEEN_ROUNDS: Final = 0.25
#: What only a member says to this question: one of a release that does not know it, and one that is not to be asked by this name,
#: as it will say again, in words, when it is asked to take this node in. Whoever has no cluster answers it, or says 503.
_WORDS_OF_MEMBERS: Final = ("not_found", "host_not_allowed")

_log = Logger(namespace="hraft.gathering")


async def gather(clock: IReactorTime, ask: Ask, targets: tuple[Target, ...], founding: Founding) -> Verdict:
    """JOIN or FOUND, once it is that. Says now and then what is missing. Fails with what `ask` does only for CancelledError."""
    next_words = clock.seconds()
    while True:
        asking = [Deferred.fromCoroutine(_view_of(ask, target)) for target in targets]
        try:
            answers: list[View | None] = await gatherResults(asking, consumeErrors=True)
        except FirstError as error:
            error.subFailure.raiseException()
        verdict = founding.heard(answers)
        if verdict is not Verdict.WAIT:
            return verdict
        if clock.seconds() >= next_words:
            next_words = clock.seconds() + SECONDS_BETWEEN_WORDS
            _log.info("{node}: there is no cluster yet: {reason}", node=founding.view().node_id, reason=founding.reason)
        await deferLater(clock, SECONDS_BETWEEN_ROUNDS)


async def _view_of(ask: Ask, target: Target) -> View | None:
    try:
        answer = await ask(target, PATH, None)
    except CancelledError:
        raise
    except Exception:  # of the network, of HTTP, of a name that does not resolve: it will be asked again
        return None
    if answer.body.get("code") in _WORDS_OF_MEMBERS:
        # In hraft's own words: a proxy before a node that is not up yet says 404 as well.
        return View("", "", is_member=True)
    return _view(answer.body) if answer.code == 200 else None


def _view(body: dict[str, Any]) -> View | None:
    try:
        return msgspec.convert(body, View)
    except msgspec.ValidationError:
        return None
