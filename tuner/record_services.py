"""Records and targets over HTTP: what the routes ask of this floor, answered from a store."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..cache import checked
from ..cache.checked import is_digest
from ..cache.records import Record
from ..cache.refusals import UnknownTarget, printable
from ..cache.store import Store
from ..cache.wire_records import incident_from_json, record_from_json, record_to_json
from ..cache.wire_targets import target_checked
from ..spaces.errors import UsageError
from ..spaces.targets import Target
from .record_checks import RecordChecks

MOST_REASON_CHARS = 500

PAGE_BYTES = 4 * 2**20
"""A page of records ends soon after so many: it is held in memory on both sides."""

READ_AT_ONCE = 20
"""Records of a page that are read from the store in one step; one may have MiB of samples, and has 2 KiB as a rule."""


@dataclass(frozen=True, slots=True)
class Refused:
    """An upload that is not kept, by its place, and why."""

    index: int
    reason: str


@dataclass(frozen=True, slots=True)
class Uploaded:
    """What became of an upload."""

    added: int
    known: int  # kept before, or twice in this upload
    refused: tuple[Refused, ...]


@dataclass(frozen=True, slots=True)
class WrittenPage:
    """Records as JSON objects, each already text, and the cursor of the next page."""

    records: tuple[str, ...]
    next: str | None

    def as_json(self) -> str:
        """The page as one JSON object."""
        return f'{{"records": [{", ".join(self.records)}], "next": {json.dumps(self.next)}}}'


class StoreRecordServices:
    """Records and targets of one store. As safe to call from several threads as that; its owner closes it."""

    def __init__(self, store: Store, checks: RecordChecks | None = None) -> None:
        self._store = store
        self._checks = checks or RecordChecks()

    def add_records(self, uploads: Sequence[Any]) -> Uploaded:
        """Keep those that are records and fit the catalogue, whatever the others are. Raises: StoreError."""
        records: list[Record] = []
        refused: list[Refused] = []
        for index, upload in enumerate(uploads):
            try:
                records.append(self._checked(upload))
            except UsageError as error:
                refused.append(Refused(index, printable(str(error), MOST_REASON_CHARS)))
        added = self._store.add_many(records) if records else 0
        return Uploaded(added, len(records) - added, tuple(refused))

    def add_incident(self, upload: Any) -> None:
        """Keep a trouble of a machine. Raises: UsageError, StoreError."""
        key, incident = incident_from_json(upload)
        self._accept(self._checks.key(key))
        self._store.add_incident(key, incident)

    def record_page(
        self, op: str | None, problem: str | None, target: str | None, cursor: str | None, limit: int
    ) -> WrittenPage:
        """At most `limit` records in order of arrival; fewer where they are large. Raises: UsageError, StoreError."""
        _check_words(op, problem, target)
        written: list[str] = []
        size = 0
        while True:
            page = self._store.page(op, problem, target, cursor, min(READ_AT_ONCE, limit - len(written)))
            for record in page.records:
                written.append(json.dumps(record_to_json(record), allow_nan=False))
                size += len(written[-1])
            cursor = page.next
            if cursor is None or len(written) >= limit or size >= PAGE_BYTES:
                return WrittenPage(tuple(written), cursor)

    def known_targets(self) -> list[Target]:
        """Every target a record is kept for. Raises: StoreError."""
        return self._store.targets()

    def add_target(self, upload: Any) -> Target:
        """Keep a target, to be named by its digest. Raises: UsageError, StoreError."""
        target = target_checked(upload)
        self._store.add_target(target)
        return target

    def target(self, digest: str) -> Target:
        """The target of this digest. Raises: UnknownTarget, StoreError."""
        found = self._store.target(digest) if is_digest(digest) else None
        if found is None:
            said = printable(digest, 60)
            raise UnknownTarget(f'no target has the digest "{said}" here: register it by POST /v1/targets.')
        return found

    def _checked(self, upload: Any) -> Record:
        record = record_from_json(upload)
        self._accept(self._checks.record(record))
        return record

    @staticmethod
    def _accept(objection: str | None) -> None:
        if objection is not None:
            raise UsageError(objection)


def _check_words(op: str | None, problem: str | None, target: str | None) -> None:
    """Raises: UsageError for what no record can be of; databases differ in what they say to that."""
    if op is not None:
        checked.name(op, "op")
    for name, said in (("problem", problem), ("target", target)):
        if said is not None:
            checked.digest(said, name)
