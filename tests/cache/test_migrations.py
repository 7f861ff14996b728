"""The migrations make the schema that tables.py describes."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from builders import a_key, a_record
from kerntune.cache import migrations
from kerntune.cache.migrations import env
from kerntune.cache.records import Failure
from kerntune.cache.schema import HEAD, VERSION_TABLE, metadata
from kerntune.cache.sql import SqlStore
from sqlalchemy import create_engine, text

# as revision 0001 keeps records: these columns did not exist, and the ranking read medians
NEW_IN_0003 = (
    *("spaces", "templates", "studies", "job_events", "jobs", "misses", "generation_answers", "generations"),
    "api_keys",
)
BACK_TO_0001 = [
    *(f"DROP TABLE {name}" for name in NEW_IN_0003),
    "DROP INDEX ix_records_target",
    "DROP INDEX ix_records_ranking",
    *(f"ALTER TABLE records DROP COLUMN {name}" for name in ("details", "ranked_us", "verdict", "baseline_speedup")),
    "CREATE INDEX ix_records_ranking ON records (problem_digest, key_digest, template_digest, config_digest, "
    "recorded_at, outcome, phase, median_us)",
    f"UPDATE {VERSION_TABLE} SET version_num = '0001'",
]

FOLDER = Path(migrations.__file__).parent


@pytest.fixture
def migrated(tmp_path):
    """A connection to a fresh SQLite file, made by the migrations."""
    url = f"sqlite:///{tmp_path}/k.db"
    SqlStore.open(url).close()
    engine = create_engine(url)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def differences(connection):
    """What alembic would write into a new migration: types, defaults, indexes, keys and all."""
    options = {"version_table": VERSION_TABLE, "compare_type": True, "compare_server_default": True}
    return compare_metadata(MigrationContext.configure(connection, opts=options), metadata)


def test_the_migrated_schema_is_that_of_the_tables(migrated):
    """Whoever changes tables.py writes a migration."""
    assert differences(migrated) == []


def test_a_missing_index_would_be_seen(migrated):
    """The comparison above is not blind."""
    migrated.execute(text("DROP INDEX ix_records_ranking"))
    assert [change[0] for change in differences(migrated)] == ["add_index"]


@pytest.mark.postgres
def test_the_migrated_schema_is_that_of_the_tables_in_postgresql(postgres_url):
    """One set of migrations serves both databases."""
    SqlStore.open(postgres_url).close()
    engine = create_engine(postgres_url)
    with engine.connect() as connection:
        assert differences(connection) == []
    engine.dispose()


def an_old_database_keeps_its_rows(url):
    """Records written under 0001 are read, ranked and recognised after the upgrade."""
    slow, fast = a_record(us=(3.0, 4.0)), a_record(config={"BLOCK_M": 16}, us=2.0, phase="playoff", minutes=1)
    failed = a_record(config={"BLOCK_M": 8}, failure=Failure("compile", "x"))
    with closing(SqlStore.open(url)) as store:
        for record in (slow, fast, failed):
            store.add(record)
    engine = create_engine(url)
    with engine.begin() as connection:
        for statement in BACK_TO_0001:
            connection.execute(text(statement))
    with closing(SqlStore.open(url)) as store:
        assert store.best(a_key()) == fast
        store.add(slow)  # the same record, said again: its digest is what it was
        assert len(store.records(a_key())) == 3
    with engine.connect() as connection:
        assert differences(connection) == []
    engine.dispose()


def test_a_database_of_the_first_revision_is_upgraded_with_its_rows(tmp_path):
    """In SQLite."""
    an_old_database_keeps_its_rows(f"sqlite:///{tmp_path}/k.db")


@pytest.mark.postgres
def test_a_database_of_the_first_revision_is_upgraded_with_its_rows_in_postgresql(postgres_url):
    """And in PostgreSQL."""
    an_old_database_keeps_its_rows(postgres_url)


def test_head_is_the_newest_migration():
    """Opening compares with HEAD alone, so HEAD must be true."""
    assert ScriptDirectory(FOLDER).get_current_head() == HEAD


def test_migrations_form_one_line_whose_names_sort():
    """A database is from a newer kerntune if its revision sorts behind HEAD."""
    revisions = [script.revision for script in ScriptDirectory(FOLDER).walk_revisions()][::-1]
    assert revisions == sorted(revisions)
    assert {len(revision) for revision in revisions} == {4}
    assert [path.name[:5] for path in sorted(FOLDER.glob("versions/v*.py"))] == [f"v{name}" for name in revisions]


def test_importing_the_environment_runs_no_migration():
    """Only alembic, which loads the file by its path, makes it act."""
    assert callable(env.run)
