"""SqlKeys: the port over SQLite or PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, or_, select, update

from ..spaces.errors import StoreError
from .database import Database
from .keys import SCOPES, ApiKey, at_the_door, ending, revoked, unknown
from .service_tables import api_keys
from .wire import stamp_from_text, stamp_to_text

_STAMPS = ("created_at", "expires_at", "revoked_at", "last_used_at")


class SqlKeys:
    """Keys as rows, in a database that may hold more; who gave it closes it, or `close` does."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    def open(cls, url: str) -> SqlKeys:
        """The keys in the database a SQLAlchemy URL names. Raises: StoreError."""
        return cls(Database.open(url))

    def add(self, key: ApiKey) -> None:
        row = _row(at_the_door(key))
        with self._database.transaction() as connection:
            connection.execute(api_keys.insert(), row)

    def all(self) -> list[ApiKey]:
        query = select(api_keys).order_by(api_keys.c.created_at, api_keys.c.id)
        with self._database.reading() as connection:
            rows = connection.execute(query).mappings().all()
        return [self._key(row) for row in rows]

    def revoke(self, key_id: str, at: datetime) -> ApiKey:
        with self._database.transaction() as connection:
            key = revoked(self._locked(connection, key_id), at)
            _write(connection, key)
            return key

    def rotate(self, key_id: str, new: ApiKey, until: datetime) -> ApiKey:
        kept = at_the_door(new)
        with self._database.transaction() as connection:
            old = ending(self._locked(connection, key_id), kept.created_at, until)
            _write(connection, old)
            connection.execute(api_keys.insert(), _row(kept))
            return old

    def used(self, key_id: str, at: datetime) -> None:
        stamp = stamp_to_text(at)
        earlier = or_(api_keys.c.last_used_at.is_(None), api_keys.c.last_used_at < stamp)
        with self._database.transaction() as connection:
            connection.execute(update(api_keys).where(api_keys.c.id == key_id, earlier).values(last_used_at=stamp))

    def close(self) -> None:
        self._database.close()

    def _locked(self, connection: Connection, key_id: str) -> ApiKey:
        row = connection.execute(select(api_keys).where(api_keys.c.id == key_id).with_for_update()).mappings().first()
        if row is None:
            raise unknown(key_id, connection.scalars(select(api_keys.c.id)))
        return self._key(row)

    def _key(self, row: Mapping[Any, Any]) -> ApiKey:
        try:
            scopes = json.loads(row["scopes"])
            if not isinstance(scopes, list):
                raise TypeError("scopes are no list")
            stamps = {name: None if row[name] is None else stamp_from_text(row[name]) for name in _STAMPS}
            return ApiKey(
                id=row["id"],
                name=row["name"],
                sha256=row["sha256"],
                scopes=tuple(scope for scope in SCOPES if scope in scopes),
                **stamps,  # type: ignore[arg-type]  # the column of created_at is never null
            )
        except (ValueError, TypeError) as error:
            raise StoreError(
                f"{self._database.where}: row {row['id']} of table api_keys is damaged: "
                f"{type(error).__name__} {error}. Remove it: DELETE FROM api_keys WHERE id = '{row['id']}'."
            ) from None


def _write(connection: Connection, key: ApiKey) -> None:
    connection.execute(update(api_keys).where(api_keys.c.id == key.id).values(_row(key)))


def _row(key: ApiKey) -> dict[str, Any]:
    stamps = {name: None if (stamp := getattr(key, name)) is None else stamp_to_text(stamp) for name in _STAMPS}
    return {"id": key.id, "name": key.name, "sha256": key.sha256, "scopes": json.dumps(list(key.scopes)), **stamps}
