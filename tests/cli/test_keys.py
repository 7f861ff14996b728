"""`tune keys` as a person runs it."""

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing

from kerntune.cache.keys import id_of, sha256_of

TUNE = [sys.executable, "-m", "kerntune.tuner.cli", "keys"]


def keys(*arguments):
    return subprocess.run([*TUNE, *arguments], capture_output=True, text=True, timeout=120, check=False)


def test_a_key_is_shown_once_on_standard_output_and_kept_as_its_digest():
    """So `KEY=$(tune keys create …)` works, and a stolen database opens nothing."""
    made = keys("create", "ci", "--scope", "read", "--scope", "submit", "--expires", "90d")
    text = made.stdout.strip()
    assert id_of(text)
    assert text not in made.stderr
    with closing(sqlite3.connect(os.environ["KERNTUNE_DB"].removeprefix("sqlite:///"))) as connection:
        rows = connection.execute("SELECT * FROM api_keys").fetchall()
    assert sha256_of(text) in rows[0]
    assert text.rpartition("_")[2] not in str(rows)
    listed = keys("list")
    assert id_of(text) in listed.stdout
    assert "read,submit" in listed.stdout


def test_keys_are_made_rotated_revoked_and_listed_as_json():
    """One object each."""
    made = json.loads(keys("create", "ci", "--scope", "admin", "--json").stdout)
    new = json.loads(keys("rotate", made["id"], "--grace", "1h", "--json").stdout)
    gone = json.loads(keys("revoke", new["id"], "--json").stdout)
    listed = json.loads(keys("list", "--json").stdout)["keys"]
    assert [key["id"] for key in listed] == [made["id"], new["id"]]
    assert listed[1] == gone
    assert listed[0]["expires_at"] is not None
    assert made["key"] != new["key"]
    assert "key" not in gone


def test_words_that_are_off_are_exit_2():
    """With what there is."""
    scope = keys("create", "ci", "--scope", "write")
    unknown = keys("revoke", "nobody")
    assert (scope.returncode, unknown.returncode) == (2, 2)
    assert "read, record, submit" in scope.stderr
    assert "tune keys list" in unknown.stderr
