"""What the server asks of this floor, answered from a store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..cache.records import Answer, Match
from ..cache.store import Store
from ..spaces.errors import StoreError
from ..spaces.targets import Target
from . import answering
from .job_services import QueuedJobs
from .lookup import Query
from .record_services import StoreRecordServices


class StoreServices:
    """Lookups in one store. As safe to call from several threads as the store is; it owns the store it is given."""

    def __init__(self, store: Store, state: Callable[[], str | None] = lambda: None) -> None:
        self._store = store
        self._state = state

    def targets(self) -> list[Target]:
        """Every target a record is known for, by name. Raises: StoreError."""
        return self._store.targets()

    def lookup(self, query: Query, min_match: Match = "stale") -> Answer | None:
        """The best answer known, no farther than `min_match`. Raises: StoreError."""
        return answering.answer(self._store, query, min_match)

    def explain_miss(self, query: Query) -> list[str]:
        """What the nearest record differs in: of the problem itself, else of the whole op. Raises: StoreError."""
        return answering.explain_miss(self._store, query)

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
        self._store.close()


@dataclass(frozen=True, slots=True)
class Served:
    """All that one server is handed, over one database. Closing the lookups closes that."""

    lookups: StoreServices
    records: StoreRecordServices
    jobs: QueuedJobs
