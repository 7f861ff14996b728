"""SqlCounts: what a SQLite or PostgreSQL database holds, counted."""

from __future__ import annotations

from sqlalchemy import func, select

from .counts import Counts
from .database import Database
from .service_tables import jobs, misses
from .tables import records


class SqlCounts:
    """Counts in a database that others fill; who gave it closes it, or `close` does."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    def open(cls, url: str) -> SqlCounts:
        """The database a SQLAlchemy URL names. Raises: StoreError."""
        return cls(Database.open(url))

    def counts(self) -> Counts:
        """Counted now. Raises: StoreError."""
        with self._database.reading() as connection:
            kept = connection.scalar(select(func.count()).select_from(records)) or 0
            states = connection.execute(select(jobs.c.state, func.count()).group_by(jobs.c.state)).all()
            missed = connection.execute(select(func.coalesce(func.sum(misses.c.count), 0), func.count())).one()
        return Counts(int(kept), {state: int(count) for state, count in states}, int(missed[0]), int(missed[1]))

    def close(self) -> None:
        self._database.close()
