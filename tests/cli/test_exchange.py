"""`tune export` and `tune import` as a person runs them."""

import gzip
import json
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from asking import a_gemm_record
from kerntune.cache.sql import SqlStore

RECORDS = [a_gemm_record(us=12.5), a_gemm_record("cpu", us=99.0), a_gemm_record(epilogue="bias", us=13.0)]


def tune(*words, db, **options):
    environ = {**os.environ, "KERNTUNE_DB": f"sqlite:///{db}"}
    command = [sys.executable, "-m", "kerntune.tuner.cli", *map(str, words)]
    return subprocess.run(command, capture_output=True, timeout=60, check=False, env=environ, **options)


@pytest.fixture
def db(tmp_path):
    """Three records."""
    with closing(SqlStore.open(f"sqlite:///{tmp_path}/full.db")) as store:
        store.add_many(RECORDS)
    return tmp_path / "full.db"


@pytest.mark.parametrize("name", ["facts.jsonl", "facts.jsonl.gz"])
def test_a_database_moves_through_a_file(db, tmp_path, name):
    """Out, in, and out again: the same bytes; in once more: nothing new."""
    first, again, new = tmp_path / name, tmp_path / f"again-{name}", tmp_path / "new.db"
    done = tune("export", first, db=db)
    assert (done.returncode, done.stdout) == (0, b""), done.stderr
    assert b"3 records written" in done.stderr
    done = tune("import", first, db=new)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == b"records: 3 added, 0 known before, 0 in conflict; 0 lines left out\n"
    assert b"0 added, 3 known before" in tune("import", first, db=new).stdout
    tune("export", again, db=new)
    assert again.read_bytes() == first.read_bytes()
    assert (first.read_bytes()[:2] == b"\x1f\x8b") == name.endswith(".gz")


def test_a_pipe_leads_from_one_database_to_another(db, tmp_path):
    """Standard output and standard input, with nothing but records between."""
    out = tune("export", "--op", "gemm", "--device", "gpu x", db=db)
    done = tune("import", "-", "--json", db=tmp_path / "new.db", input=out.stdout)
    said = json.loads(done.stdout)
    assert (done.returncode, said["added"], said["dry_run"]) == (0, 2, False)


def test_a_dry_run_adds_nothing(db, tmp_path):
    """The next import finds as much new."""
    tune("export", tmp_path / "facts.jsonl", db=db)
    for _ in range(2):
        assert b"3 would be added" in tune("import", tmp_path / "facts.jsonl", "--dry-run", db=tmp_path / "n.db").stdout


def test_lines_that_are_left_out_are_named_and_end_with_2(db, tmp_path):
    """A damaged one, one that no gemm can be, and the end of a file that was cut off; the others are added."""
    file = tmp_path / "facts.jsonl"
    tune("export", file, db=db)
    head, first, second, third, _ = file.read_bytes().split(b"\n")
    file.write_bytes(b"\n".join([head, first, b"{", second.replace(b'"dtype":"', b'"dtype":"x'), third[:-9]]))
    done = tune("import", file, db=tmp_path / "new.db")
    assert done.returncode == 2
    assert b"records: 1 added, 0 known before, 0 in conflict; 3 lines left out" in done.stdout
    lines = done.stderr.decode().splitlines()
    assert [line.partition(" is left out")[0] for line in lines] == ["line 3", "line 4", "line 5"]
    assert "dtype" in lines[1]


@pytest.mark.parametrize("keep", [0, 5, 40, 0.5, 0.95])
def test_a_packed_file_that_was_cut_off_gives_what_it_has(db, tmp_path, keep):
    """And says where it broke off; no traceback."""
    tune("export", tmp_path / "facts.jsonl.gz", db=db)
    data = (tmp_path / "facts.jsonl.gz").read_bytes()
    (tmp_path / "cut.gz").write_bytes(data[: int(keep * len(data)) if isinstance(keep, float) else keep])
    done = tune("import", tmp_path / "cut.gz", db=tmp_path / "new.db")
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr


def test_an_export_that_fails_leaves_the_file_of_before(db, tmp_path):
    """And nothing half beside it; with the row that is to blame."""
    file = tmp_path / "out" / "facts.jsonl"
    file.parent.mkdir()
    file.write_text("of before")
    import sqlite3

    with closing(sqlite3.connect(db)) as connection, connection:
        connection.execute("UPDATE records SET samples_us = '[' WHERE id = 3")
    done = tune("export", file, db=db)
    assert (done.returncode, b"row 3 of table records" in done.stderr) == (4, True)
    assert (file.read_text(), os.listdir(file.parent)) == ("of before", ["facts.jsonl"])  # noqa: PTH208


def test_a_new_file_has_the_permissions_of_any_other(db, tmp_path):
    """Not those of a temporary one; a file that is replaced keeps its own."""
    (tmp_path / "plain").touch()
    tune("export", tmp_path / "facts.jsonl", db=db)
    assert (tmp_path / "facts.jsonl").stat().st_mode == (tmp_path / "plain").stat().st_mode
    (tmp_path / "facts.jsonl").chmod(0o600)
    tune("export", tmp_path / "facts.jsonl", db=db)
    assert (tmp_path / "facts.jsonl").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["export", "--op", "gem"], 2, 'Did you mean "gemm"'),
        (["export", "--format", "csv"], 2, "jsonl"),
        (["export", "--problem", "12"], 2, "a digest is"),
        (["export", "--target", "f" * 32], 3, "no record is of these"),
        (["export", "--device", "H900"], 3, "no record is of these"),
        (["export", "/nowhere/facts.jsonl"], 2, "cannot write /nowhere/facts.jsonl"),
        (["import", "/nowhere/facts.jsonl"], 2, "cannot read /nowhere/facts.jsonl"),
        (["import", "/"], 2, "cannot read /"),
        (["import", "/dev/null"], 2, "no header"),
    ],
)
def test_words_that_are_off_are_mended(db, words, code, said):
    """What, where, how."""
    done = tune(*words, db=db)
    assert (done.returncode, said in done.stderr.decode()) == (code, True), done.stderr
    assert done.stdout == b""


def test_a_device_is_written_to_and_not_replaced(db):
    """/dev/null stays what it is."""
    assert tune("export", "/dev/null", db=db).returncode == 0
    assert Path("/dev/null").is_char_device()


def test_an_empty_database_is_an_empty_file(tmp_path):
    """A backup of nothing is no error."""
    assert tune("export", tmp_path / "none.jsonl.gz", db=tmp_path / "empty.db").returncode == 0
    assert gzip.decompress((tmp_path / "none.jsonl.gz").read_bytes()).count(b"\n") == 1
    assert b"0 added" in tune("import", tmp_path / "none.jsonl.gz", db=tmp_path / "new.db").stdout
