"""Services: the port through which the server asks the floors below. It is handed in, so no store is named here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from ..cache.generations import MOST_LISTED, Frozen, Generation
from ..cache.records import Answer, Match
from ..spaces.targets import Target
from ..tuner.generation_services import Diff
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
