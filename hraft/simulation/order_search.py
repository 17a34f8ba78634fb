"""The search for an order: Wing and Gong's (1993), with Lowe's linked list and memory of configurations (2017).

Deterministic: it is limited by the steps it takes, not by time. Knows nothing of what operations mean; it asks the model.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from hraft.simulation.history import Operation, Time
from hraft.simulation.models import Model


class _Placed:
    """One choice of what comes next, what followed from it, and how to take it back."""

    def __init__(self, chosen: int, state: Hashable, first: int, window: int, used: int) -> None:
        #: The operation that was chosen (-1: nothing yet) and, in their order, all required ones that were placed with it.
        self.chosen = chosen
        self.numbers: list[int] = []
        #: Where the search stood before.
        self.state, self.first, self.window, self.used = state, first, window, used
        #: For each optional operation that nothing after it touched yet, the bits of what it touched.
        self.pending: frozenset[int] = frozenset()
        #: What may be chosen after it, what that touches, and what made the choices that were tried fail.
        self.untried: list[int] = []
        self.tried_count = 0
        self.touched = 0
        self.reason = 0


class Search:
    """Places operations one after the other, and takes the last one back when nothing fits any more.

    A configuration is which operations are placed, and the state. None is entered twice: had the first visit led to an order,
    the search would be over. The events that are left are a linked list; any call before its first return may be placed next:

        head <-> call 3 <-> call 5 <-> return 3 <-> ...         3 and 5 may be next, nothing behind `return 3` may
    """

    def __init__(self, model: Model[Any], operations: Sequence[Operation], steps_limit: int) -> None:
        self._model = model
        self._steps_limit = steps_limit
        self.steps_taken_count = 0
        # What has to be placed is numbered by invocation; what may be left out comes after it.
        ordered = sorted(operations, key=lambda operation: operation.invoked_at)
        required = [operation for operation in ordered if operation.returned_at is not None]
        self._required_count = len(required)
        self._operations = required + [operation for operation in ordered if operation.returned_at is None]
        self._touched = self._bits_touched()
        self._likeness = self._numbers_of_likeness()
        self._elders = self._bits_of_elders()
        self._link_events()
        self._state: Hashable = model.initial()
        #: Operations below `first` are all placed, `first` is not; bit b of `window`: `first + b` is. So the numbers stay small.
        self._first = 0
        self._window = 0
        #: Bit b: the optional operation `required_count + b` is placed.
        self._used = 0
        #: The configurations from which no order goes on: by what is placed of the required operations and by the state, which
        #: optional ones were placed, which of these were pending, and the bits of what would have to be different.
        self._dead_ends: dict[tuple[int, int, Hashable], list[tuple[int, frozenset[int], int]]] = {}
        self._stack: list[_Placed] = []

    def run(self) -> bool | None:
        """Whether there is an order; None if the limit was reached first. To be called once."""
        stack = self._stack
        root = _Placed(-1, self._state, 0, 0, 0)
        self._place_safe(root)
        self._find_candidates(root)
        stack.append(root)
        while self._next[0]:
            if self.steps_taken_count > self._steps_limit:
                return None
            top = stack[-1]
            if top.tried_count < len(top.untried):
                top.tried_count += 1
                self._try(top.untried[top.tried_count - 1])
            else:
                self._jump_back(top.touched | top.reason)
                if not stack:
                    return False
        return True

    def order(self) -> tuple[Operation, ...]:
        """The operations that are placed, in their order."""
        return tuple(
            self._operations[number]
            for placed in self._stack
            for number in (placed.numbers if placed.chosen < self._required_count else [placed.chosen, *placed.numbers])
        )

    # --- placing ---------------------------------------------------------------------------------

    def _try(self, number: int) -> None:
        legal, after = self._step(number)
        is_optional = number >= self._required_count
        # What may be left out is not wasted where it changes nothing.
        if not legal or (is_optional and after == self._state):
            return
        placed = _Placed(number, self._state, self._first, self._window, self._used)
        self._state = after
        if is_optional:
            self._used |= 1 << number - self._required_count
        else:
            self._lift(number)
            placed.numbers.append(number)
        self._place_safe(placed)
        if is_optional:
            placed.pending = self._pending_with(number, self._stack[-1].pending, placed.numbers)
        reason = self._known_reason(placed.pending)
        if reason is None:
            self._find_candidates(placed)
            self._stack.append(placed)
        else:
            self._take_back(placed)
            self._stack[-1].reason |= self._reason_before(placed, reason)

    def _jump_back(self, reason: int) -> None:
        """Take back choices up to the last one that could have made a difference, past those that touch nothing of the reason.

        (Conflict-directed backjumping: Prosser, 1993.) Without it, a wrong choice on one key is only reconsidered after all
        combinations of what happened meanwhile on the others.
        """
        while self._stack:
            placed = self._stack.pop()
            dead_ends = self._dead_ends.setdefault((self._first, self._window, self._state), [])
            dead_ends.append((self._used, placed.pending, reason))
            self._take_back(placed)
            reason = self._reason_before(placed, reason)
            if self._stack and self._stack[-1].touched & reason:
                self._stack[-1].reason |= reason
                return

    def _reason_before(self, placed: _Placed, reason: int) -> int:
        # What was placed with a choice was possible because of all that it touches.
        for number in reversed(placed.numbers):
            if self._touched[number] & reason:
                reason |= self._touched[number]
        return reason

    def _known_reason(self, pending: frozenset[int]) -> int | None:
        """Why no order goes on from here, if that is known. Where all failed with more optional operations left, so will this."""
        for used, its_pending, reason in self._dead_ends.get((self._first, self._window, self._state), ()):
            if not used & ~self._used and its_pending <= pending:
                return reason
        return None

    def _pending_with(self, number: int, pending: frozenset[int], followers: Sequence[int] = ()) -> frozenset[int]:
        """What is pending after an optional operation was placed, and some more that was safe then."""
        own = self._touched[number]
        after = {bits for bits in pending if not bits & own} | {own}
        return frozenset(bits for bits in after if not any(bits & self._touched[follower] for follower in followers))

    def _place_safe(self, placed: _Placed) -> None:
        """Place everything that is safe here: that is no choice, so nothing else is ever tried in its place."""
        count = -1
        while count < len(placed.numbers):
            count = len(placed.numbers)
            node = self._next[0]
            while (number := self._number_at[node]) >= 0:
                legal, after = self._step(number)
                if legal and self._model.is_safe(self._state, self._operations[number], after):
                    self._state = after
                    self._lift(number)
                    placed.numbers.append(number)
                node = self._next[node]

    def _find_candidates(self, placed: _Placed) -> None:
        """Note what may be chosen next: of the calls before the first return those that depend on what returns there.

        Whatever order follows, it has something of these before that return, and nothing that it has before the first of them
        touches what they touch: so there is an order as well in which one of them is next. What is independent waits for its own
        return to be the first. (A persistent set: Godefroid, 1996.)
        """
        calls: list[int] = []
        node = self._next[0]
        while (number := self._number_at[node]) >= 0:
            calls.append(number)
            node = self._next[node]
        if not node:
            return
        # Only after all others: most operations of unknown outcome never took effect.
        for bit in range(len(self._operations) - self._required_count):
            number = self._required_count + bit
            if self._node_of_call[number] < node and not self._used >> bit & 1 and not self._elders[bit] & ~self._used:
                calls.append(number)
        touched, before = self._touched[self._returning_at[node]], 0
        while touched != before:
            before = touched
            for number in calls:
                if self._touched[number] & touched:
                    touched |= self._touched[number]
        candidates = [number for number in calls if self._touched[number] & touched]
        for bits in placed.pending:
            touched |= bits
        placed.touched = touched
        placed.untried = self._without_doubles(self._that_need_the_pending(candidates, placed.pending))

    def _that_need_the_pending(self, numbers: list[int], pending: frozenset[int]) -> list[int]:
        """Optional operations are only placed right before a required one that touches what they touched, or what another of them
        touched that touches it, and so on: in any order they can move on to there from where they are, or out of it."""
        required = [self._touched[number] for number in numbers if number < self._required_count]
        optional = [number for number in numbers if number >= self._required_count]
        next_to_come = [number for number in numbers[: len(required)] if all(self._touched[number] & bits for bits in pending)]
        # With one that touches several things, what is needed may come by way of it: then any may be next.
        is_simple = not any(bits & (bits - 1) for bits in (*pending, *(self._touched[number] for number in optional)))
        for number in optional:
            after = self._pending_with(number, pending)
            if not is_simple or any(all(touched & bits for bits in after) for touched in required):
                next_to_come.append(number)
        return next_to_come

    def _without_doubles(self, numbers: list[int]) -> list[int]:
        """Of required operations that are alike only the one that returns first: in any order in which another of them is next,
        the two can change places."""
        first: dict[int, int] = {}
        for number in numbers:
            if number < self._required_count:
                other = first.setdefault(self._likeness[number], number)
                if self._node_of_return[number] < self._node_of_return[other]:
                    first[self._likeness[number]] = number
        return [number for number in numbers if number >= self._required_count or first[self._likeness[number]] == number]

    def _take_back(self, placed: _Placed) -> None:
        for number in reversed(placed.numbers):
            self._put_back(number)
        self._state, self._first, self._window, self._used = placed.state, placed.first, placed.window, placed.used

    def _step(self, number: int) -> tuple[bool, Hashable]:
        self.steps_taken_count += 1
        return self._model.step(self._state, self._operations[number])

    # --- the linked list -------------------------------------------------------------------------

    def _lift(self, number: int) -> None:
        for node in (self._node_of_call[number], self._node_of_return[number]):
            before, behind = self._previous[node], self._next[node]
            self._next[before], self._previous[behind] = behind, before
        self._window |= 1 << number - self._first
        # All bits below the lowest zero: what `first` passes over.
        passed_count = (~self._window & (self._window + 1)).bit_length() - 1
        self._first += passed_count
        self._window >>= passed_count

    def _put_back(self, number: int) -> None:
        for node in (self._node_of_return[number], self._node_of_call[number]):
            self._next[self._previous[node]] = self._previous[self._next[node]] = node

    # --- prepared once ---------------------------------------------------------------------------

    def _link_events(self) -> None:
        # Equal times count as overlapping, hence calls before returns: a coarse clock must not make a good history look bad.
        events: list[tuple[Time, bool, int]] = []
        for number, operation in enumerate(self._operations):
            events.append((operation.invoked_at, False, number))
            if operation.returned_at is not None:
                events.append((operation.returned_at, True, number))
        events.sort()
        self._node_of_call = [0] * len(self._operations)
        self._node_of_return = [0] * len(self._operations)
        #: Which operation's call, or return, a node is; -1: it is none. Node 0 is the head, and the end.
        self._number_at = [-1] * (len(events) + 1)
        self._returning_at = [-1] * (len(events) + 1)
        linked = [0]
        for node, (_, is_return, number) in enumerate(events, start=1):
            (self._node_of_return if is_return else self._node_of_call)[number] = node
            (self._returning_at if is_return else self._number_at)[node] = number
            if number < self._required_count:
                linked.append(node)
        self._next = [0] * (len(events) + 1)
        self._previous = [0] * (len(events) + 1)
        for node, following in zip(linked, [*linked[1:], 0], strict=True):
            self._next[node], self._previous[following] = following, node

    def _bits_touched(self) -> list[int]:
        """For each operation, one bit for each thing that it touches."""
        bits: dict[Hashable, int] = {}
        return [
            sum({bits.setdefault(thing, 1 << len(bits)) for thing in self._model.touched(operation)})
            for operation in self._operations
        ]

    def _numbers_of_likeness(self) -> list[int]:
        """For each operation, the same number as for others that are alike."""
        numbers: dict[Hashable, int] = {}
        return [numbers.setdefault(self._model.likeness(operation), len(numbers)) for operation in self._operations]

    def _bits_of_elders(self) -> list[int]:
        """For each optional operation, the bit of the last one before it that is alike. Until that one is placed it need not be
        tried: in any order its elder can take its place, and leave it the elder's own."""
        elders: list[int] = []
        latest: dict[int, int] = {}
        for bit, likeness in enumerate(self._likeness[self._required_count :]):
            elders.append(latest.get(likeness, 0))
            latest[likeness] = 1 << bit
        return elders
