"""From a world that fails to a smaller one that fails in the same way: fewer faults, fewer nodes and clients, less time.

Another shape is another world, so a few seeds are tried for each. Greedy, and limited by a number of worlds; knows nothing of why
a world fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from hraft.simulation.run import Outcome, run
from hraft.simulation.shape import Selection

WORLDS_COUNT = 150
SEEDS_COUNT = 5
_SHORTEST_SECONDS = 5.0


def shrink(
    failure: Outcome,
    run: Callable[[Selection], Outcome] = run,
    worlds_count: int = WORLDS_COUNT,
    tell: Callable[[Outcome], None] = lambda outcome: None,
) -> Outcome:
    """Return the smallest failure found of the same rule; `tell` hears of each on the way."""
    best, left = failure, worlds_count
    while True:
        smaller: Outcome | None = None
        for selection in _smaller(best):
            for seed in (selection.seed, *range(SEEDS_COUNT - 1)):
                if left == 0:
                    return best
                left -= 1
                outcome = run(replace(selection, seed=seed))
                if outcome.rule == failure.rule:
                    smaller = outcome
                    break
            if smaller is not None:
                break
        if smaller is None:
            return best
        best = smaller
        tell(best)


def _smaller(failure: Outcome) -> Iterator[Selection]:
    """What is one step smaller, the greatest steps first."""
    selection, shape = failure.selection, failure.shape
    if selection.seconds > _SHORTEST_SECONDS:
        yield replace(selection, seconds=max(_SHORTEST_SECONDS, round(selection.seconds / 2, 1)))
    for nodes_count in range(1, shape.nodes_count):
        yield replace(selection, nodes_count=nodes_count)
    for kind in shape.kinds:
        yield replace(selection, kinds=tuple(other for other in shape.kinds if other != kind))
    if shape.clients_count > 1:
        yield replace(selection, clients_count=1)
