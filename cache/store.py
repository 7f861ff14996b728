"""Store: the port to what is remembered. Facts only: it ranks nothing and computes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ..spaces.targets import Target
from .paging import MOST_PER_PAGE, Page
from .records import Incident, Record, RecordKey


class Store(Protocol):
    """Records, kept for good.

    Safe to call from several threads and processes. A record that `add` returned from is durable: it survives a kill
    of this process. Every method raises StoreError where the database cannot be reached, and then changed nothing.
    """

    def add(self, record: Record) -> None:
        """Keep a record. Adding the same record twice keeps it once."""

    def add_many(self, records: Sequence[Record], /) -> int:
        """Keep records in this order; how many of them were not kept before.

        In one step where there is one database; over HTTP some may be kept when it raises. Add them again: what is
        kept is known, and no record becomes two.
        """

    def add_incident(self, key: RecordKey, incident: Incident) -> None:
        """Keep a trouble of the machine, beside the records it may explain."""

    def best(self, key: RecordKey, template_digests: Sequence[str] = ()) -> Record | None:
        """The fastest record of exactly this key, by the rule of `winner` (cache/rules.py): a playoff beats any search.

        `template_digests` narrows it to these templates; empty means any.
        """

    def records(self, key: RecordKey) -> list[Record]:
        """Every record of exactly this key, oldest first."""

    def candidates(self, op: str, problem_digest: str | None = None) -> list[Record]:
        """The best record of every key and template of an op (of one problem, where named), oldest first."""

    def page(
        self,
        op: str | None = None,
        problem_digest: str | None = None,
        target_digest: str | None = None,
        cursor: str | None = None,
        limit: int = MOST_PER_PAGE,
    ) -> Page:
        """At most `limit` records of an op, a problem, a target (None: of any), in order of arrival.

        Go on with the cursor `next` of the page: a full reading has every record once that was there when it began,
        and perhaps some that were added since. Raises: UsageError for a cursor no page gave, or a limit out of bounds.
        """

    def targets(self) -> list[Target]:
        """Every target a record is kept for, by name, then digest."""

    def add_target(self, target: Target) -> None:
        """Keep a target, so that it can be named by its digest before any record is of it. Idempotent."""

    def target(self, digest: str) -> Target | None:
        """The target of this digest, if a record is kept for it or it was added; else None."""

    def close(self) -> None:
        """Let go of connections. Idempotent."""
