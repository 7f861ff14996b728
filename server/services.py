"""Services: the port through which the server asks the floors below. It is handed in, so no store is named here."""

from __future__ import annotations

from typing import Protocol

from ..cache.records import Answer, Match
from ..spaces.targets import Target
from ..tuner.lookup import Query


class Services(Protocol):
    """What the routes need. Safe to call from several threads; each method but `close` raises StoreError."""

    def targets(self) -> list[Target]:
        """Every target something is known about, in a fixed order."""

    def lookup(self, query: Query, min_match: Match) -> Answer | None:
        """The best answer known, no farther than `min_match`. Creates no work."""

    def explain_miss(self, query: Query) -> list[str]:
        """What the nearest record differs in, field by field; empty where nothing is near."""

    def state(self) -> str | None:
        """Changes with whatever anyone commits to what the answers are made of; None: not known now. Microseconds."""

    def ready(self) -> None:
        """Return if lookups can be answered now."""

    def close(self) -> None:
        """Let go of connections; called once, when the server stops. Idempotent."""
