"""SqlGenerations: the port over SQLite or PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, func, select, text

from ..spaces.errors import StoreError
from .database import Database
from .generations import (
    MOST_LISTED,
    Frozen,
    FrozenAnswer,
    Generation,
    Rule,
    generation_of,
    numbered,
    unnumbered,
)
from .refusals import unknown_generation
from .service_tables import generation_answers, generations
from .sql import every_candidate
from .wire import stamp_from_text, stamp_to_text

LARGEST_NUMBER = 2**31 - 1
"""That a column takes."""


class SqlGenerations:
    """Generations in a database; who gave it closes it, or `close` does."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    def open(cls, url: str) -> SqlGenerations:
        """The generations in the database a SQLAlchemy URL names. Raises: StoreError."""
        return cls(Database.open(url))

    def freeze(self, rule: Rule, created_by: str, note: str, now: datetime) -> Frozen:
        with self._database.transaction() as connection:
            if self._database.dialect != "sqlite":  # whose transaction is the only one that writes
                connection.execute(text("LOCK TABLE generations IN EXCLUSIVE MODE"))  # others may read
            answers = unnumbered(rule(every_candidate(connection, self._database.where)))
            last = _first(connection, None)
            number = last.number + 1 if last else 1
            made = generation_of(answers, number, created_by, note, now.astimezone(UTC))
            if last and last.digest == made.digest:
                return Frozen(last, is_new=False)
            connection.execute(generations.insert(), _row(made))
            connection.execute(generation_answers.insert(), [_answer_row(numbered(a, number), number) for a in answers])
        return Frozen(made, is_new=True)

    def generations(self, before: int | None = None, limit: int = MOST_LISTED) -> list[Generation]:
        query = select(generations).order_by(generations.c.number.desc()).limit(limit)
        if before is not None:
            query = query.where(generations.c.number < min(before, LARGEST_NUMBER))
        with self._database.reading() as connection:
            return [_generation(row) for row in connection.execute(query).mappings()]

    def generation(self, number: int) -> Generation:
        with self._database.reading() as connection:
            return _known(connection, number)

    def frozen(self, number: int, problem_digest: str | None = None) -> list[FrozenAnswer]:
        a = generation_answers.c
        query = select(a.key_digest, a.problem_digest, a.op, a.json).order_by(a.key_digest)
        if problem_digest is not None:
            query = query.where(a.problem_digest == problem_digest)
        with self._database.reading() as connection:
            _known(connection, number)
            return [FrozenAnswer(*row) for row in connection.execute(query.where(a.generation == number))]

    def close(self) -> None:
        self._database.close()


def _known(connection: Connection, number: int) -> Generation:
    found = _first(connection, number) if 0 < number <= LARGEST_NUMBER else None
    if found is None:
        raise unknown_generation(number, connection.scalar(select(func.max(generations.c.number))) or 0)
    return found


def _first(connection: Connection, number: int | None) -> Generation | None:
    """The generation of this number; the newest where none is named."""
    query = select(generations).order_by(generations.c.number.desc()).limit(1)
    if number is not None:
        query = query.where(generations.c.number == number)
    row = connection.execute(query).mappings().first()
    return None if row is None else _generation(row)


def _row(generation: Generation) -> dict[str, Any]:
    return {
        "number": generation.number,
        "digest": generation.digest,
        "created_at": stamp_to_text(generation.created_at),
        "created_by": generation.created_by,
        "note": generation.note,
        "answers": generation.answers,
    }


def _generation(row: Mapping[Any, Any]) -> Generation:
    try:
        stamp = stamp_from_text(row["created_at"])
    except (ValueError, TypeError) as error:
        raise StoreError(
            f"row {row['number']} of table generations is damaged: {type(error).__name__} {error}. "
            "Put a copy of the database back."
        ) from None
    return Generation(row["number"], row["digest"], stamp, row["created_by"], row["note"], row["answers"])


def _answer_row(frozen: FrozenAnswer, number: int) -> dict[str, Any]:
    said = {"key_digest": frozen.key_digest, "problem_digest": frozen.problem_digest, "op": frozen.op}
    return {"generation": number, **said, "json": frozen.text}
