"""Records as a file of JSON lines, and what an import makes of one."""

import io
import json
import tracemalloc
from contextlib import closing
from dataclasses import replace

import pytest
from builders import a_key, a_problem, a_record
from kerntune.cache.exchange import importing
from kerntune.cache.exchange.formats import MODULES, Damaged, format_named
from kerntune.cache.exchange.importing import import_records
from kerntune.cache.exchange.jsonl import HEADER, MOST_LINE_BYTES
from kerntune.cache.memory import MemoryStore
from kerntune.cache.paging import every_record
from kerntune.cache.records import Baseline, Failure, Measurement, Verdict
from kerntune.cache.sql import SqlStore
from kerntune.spaces.errors import StoreError, UnknownName, UsageError

JSONL = format_named("jsonl")

RECORDS = [
    a_record(us=(0.1, 1 / 3, 2.5e-3), minutes=3),
    a_record(config={"Z": 1, "A": True, "F": 0.5, "W": "word"}, failure=Failure("compile", "no: ü\n\ttwo lines")),
    replace(
        a_record(a_key(a_problem(m=1), driver="1"), phase="playoff", minutes=-1),
        outcome=Measurement((3.0, 4.0), True, False, {"sm_clock_mhz": [1980, None]}, {"registers": 168}),
        baseline=Baseline("cublas", (5.0,), 1.5, (1.25, 1.75), "wrong", (Baseline("cublaslt", (6.0,)),)),
        verdict=Verdict(3.25, 0.95, 8, ("c" * 32,)),
    ),
]


def written(records):
    out = io.BytesIO()
    assert JSONL.write(records, out) == len(records)
    return out.getvalue()


def imported(store, data, **options):
    return import_records(store, JSONL.read(io.BytesIO(data)), lambda record: None, **options)


def everything(store):
    return list(every_record(lambda cursor: store.page(cursor=cursor)))


def counts(done):
    return done.added, done.known, done.damaged, done.conflicts


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def two_stores(request, tmp_path):
    """A database of SQLite, and another one."""
    other = f"sqlite:///{tmp_path}/b.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    with closing(SqlStore.open(f"sqlite:///{tmp_path}/a.db")) as first, closing(SqlStore.open(other)) as second:
        yield first, second


def test_a_round_trip_over_two_databases_is_the_same_bytes(two_stores):
    """Every field to the last bit, in order of arrival."""
    first, second = two_stores
    first.add_many(RECORDS)
    data = written(everything(first))
    assert counts(imported(second, data)) == (3, 0, 0, 0)
    assert everything(second) == RECORDS
    assert written(everything(second)) == data


def test_an_import_twice_adds_nothing(two_stores):
    """Nor do records that stand in the file twice."""
    _, store = two_stores
    data = written([*RECORDS, *RECORDS])
    assert counts(imported(store, data)) == (3, 3, 0, 0)
    assert counts(imported(store, data)) == (0, 6, 0, 0)
    assert everything(store) == RECORDS


def test_results_that_disagree_are_both_kept_and_named():
    """Of the same config at the same instant; another instant is another measurement, another author no conflict."""
    store = MemoryStore()
    store.add(a_record(us=10.0))
    other = a_record(us=11.0)
    data = written([a_record(us=12.0, minutes=1), other, a_record(us=10.0, recorded_by="somebody else"), other])
    done = imported(store, data)
    assert counts(done) == (3, 1, 0, 1)
    assert done.first_conflicts[0].line == 3
    assert "gemm m=256" in done.first_conflicts[0].what
    assert other in everything(store)
    assert a_record(us=10.0) in everything(store)


def test_a_conflict_within_the_file_is_seen(monkeypatch):
    """Though its records are not in the store yet, and other keys come between."""
    monkeypatch.setattr(importing, "KEYS_IN_MEMORY", 1)
    between = [a_record(a_key(a_problem(m=1000 + number))) for number in range(300)]
    store = MemoryStore()
    done = imported(store, written([a_record(us=1.0), *between, a_record(us=2.0), *between]))
    assert counts(done) == (302, 300, 0, 1)


def test_a_dry_run_says_the_same_and_adds_nothing():
    """Conflicts and records that come twice, too."""
    store = MemoryStore()
    data = written([a_record(us=1.0), a_record(us=2.0), a_record(us=1.0)])
    assert counts(imported(store, data, keep=False)) == (2, 1, 0, 1)
    assert everything(store) == []


BROKEN = [
    (b"{", "no JSON"),
    (b"\xff\xfe", "not UTF-8"),
    (b"[" * 100_000, "nested too deep"),
    (b"[]", "a JSON object"),
    (b"null", "a JSON object"),
    (b"{}", "problem is missing"),
    (b"NaN", "a JSON object"),
    (b'"' + b"x" * MOST_LINE_BYTES + b'"', "longer than"),
    (b'{"problem": ' + b"1" * 5000 + b"}", "no JSON"),
]


@pytest.mark.parametrize(("line", "said"), BROKEN, ids=range(len(BROKEN)))
def test_a_damaged_line_is_named_and_the_others_are_read(line, said):
    """By its number; nothing else is lost."""
    head, first, second, _ = written(RECORDS[:2]).split(b"\n")
    store = MemoryStore()
    done = imported(store, b"\n".join([head, first, line, b"", second]))
    assert counts(done) == (2, 0, 1, 0)
    assert done.first_damaged[0].line == 3
    assert said in done.first_damaged[0].reason
    assert everything(store) == RECORDS[:2]


def test_a_line_that_was_cut_off_is_told_as_such():
    """Of a copy that did not come to its end."""
    done = imported(MemoryStore(), written(RECORDS)[:-20])
    assert counts(done) == (2, 0, 1, 0)
    assert "was it cut off" in done.first_damaged[0].reason


@pytest.mark.parametrize("head", [b"", b"{}\n", b"[]\n", b"\xff\n", b'{"op": "gemm"}\n', b"x" * 100])
def test_a_file_that_is_none_of_ours_is_refused(head):
    """Before anything is added."""
    with pytest.raises(UsageError, match="line 1 is no header"):
        imported(MemoryStore(), head)


def test_a_file_of_a_newer_version_is_refused():
    """What this kerntune does not understand it does not guess."""
    with pytest.raises(UsageError, match="newer kerntune"):
        imported(MemoryStore(), json.dumps(HEADER | {"version": 2}).encode())


def test_a_file_that_an_editor_touched_is_read():
    """Windows line ends, a byte-order mark."""
    data = b"\xef\xbb\xbf" + written(RECORDS).replace(b"\n", b"\r\n")
    assert counts(imported(MemoryStore(), data)) == (3, 0, 0, 0)


def test_damage_without_end_is_counted_and_only_its_beginning_named():
    """The memory an import takes does not grow with the file."""
    done = imported(MemoryStore(), json.dumps(HEADER).encode() + b"\n" + b"x\n" * 1000)
    assert done.damaged == 1000
    assert done.first_damaged[-1] == Damaged(101, done.first_damaged[-1].reason)


def test_an_import_holds_few_records_in_memory(tmp_path, monkeypatch):
    """Ten at a time here, of 200 whose samples alone are 3 MB."""
    monkeypatch.setattr(importing, "AT_ONCE", 10)
    monkeypatch.setattr(importing, "KEYS_IN_MEMORY", 10)
    records = (a_record(a_key(a_problem(m=1 + n)), us=tuple(n + k / 7 for k in range(1, 501))) for n in range(200))
    with (tmp_path / "many.jsonl").open("w+b") as file, closing(SqlStore.open(f"sqlite:///{tmp_path}/m.db")) as store:
        JSONL.write(records, file)
        file.seek(0)
        tracemalloc.start()
        done = import_records(store, JSONL.read(file), lambda record: None)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert counts(done) == (200, 0, 0, 0)
    assert peak < 2.5e6


def test_what_was_added_before_the_store_failed_is_said():
    """The same import goes on from there."""

    class Failing(MemoryStore):
        def add_many(self, records, /):
            if everything(self):
                raise StoreError("the disk is full.")
            return super().add_many(records)

    with pytest.raises(StoreError, match=r"disk is full\. 200 records of the file were added"):
        imported(Failing(), written([a_record(minutes=minutes) for minutes in range(300)]))


def test_every_format_can_be_had_by_name():
    """And says what it is; a name that is none is mended."""
    assert all(format_named(name).summary for name in MODULES)
    with pytest.raises(UnknownName, match='Did you mean "jsonl"'):
        format_named("json")
