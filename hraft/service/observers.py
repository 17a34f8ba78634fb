"""Those who want to know what a node has applied, and when it leads. What they do with it is no concern of the node's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.python.failure import Failure

from hraft.interfaces import Observer
from hraft.service.events import Events


class Observers:
    """An observer that raises is logged, and stops nothing."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self._observers: list[Observer] = []
        self._leading_term: int | None = None

    def add(self, observer: Observer) -> None:
        """From now on. One that comes while this node leads hears of that at once."""
        self._observers.append(observer)
        if self._leading_term is not None:
            self._tell(observer.leading, self._leading_term)

    def applied(self) -> None:
        for observer in self._observers:
            self._tell(observer.applied)

    def leading(self, term: int | None) -> None:
        """Told on a change only."""
        if term == self._leading_term:
            return
        self._leading_term = term
        for observer in self._observers:
            self._tell(observer.leading, term)

    def _tell(self, function: Callable[..., None], *arguments: Any) -> None:
        try:
            function(*arguments)
        except Exception:
            self._events.observer_failed(Failure())
