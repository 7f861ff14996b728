"""What the server asks of this floor, answered from a store, or from one generation of it alone."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from ..cache.records import Answer, Match, Record
from ..cache.refusals import unknown_generation
from ..cache.store import Store
from ..spaces.errors import StoreError
from ..spaces.targets import Target
from . import answering, lookup
from .generation_services import GenerationServices
from .job_services import QueuedJobs
from .lookup import Query
from .pinned import Pinned, Pins
from .record_services import StoreRecordServices

RECENT_S = 5.0
"""How old what a miss is explained by may be."""


class StoreServices:
    """Lookups in one store. As safe to call from several threads as the store is; it owns what it is given."""

    def __init__(self, store: Store, state: Callable[[], str | None] = lambda: None, pins: Pins | None = None) -> None:
        self._store = store
        self._state = state
        self._pins = pins
        self._reading = Lock()
        self._winners: dict[str, tuple[float, list[Record]]] = {}

    def targets(self) -> list[Target]:
        """Every target a record is known for, by name. Raises: StoreError."""
        return self._store.targets()

    def lookup(self, query: Query, min_match: Match = "stale") -> Answer | None:
        """The best answer known, no farther than `min_match`. Raises: StoreError."""
        return answering.answer(self._store, query, min_match)

    def explain_miss(self, query: Query) -> list[str]:
        """What the nearest record differs in: of the problem itself, else of the whole op. Raises: StoreError.

        What is known of an op takes most of a second to read where much is: it is read each RECENT_S at most, by one.
        """
        op = query.problem.op
        return lookup.explain_miss(query, self._store.candidates(op, query.problem.digest) or self._recent(op))

    def _recent(self, op: str) -> list[Record]:
        """The winners of an op, as they were a moment ago."""
        with self._reading:
            read_s, winners = self._winners.get(op, (-math.inf, []))
            if time.monotonic() - read_s >= RECENT_S:
                winners = self._store.candidates(op)
                self._winners[op] = time.monotonic(), winners
            return winners

    def pinned(self, number: int | None) -> Pinned | None:
        """Lookups in the generation of this number; None where none is named. Raises: UnknownGeneration, StoreError."""
        if number is not None and self._pins is None:
            raise unknown_generation(number, 0)
        return None if number is None or self._pins is None else self._pins.at(number)

    def generation_services(self) -> GenerationServices | None:
        """The generations of the same place, which this closes; None where there is none for them."""
        return None if self._pins is None else GenerationServices(self._pins)

    def state(self) -> str | None:
        """Changes with whatever anyone commits; None where that is not known: then no answer is given twice."""
        try:
            return self._state()
        except StoreError:
            return None

    def ready(self) -> None:
        """Return if the store answers. Raises: StoreError."""
        self._store.candidates("gemm", problem_digest="asked only to see whether the store answers")

    def close(self) -> None:
        if self._pins is not None:
            self._pins.close()
        self._store.close()


class PinnedServices:
    """Lookups of a server that is pinned: to a file, or to the generation that its settings name.

    Another generation of the same place is answered from where it is named. It owns what it is given.
    """

    def __init__(self, pins: Pins) -> None:
        """Raises: UnknownGeneration, StoreError."""
        self._pins = pins
        pinned = pins.pinned()
        assert pinned is not None  # wiring opens it only where something pins it
        self._pinned = pinned

    def targets(self) -> list[Target]:
        """Every target it has answers of, by name. Raises: StoreError."""
        return list(self._pinned.targets)

    def lookup(self, query: Query, min_match: Match = "stale") -> Answer | None:
        """The best answer frozen, exact or stale. Raises: StoreError."""
        found = self._pinned.answer(query, min_match)
        return None if found is None else found.answer

    def explain_miss(self, query: Query) -> list[str]:
        """What the nearest frozen answer differs in. Raises: StoreError."""
        return self._pinned.explain_miss(query)

    def pinned(self, number: int | None) -> Pinned | None:
        """Lookups in the generation that is named, or in its own. Raises: UnknownGeneration, StoreError."""
        return self._pins.pinned(number)

    def generation_services(self) -> GenerationServices:
        """The generations of the same place, which this closes."""
        return GenerationServices(self._pins)

    def state(self) -> str | None:
        """Always the same: no answer of a generation ever changes."""
        return f"generation {self._pinned.generation.digest}"

    def ready(self) -> None:
        """Return if its place answers. Raises: StoreError."""
        self._pins.generations.generation(self._pinned.generation.number)

    def close(self) -> None:
        self._pins.close()


@dataclass(frozen=True, slots=True)
class Served:
    """All that one server is handed, over one place. Closing the lookups closes that."""

    lookups: StoreServices | PinnedServices
    generations: GenerationServices
    records: StoreRecordServices | None = None  # an exported generation has none, and no jobs
    jobs: QueuedJobs | None = None
