"""Database: one connection's worth of what SQL stores share."""

import os
import subprocess
import sys
from contextlib import closing, suppress

import pytest
from builders import a_record
from kerntune.cache.database import Database
from kerntune.cache.sql import SqlStore
from kerntune.cache.tables import problems
from sqlalchemy import text


def the_state_changes_with_what_anyone_commits(url):
    """By the same object, by another one, and never lags."""
    with closing(Database.open(url)) as watched, closing(SqlStore.open(url)) as other:
        seen = watched.state()
        other.add(a_record())
        assert watched.state() != seen
        seen = watched.state()
        SqlStore(watched).add(a_record(minutes=1))
        assert watched.state() != seen


def test_the_state_changes_with_what_anyone_commits(tmp_path):
    """In SQLite; and with nothing else. PostgreSQL's changes with other databases of the server, too."""
    url = f"sqlite:///{tmp_path}/k.db"
    the_state_changes_with_what_anyone_commits(url)
    with closing(Database.open(url)) as watched:
        assert watched.state() == watched.state()


@pytest.mark.postgres
def test_the_state_changes_with_what_anyone_commits_in_postgresql(postgres_url):
    """And in PostgreSQL."""
    the_state_changes_with_what_anyone_commits(postgres_url)


def test_a_database_opened_twice_keeps_what_it_stores_when_another_process_leaves(tmp_path):
    """A second opening lets go of no lock of the first: the other does not take itself for the last one there."""
    url = f"sqlite:///{tmp_path}/k.db"
    come_and_go = f"from kerntune.cache.sql import SqlStore; s = SqlStore.open({url!r}); s.targets(); s.close()"
    with closing(SqlStore.open(url)) as first:
        first.add(a_record())
        with closing(SqlStore.open(url)):
            subprocess.run([sys.executable, "-c", come_and_go], check=True)
            first.add(a_record(minutes=1))
        with closing(SqlStore.open(url)) as fresh:
            assert len(fresh.page().records) == 2


def test_an_error_inside_a_transaction_undoes_all_of_it(tmp_path):
    """Half of a thought is never kept."""
    with closing(Database.open(f"sqlite:///{tmp_path}/k.db")) as database:
        with suppress(ZeroDivisionError), database.transaction() as connection:
            connection.execute(problems.insert(), {"digest": "0" * 32, "op": "gemm", "json": "{}"})
            raise ZeroDivisionError
        with database.reading() as connection:
            assert connection.scalar(text("SELECT count(*) FROM problems")) == 0


def test_a_forked_child_sees_states_by_a_connection_of_its_own(tmp_path):
    """What the parent keeps open is not used across a fork."""
    with closing(Database.open(f"sqlite:///{tmp_path}/k.db")) as database:
        seen = database.state()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                SqlStore(database).add(a_record())
                first = database.state()
                code = 0 if first == database.state() else 2
            finally:
                os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
        assert database.state() != seen


def test_templates_and_spaces_of_records_are_entered_once(tmp_path):
    """Each digest with the op and the name it was first seen under."""
    with closing(Database.open(f"sqlite:///{tmp_path}/k.db")) as database:
        record = a_record()
        for minutes in range(3):
            SqlStore(database).add(a_record(minutes=minutes))
        with database.reading() as connection:
            assert connection.execute(text("SELECT digest, op, name FROM templates")).all() == [
                (record.template_digest, "gemm", record.template)
            ]
            assert connection.execute(text("SELECT digest, template_digest FROM spaces")).all() == [
                (record.space_digest, record.template_digest)
            ]
