"""Services: the port through which the server asks the floors below. It is handed in, so no store is named here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ..cache.generations import MOST_LISTED, Frozen, Generation
from ..cache.jobs import Claim, Demand, Happening, Job, JobEvent, JobState, Outcome, Submitted
from ..cache.records import Answer, Match
from ..spaces.targets import Target
from ..tuner.generation_services import Diff
from ..tuner.job_words import Wish
from ..tuner.lookup import Query
from ..tuner.pinned import Pinned
from ..tuner.record_services import Uploaded, WrittenPage


class Services(Protocol):
    """What the routes need. Safe to call from several threads; each method but `close` raises StoreError."""

    def targets(self) -> list[Target]:
        """Every target something is known about, in a fixed order."""

    def lookup(self, query: Query, min_match: Match) -> Answer | None:
        """The best answer known, no farther than `min_match`. Creates no work."""

    def explain_miss(self, query: Query) -> list[str]:
        """What the nearest record differs in, field by field; empty where nothing is near."""

    def pinned(self, number: int | None) -> Pinned | None:
        """Lookups in the generation of this number, or in the one the server is pinned to; None where neither is.

        Raises: UnknownGeneration.
        """

    def state(self) -> str | None:
        """Changes with whatever anyone commits to what the answers are made of; None: not known now. Microseconds."""

    def ready(self) -> None:
        """Return if lookups can be answered now."""

    def close(self) -> None:
        """Let go of connections; called once, when the server stops. Idempotent."""


class GenerationServices(Protocol):
    """What the routes of generations need. Safe to call from several threads; each method raises StoreError."""

    def generations(self, before: int | None = None, limit: int = MOST_LISTED) -> list[Generation]:
        """At most `limit` with a smaller number than `before`, the newest first. Raises: UsageError."""

    def generation(self, number: int) -> Generation:
        """The one of this number. Raises: UnknownGeneration."""

    def freeze(self, note: str, by: str) -> Frozen:
        """The winners as they are now. Raises: NoAnswer, UsageError."""

    def diff(self, before: int, after: int) -> Diff:
        """What became of the answers of one in another. Raises: UnknownGeneration."""


class RecordServices(Protocol):
    """What the routes of records and targets need. Safe to call from several threads; each method raises StoreError."""

    def add_records(self, uploads: Sequence[Any]) -> Uploaded:
        """Keep those of the JSON objects that are records and fit the catalogue; say why for each of the others."""

    def add_incident(self, upload: Any) -> None:
        """Keep a trouble of a machine, from its JSON object. Raises: UsageError."""

    def record_page(
        self, op: str | None, problem: str | None, target: str | None, cursor: str | None, limit: int
    ) -> WrittenPage:
        """At most `limit` records in order of arrival. Raises: UsageError for a cursor that no page gave."""

    def known_targets(self) -> list[Target]:
        """Every target a record is kept for, in a fixed order."""

    def add_target(self, upload: Any) -> Target:
        """Keep a target, from its JSON object. Raises: UsageError."""

    def target(self, digest: str) -> Target:
        """The target of this digest. Raises: UnknownTarget."""


class JobServices(Protocol):
    """What the routes of jobs need. Safe to call from several threads; each method but `note_miss` and `close` raises
    StoreError, those with a `job_id` UnknownJob, and those with a token LeaseLost where that is not the newest lease's.
    """

    def targets(self) -> list[Target]:
        """Every target something is known about, in a fixed order."""

    def target(self, digest: str) -> Target | None:
        """A target that is known or was registered."""

    def submit(self, query: Query, wish: Wish, priority: int = 0, asked_by: str = "") -> Submitted:
        """The active job of the query's key, made where there is none.

        Raises: UsageError for words that no worker would take, NoFeasibleConfig where no template can compute it.
        """

    def known_meanwhile(self, query: Query) -> Answer | None:
        """The best answer there is while the job waits, even one of another shape."""

    def missed(self, queries: Sequence[Query], wish: Wish | None = None, asked_by: str = "") -> list[Job]:
        """Count the misses, and give the job of each. Raises: as `submit`; then no job is made for the rest."""

    def note_miss(self, query: Query) -> None:
        """Count a query that had no answer. Waits for nothing and raises nothing."""

    def top_misses(self, limit: int) -> list[Demand]:
        """What is missed at the highest cost, dearest first."""

    def claim(self, worker: str, target: Target, backends: Sequence[str], lease_s: float) -> Claim | None:
        """A job for this worker, whose target is known from now on; None where there is none."""

    def heartbeat(self, job_id: int, token: int, lease_s: float) -> bool:
        """Prolong a lease; True: stop, the job was cancelled."""

    def add_events(self, job_id: int, token: int, happenings: Sequence[Happening]) -> Job:
        """Keep what happened."""

    def finish(
        self, job_id: int, token: int, outcome: Outcome, error: str | None, result: Mapping[str, Any] | None
    ) -> Job:
        """End a lease; the same word said again changes nothing."""

    def cancel(self, job_id: int) -> Job:
        """End an active job; one that has ended stays as it is."""

    def get(self, job_id: int) -> Job:
        """The job as it is now."""

    def page(self, state: JobState | None, before: int | None, limit: int) -> list[Job]:
        """Jobs with ids below `before`, newest first."""

    def happened(self, job_id: int, after: int) -> tuple[list[JobEvent], bool]:
        """Some of what happened since event `after`, in order; and whether nothing more will."""

    def close(self) -> None:
        """Write down the misses that are counted; called before the store is closed. Idempotent."""
