"""SqlStore: the port over SQLite or PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, Connection, Select, Table, and_, bindparam, exists, func, select, true

from ..spaces.errors import StoreError
from ..spaces.targets import Target
from .database import BUSY_TIMEOUT_S, Database
from .paging import MOST_PER_PAGE, Page, checked_limit, cursor_after, row_id_of
from .records import Incident, Record, RecordKey
from .rules import at_the_door, clean_name, clean_text
from .service_tables import spaces, templates
from .tables import (
    OK,
    incidents,
    key_columns,
    problem_row,
    problems,
    record_from_row,
    record_row,
    records,
    space_row,
    target_row,
    targets,
    template_row,
)
from .unchanged import Unchanged
from .wire import stamp_to_text


class SqlStore:
    """Records in a database; it owns the database it is given."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._entered: set[str] = set()  # digests of templates and spaces that have their rows
        self._bests: Unchanged[Record | None] = Unchanged(database.state)

    @classmethod
    def open(cls, url: str, busy_timeout_s: float = BUSY_TIMEOUT_S) -> SqlStore:
        """The store a SQLAlchemy URL names, made or migrated where it has to be. Raises: StoreError."""
        return cls(Database.open(url, busy_timeout_s))

    def add(self, record: Record) -> None:
        self.add_many([record])

    def add_many(self, new: Sequence[Record], /) -> int:
        kept = [at_the_door(record) for record in new]
        rows = [record_row(record) for record in kept]
        insert = self._database.insert_new(records).execution_options(preserve_rowcount=True)
        with self._database.transaction() as connection:
            self._insert_keys(connection, [record.key for record in kept])
            self._insert_provenance(connection, kept)
            added = sum(connection.execute(insert, row).rowcount for row in rows)
        self._entered |= {digest for record in kept for digest in (record.template_digest, record.space_digest)}
        return added

    def add_incident(self, key: RecordKey, incident: Incident) -> None:
        row = {"kind": clean_name(incident.kind), "reason": clean_text(incident.reason)}
        with self._database.transaction() as connection:
            self._insert_keys(connection, [key])
            connection.execute(
                incidents.insert(), key_columns(key) | row | {"recorded_at": stamp_to_text(datetime.now(UTC))}
            )

    def best(self, key: RecordKey, template_digests: Sequence[str] = ()) -> Record | None:
        if self._database.dialect != "sqlite":  # PostgreSQL takes as long to say its state as to answer
            return self._best(key, template_digests)
        return self._bests.get((key.digest, tuple(template_digests)), lambda: self._best(key, template_digests))

    def _best(self, key: RecordKey, template_digests: Sequence[str]) -> Record | None:
        said = {"problem": key.problem.digest, "key": key.digest, "templates": list(template_digests)}
        found = self._read(_BEST_OF_TEMPLATES if template_digests else _BEST, key, said)
        return found[0] if found else None

    def records(self, key: RecordKey) -> list[Record]:
        of_key = records.c.key_digest == key.digest
        return self._read(select(records).where(of_key).order_by(records.c.recorded_at, records.c.id), key)

    def candidates(self, op: str, problem_digest: str | None = None) -> list[Record]:
        query = _CANDIDATES_OF_OP if problem_digest is None else _CANDIDATES
        return self._read(query, said={"op": op, "problem": problem_digest})

    def page(
        self,
        op: str | None = None,
        problem_digest: str | None = None,
        target_digest: str | None = None,
        cursor: str | None = None,
        limit: int = MOST_PER_PAGE,
    ) -> Page:
        wanted: dict[ColumnElement[str], str | None] = {
            problems.c.op: op,
            records.c.problem_digest: problem_digest,
            records.c.target_digest: target_digest,
        }
        query = (
            _with_keys()
            .where(records.c.id > row_id_of(cursor))
            .where(*(column == value for column, value in wanted.items() if value is not None))
            .order_by(records.c.id)
            .limit(checked_limit(limit) + 1)
        )
        rows = self._rows(query)
        more = cursor_after(rows[limit - 1]["id"]) if len(rows) > limit else None
        return Page(tuple(self._records_of(rows[:limit])), more)

    def targets(self) -> list[Target]:
        used = exists().where(records.c.target_digest == targets.c.digest)  # one look in the index for each target
        query = select(targets.c.json).where(used).order_by(targets.c.name, targets.c.digest)
        with self._database.reading() as connection:
            return [Target.from_dict(json.loads(text)) for text in connection.execute(query).scalars()]

    def add_target(self, target: Target) -> None:
        with self._database.transaction() as connection:
            self._insert_rows(connection, targets, [target_row(target)])

    def target(self, digest: str) -> Target | None:
        with self._database.reading() as connection:
            text = connection.execute(select(targets.c.json).where(targets.c.digest == digest)).scalar()
        return None if text is None else Target.from_dict(json.loads(text))

    def state(self) -> str:
        return self._database.state()

    def close(self) -> None:
        self._database.close()

    def _read(
        self, query: Select[Any], key: RecordKey | None = None, said: Mapping[str, Any] | None = None
    ) -> list[Record]:
        return self._records_of(self._rows(query, said), key)

    def _rows(self, query: Select[Any], said: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        with self._database.reading() as connection:
            return cast("list[dict[str, Any]]", connection.execute(query, said).mappings().all())

    def _records_of(self, rows: Sequence[dict[str, Any]], key: RecordKey | None = None) -> list[Record]:
        return _records_of(rows, self._database.where, key)

    def _insert_keys(self, connection: Connection, keys: Sequence[RecordKey]) -> None:
        # Every writer takes the tables, and the rows of each, in this order: no two wait for each other in a circle.
        self._insert_rows(connection, problems, map(problem_row, keys))
        self._insert_rows(connection, targets, (target_row(key.target) for key in keys))

    def _insert_provenance(self, connection: Connection, kept: Sequence[Record]) -> None:
        """The templates and spaces they were made with, where this process has not entered them yet."""
        new = [record for record in kept if not {record.template_digest, record.space_digest} <= self._entered]
        self._insert_rows(connection, templates, map(template_row, new))
        self._insert_rows(connection, spaces, map(space_row, new))

    def _insert_rows(self, connection: Connection, table: Table, rows: Iterable[Mapping[str, str]]) -> None:
        """Those that are not there yet, each once, by digest."""
        by_digest: dict[str, Mapping[str, str]] = {}
        for row in rows:
            by_digest.setdefault(row["digest"], row)
        for _, row in sorted(by_digest.items()):
            connection.execute(self._database.insert_new(table), row)


def every_candidate(connection: Connection, where: str) -> list[Record]:
    """The best record of every key and template of all ops, in one statement: of one state of the database."""
    query = _candidates(true())
    return _records_of(cast("list[dict[str, Any]]", connection.execute(query).mappings().all()), where)


def _records_of(rows: Sequence[dict[str, Any]], where: str, key: RecordKey | None = None) -> list[Record]:
    try:
        return [record_from_row(row, key) for row in rows]
    except StoreError as error:
        raise StoreError(f"{where}: {error}") from None


def _with_keys() -> Select[Any]:
    """Records with the JSON of their problem and target."""
    return (
        select(records, problems.c.json.label("problem_json"), targets.c.json.label("target_json"))
        .join(problems, problems.c.digest == records.c.problem_digest)
        .join(targets, targets.c.digest == records.c.target_digest)
    )


def _winner_ids(condition: ColumnElement[bool], *, by_template: bool = False) -> Select[Any]:
    """Ids of the best record of each key (and template) among some records: the rule of `rules.winner`, in SQL."""
    r = records.c
    config = (r.key_digest, r.template_digest, r.config_digest)
    newest_first = (r.recorded_at.desc(), r.id.desc())
    aged = (
        select(
            r.id,
            *config,
            r.phase,
            r.outcome,
            r.ranked_us,
            func.first_value(r.outcome).over(partition_by=config, order_by=newest_first).label("last_outcome"),
            func.row_number().over(partition_by=(*config, r.phase), order_by=newest_first).label("age_in_phase"),
        )
        .where(condition)
        .subquery()
    )
    a = aged.c
    group = (a.key_digest, a.template_digest) if by_template else (a.key_digest,)
    # "playoff" sorts before "search".
    best_first = (a.phase, a.ranked_us, a.config_digest, a.template_digest)
    ranked = (
        select(a.id, func.row_number().over(partition_by=group, order_by=best_first).label("place"))
        .where(a.age_in_phase == 1, a.ranked_us.is_not(None), a.last_outcome == OK)
        .subquery()
    )
    return select(ranked.c.id).where(ranked.c.place == 1)


_OF_KEY = and_(records.c.problem_digest == bindparam("problem"), records.c.key_digest == bindparam("key"))
_OF_TEMPLATES = and_(_OF_KEY, records.c.template_digest.in_(bindparam("templates", expanding=True)))
_BEST = select(records).where(records.c.id.in_(_winner_ids(_OF_KEY)))  # made once: that takes longer than reading
_BEST_OF_TEMPLATES = select(records).where(records.c.id.in_(_winner_ids(_OF_TEMPLATES)))


def _candidates(condition: ColumnElement[bool]) -> Select[Any]:
    """The best record of every key and template among some records, oldest first."""
    winners = records.c.id.in_(_winner_ids(condition, by_template=True))
    return _with_keys().where(winners).order_by(records.c.recorded_at, records.c.key_digest, records.c.template_digest)


_OF_OP = records.c.problem_digest.in_(select(problems.c.digest).where(problems.c.op == bindparam("op")))
_CANDIDATES_OF_OP = _candidates(_OF_OP)
_CANDIDATES = _candidates(and_(_OF_OP, records.c.problem_digest == bindparam("problem")))
