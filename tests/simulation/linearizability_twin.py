"""What the checker is compared with: a twin that tries every order, and random histories of a store that is plainly right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from random import Random

from hraft.simulation.history import History, Kind, Operation, Outcome, Seen, Written


class Store:
    """One correct store, as plain as can be: a dict and a count of revisions."""

    def __init__(self) -> None:
        self.revision = 0
        self.cells: dict[str, tuple[str, int, int]] = {}

    def copy(self) -> Store:
        store = Store()
        store.revision, store.cells = self.revision, dict(self.cells)
        return store

    def look(self, key: str) -> Seen:
        """Everything there is to be told of one key."""
        if key not in self.cells:
            return Seen(version=0)
        value, revision, version = self.cells[key]
        return Seen(value, revision, version)

    def carry_out(self, operation: Operation) -> tuple[Seen, ...] | Written:
        """The whole truth that this operation could have been told here."""
        if operation.kind is Kind.GET:
            return tuple(self.look(key) for key in operation.keys)
        pairs = zip(operation.keys, operation.expected, strict=False)
        if not all(agrees(self.look(key), demand) for key, demand in pairs):
            return Written(False, self.revision, 0)
        changed = [
            (key, value)
            for key, value in zip(operation.keys, operation.values, strict=True)
            if value is not None or key in self.cells
        ]
        self.revision += bool(changed)
        for key, value in changed:
            if value is None:
                del self.cells[key]
            else:
                version = self.cells[key][2] if key in self.cells else 0
                self.cells[key] = value, self.revision, version + 1
        return Written(True, self.revision, len(changed))


def agrees(truth: Seen, told: Seen) -> bool:
    """Whether what was told, or demanded, is part of the truth. A missing key has neither value nor revision to agree with."""
    if told.version == 0 or truth.version == 0:
        return truth.version == 0 and (told.version == 0 or told == Seen())
    pairs = ((told.value, truth.value), (told.revision, truth.revision), (told.version, truth.version))
    return all(part is None or part == whole for part, whole in pairs)


def answered(truth: tuple[Seen, ...] | Written, operation: Operation) -> bool:
    """Whether an operation can have had its result where `truth` was the whole truth."""
    told = operation.result
    if isinstance(told, tuple) and isinstance(truth, tuple):
        return all(agrees(whole, part) for whole, part in zip(truth, told, strict=True))
    if isinstance(told, Written) and isinstance(truth, Written):
        return (
            told.succeeded == truth.succeeded
            and told.revision in (None, truth.revision)
            and told.changed_count in (None, truth.changed_count)
        )
    return True


def is_linearizable(operations: Sequence[Operation]) -> bool:
    """Try every order and every choice of what took effect, without parts or short cuts; only exact repeats are passed over."""
    live = tuple(operation for operation in operations if operation.outcome is not Outcome.NOT_DONE)
    return _completes(live, Store(), set())


def _completes(left: tuple[Operation, ...], store: Store, failed: set[object]) -> bool:
    if all(operation.outcome is Outcome.UNKNOWN for operation in left):
        return True
    here = (tuple(map(id, left)), store.revision, tuple(sorted(store.cells.items())))
    if here in failed:
        return False
    failed.add(here)
    end = min(operation.returned_at for operation in left if operation.returned_at is not None)
    for place, operation in enumerate(left):
        if operation.invoked_at <= end:
            after = store.copy()
            others = left[:place] + left[place + 1 :]
            if answered(after.carry_out(operation), operation) and _completes(others, after, failed):
                return True
    return False


class Worlds:
    """Random histories of concurrent clients of one correct store; one seed is one history.

    Each operation takes effect at one moment between its invocation and its return. Some answers are lost; some requests too.
    """

    def __init__(self, seed: int, **settings: object) -> None:
        self.random = Random(seed)
        self.keys = [f"k{number}" for number in range(int(str(settings.get("keys_count", 5))))]
        self.clients_count = int(str(settings.get("clients_count", 10)))
        self.unknown_share = float(str(settings.get("unknown_share", 0.05)))
        self.weights = settings.get("weights", {"get": 50, "set": 40, "delete": 5, "set_many": 5, "swap": 0, "get_many": 0})
        self.values_count = settings.get("values_count")
        self.tells = settings.get("tells", "values")
        self.time = 0.0
        self.store = Store()
        self.written_count = 0

    def history(self, operations_count: int) -> tuple[Operation, ...]:
        """Run the clients until so many operations were invoked."""
        history = History(lambda: self.time)
        # For every client: what it will do next, at which time.
        due: dict[int, tuple[float, Iterator[float]]] = {}
        for client in range(self.clients_count):
            due[client] = self.random.random(), self._client(history, f"c{client}", operations_count)
        while due:
            client = min(due, key=lambda name: due[name][0])
            self.time, steps = due[client]
            pause = next(steps, None)
            if pause is None:
                del due[client]
            else:
                due[client] = self.time + pause, steps
        return history.operations()

    def _client(self, history: History, name: str, operations_count: int) -> Iterator[float]:
        while len(history) < operations_count:
            token = self._ask(history, name)
            yield self.random.expovariate(1.0)
            lost = self.random.random() < self.unknown_share
            if lost and self.random.random() < 0.4:
                history.not_done(token) if self.random.random() < 0.3 else history.unknown(token)
            elif lost:
                # The client gives up first; the request may still arrive, while the client asks other things.
                history.unknown(token)
                if self.random.random() < 0.5:
                    yield self.random.expovariate(0.2)
                self.store.carry_out(history.operations()[token])
            else:
                operation = history.operations()[token]
                truth = self.store.carry_out(operation)
                yield self.random.expovariate(1.0)
                history.done(token, self._told(truth))
            yield self.random.expovariate(4.0)

    def _ask(self, history: History, name: str) -> int:
        weights = dict(self.weights)  # type: ignore[call-overload]
        kind = self.random.choices(list(weights), list(weights.values()))[0]
        key = self.random.choice(self.keys)
        several = self.random.sample(self.keys, min(len(self.keys), self.random.randint(2, 3)))
        if kind == "get":
            return history.invoke(name, Kind.GET, key)
        if kind == "get_many":
            return history.invoke(name, Kind.GET, *several)
        if kind == "delete":
            return history.invoke(name, Kind.DELETE, key)
        if kind == "set_many":
            return history.invoke(name, Kind.SET, *several, values=[self._value() for _ in several])
        if kind == "swap":
            expected = self._part(self.store.look(key)) if self.random.random() < 0.6 else Seen(f"v{self.random.randint(0, 9)}")
            return history.invoke(name, Kind.COMPARE_AND_SET, key, values=[self._value()], expected=[expected])
        return history.invoke(name, Kind.SET, key, values=[self._value()])

    def _value(self) -> str:
        self.written_count += 1
        return f"v{self.random.randrange(self.values_count) if isinstance(self.values_count, int) else self.written_count}"

    def _told(self, truth: tuple[Seen, ...] | Written) -> tuple[Seen, ...] | Written:
        if isinstance(truth, tuple):
            return tuple(self._part(answer) for answer in truth)
        if self.tells == "values":
            return Written(truth.succeeded)
        if self.tells == "counts":
            return Written(truth.succeeded, None, truth.changed_count)
        return truth

    def _part(self, answer: Seen) -> Seen:
        if answer.version == 0 or self.tells == "revisions":
            return answer
        return Seen(answer.value) if self.tells == "values" else Seen(answer.value, None, answer.version)


def spoilt(operations: Sequence[Operation], random: Random) -> tuple[Operation, ...]:
    """One read changed to another answer that somebody may have written: usually wrong, sometimes still explicable."""
    values = [value for operation in operations for value in operation.values if value is not None]
    places = [place for place, operation in enumerate(operations) if isinstance(operation.result, tuple)]
    if not places or not values:
        return tuple(operations)
    place = random.choice(places)
    old = operations[place].result
    assert isinstance(old, tuple)
    slot = random.randrange(len(old))
    new = Seen(version=0) if random.random() < 0.3 else Seen(random.choice(values))
    changed = replace(operations[place], result=(*old[:slot], new, *old[slot + 1 :]))
    return (*operations[:place], changed, *operations[place + 1 :])


def known_bad(history: Sequence[Operation], random: Random) -> list[Sequence[Operation]]:
    """The history with one read changed so that it is certainly wrong, in three ways (as far as it has what that takes)."""
    sets = [operation for operation in history if operation.kind is Kind.SET and operation.outcome is Outcome.OK]
    bad: list[Sequence[Operation]] = []
    reads = [place for place, operation in enumerate(history) if operation.kind is Kind.GET and operation.outcome is Outcome.OK]
    random.shuffle(reads)

    def with_answer(place: int, value: str | None) -> list[Operation]:
        return [*history[:place], replace(history[place], result=(Seen(value),)), *history[place + 1 :]]

    bad.append(with_answer(reads[0], "never written"))
    refused = [operation for operation in history if operation.outcome is Outcome.NOT_DONE and operation.values]
    for place in reads:
        read = history[place]
        aborted = [operation for operation in refused if read.keys[0] in operation.keys and operation.kind is Kind.SET]
        if aborted:
            bad.append(with_answer(place, aborted[0].values[aborted[0].keys.index(read.keys[0])]))
            break
    for place in reads:
        read = history[place]
        before = [write for write in sets if read.keys[0] in write.keys and (write.returned_at or 0) < read.invoked_at]
        pairs = [(old, new) for old in before for new in before if (old.returned_at or 0) < new.invoked_at]
        if pairs:
            bad.append(with_answer(place, pairs[0][0].values[pairs[0][0].keys.index(read.keys[0])]))
            break
    return bad
