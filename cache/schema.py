"""What all tables share: the metadata with its names, and the types of columns."""

from __future__ import annotations

from sqlalchemy import BigInteger, Integer, MetaData, String

from ..spaces.canonical import DIGEST_CHARS

HEAD = "0004"
"""Revision of the schema: the newest file of `migrations/versions/`. Revisions sort as text."""

VERSION_TABLE = "kerntune_version"
"""Holds the revision a database is at; a database with tables but without this one is somebody else's."""

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
    }
)

Digest = String(DIGEST_CHARS)
Stamp = String(32)  # 2026-11-22T15:33:00.123456+00:00: UTC, so text sorts as time does
RowId = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by itself under INTEGER only
