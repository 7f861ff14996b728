"""`tune gc` as a person uses it."""

import json
import subprocess
import sys

import pytest
from builders import a_record
from kerntune.cache.sql import SqlStore


def gc(*words, db):
    command = [sys.executable, "-m", "kerntune.tuner.cli", "gc", *words, "--db", f"sqlite:///{db}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def db(tmp_path):
    """Thirty configs of one problem, a winner of another, all of them years old."""
    store = SqlStore.open(f"sqlite:///{tmp_path / 'known.db'}")
    long_ago = -60 * 24 * 1000
    store.add_many([a_record(us=10.0 + n, config={"X": n}, minutes=long_ago) for n in range(30)])
    store.add(a_record(config={"LAST": 1}, us=99.0))
    store.close()
    return tmp_path / "known.db"


def test_what_would_go_is_said_and_then_goes(db):
    """Rows and bytes; with --vacuum the file's too; the second time there is nothing left."""
    planned = json.loads(gc("--dry-run", "--json", db=db).stdout)
    assert (planned["records"]["rows"], planned["dry_run"]) == (20, True)
    done = gc("--vacuum", db=db)
    assert done.returncode == 0, done.stderr
    assert "records   20 removed" in done.stdout
    assert "vacuum" in done.stdout
    assert json.loads(gc("--json", db=db).stdout)["records"] == {"rows": 0, "size_bytes": 0}


@pytest.mark.parametrize(("words", "said"), [(["--older-than", "soon"], "12h, 90d"), (["--keep-best", "0"], "winner")])
def test_words_that_are_off_say_so(words, said, db):
    """Exit 2, and nothing is removed."""
    done = gc(*words, db=db)
    assert (done.returncode, said in done.stderr) == (2, True)
