"""Spool: what waits for a server outlives whatever ends the worker."""

import os
import random
import subprocess
import sys
import time
from contextlib import closing, contextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kerntune.cache.spool import Spool, folder_for
from kerntune.cache.spool_files import SpoolBusy
from kerntune.spaces.errors import StoreError


@contextmanager
def a_spool(folder, **limits):
    with closing(Spool(folder, **limits)) as spool:
        yield spool


def texts(spool, **limits):
    return [entry.data["text"] for entry in spool.pending(**limits)]


def filled(folder, count, **limits):
    """A spool of `count` entries, closed again."""
    with a_spool(folder, **limits) as spool:
        for number in range(count):
            spool.append({"text": f"entry {number}"})


def test_what_was_appended_waits_in_order_until_it_is_acknowledged(tmp_path):
    """And what is acknowledged is never seen again, by this process or the next."""
    with a_spool(tmp_path / "s") as spool:
        assert [spool.append({"text": word}) for word in "abcd"] == [1, 2, 3, 4]
        assert texts(spool) == ["a", "b", "c", "d"]
        spool.acknowledge(2)
        assert (texts(spool), spool.waiting) == (["c", "d"], 2)
    with a_spool(tmp_path / "s") as spool:
        assert (texts(spool), spool.damage) == (["c", "d"], [])
        assert spool.append({"text": "e"}) == 5
        spool.acknowledge(5)
    with a_spool(tmp_path / "s") as spool:
        assert (texts(spool), spool.waiting) == ([], 0)
        assert spool.append({"text": "f"}) == 6


def test_a_batch_is_bounded_by_entries_and_by_bytes_and_never_empty(tmp_path):
    """An entry larger than the bytes allowed goes alone."""
    with a_spool(tmp_path / "s") as spool:
        for word in ("a", "b" * 1000, "c"):
            spool.append({"text": word})
        assert len(texts(spool, most=2)) == 2
        assert texts(spool, most_bytes=10) == ["a"]
        spool.acknowledge(1)
        assert texts(spool, most_bytes=10) == ["b" * 1000]


def test_segments_are_removed_once_all_in_them_is_acknowledged(tmp_path):
    """The folder does not grow for ever."""
    with a_spool(tmp_path / "s", segment_bytes=64) as spool:
        for number in range(20):
            spool.append({"text": f"entry {number}"})
        many = len(list((tmp_path / "s").glob("0*.jsonl")))
        spool.acknowledge(19)
        assert many >= 5
        assert len(list((tmp_path / "s").glob("0*.jsonl"))) == 1
        assert texts(spool) == ["entry 19"]
        spool.acknowledge(20)
    assert not list((tmp_path / "s").glob("0*.jsonl"))


def test_a_full_spool_says_so_and_keeps_what_it_has(tmp_path):
    """Whoever cannot write any more is told, with what to do."""
    with a_spool(tmp_path / "s", most_bytes=100) as spool:
        spool.append({"text": "a" * 50})
        with pytest.raises(StoreError, match=r"is full: 1 records .* wait for the server"):
            spool.append({"text": "b" * 50})
        assert texts(spool) == ["a" * 50]
        spool.append({"text": "c"})
        assert texts(spool) == ["a" * 50, "c"]


def test_a_write_that_fails_leaves_nothing_of_the_entry(tmp_path, monkeypatch):
    """A disk that is full for a moment spoils nothing."""
    with a_spool(tmp_path / "s") as spool:
        spool.append({"text": "a"})
        with monkeypatch.context() as broken:
            broken.setattr(os, "fsync", lambda handle: (_ for _ in ()).throw(OSError(28, "No space left on device")))
            with pytest.raises(StoreError, match=r"No space left on device.*KERNTUNE_CACHE_DIR"):
                spool.append({"text": "b"})
        spool.append({"text": "c"})
        assert texts(spool) == ["a", "c"]
    with a_spool(tmp_path / "s") as spool:
        assert (texts(spool), spool.damage) == (["a", "c"], [])


def test_one_process_has_it_at_a_time(tmp_path):
    """Two would send and forget each other's entries."""
    with a_spool(tmp_path / "s"), pytest.raises(SpoolBusy, match="another worker uses the spool"):
        Spool(tmp_path / "s")
    filled(tmp_path / "s", 1)


def test_it_is_this_users_alone(tmp_path):
    """Made 0700, and one that others could write to is refused: it is sent in our name."""
    folder = folder_for(tmp_path / "cache", "http://tuner:8420/")
    assert folder == folder_for(tmp_path / "cache", "http://tuner:8420")
    filled(folder, 1)
    assert {path.stat().st_mode & 0o777 for path in (folder, folder.parent)} == {0o700}
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    folder.chmod(0o770)
    with pytest.raises(StoreError, match=r"is open to others .*chmod 700"):
        Spool(folder)


def test_a_spoilt_line_is_passed_over_and_said(tmp_path):
    """What lies behind it is sent all the same."""
    filled(tmp_path / "s", 3)
    (segment,) = (tmp_path / "s").glob("0*.jsonl")
    lines = segment.read_bytes().splitlines(keepends=True)
    segment.write_bytes(lines[0] + b"\0" * 20 + b"\n" + lines[2])
    with a_spool(tmp_path / "s") as spool:
        assert texts(spool) == ["entry 0", "entry 2"]
        assert ["entry 2 is spoilt" in words for words in spool.damage] == [True]
        spool.acknowledge(3)
        assert spool.waiting == 0


def test_a_lost_mark_has_everything_sent_again(tmp_path):
    """Twice is harmless, never would not be."""
    with a_spool(tmp_path / "s") as spool:
        for word in "abc":
            spool.append({"text": word})
        spool.acknowledge(2)
    (tmp_path / "s" / "acknowledged").write_bytes(b"")
    with a_spool(tmp_path / "s") as spool:
        assert texts(spool) == ["a", "b", "c"]


def test_what_no_server_wants_is_set_aside_with_the_reason(tmp_path):
    """Nothing measured is thrown away unsaid."""
    with a_spool(tmp_path / "s") as spool:
        spool.append({"text": "odd"})
        spool.set_aside(spool.pending()[0], "its config is off")
        spool.acknowledge(1)
    assert (tmp_path / "s" / "refused.jsonl").read_text() == (
        '{"reason": "its config is off", "entry": {"text": "odd"}}\n'
    )
    with a_spool(tmp_path / "s") as spool:
        assert texts(spool) == []


@given(kept=st.integers(0, 400), more=st.integers(0, 3))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_file_cut_anywhere_loses_only_what_was_cut(tmp_path_factory, kept, more):
    """Every whole line before the cut is there, and the spool goes on behind it."""
    folder = tmp_path_factory.mktemp("cut") / "s"
    filled(folder, 12)
    (segment,) = folder.glob("0*.jsonl")
    data = segment.read_bytes()
    os.truncate(segment, min(kept, len(data)))
    whole = data[:kept].count(b"\n")
    with a_spool(folder) as spool:
        for number in range(more):
            spool.append({"text": f"new {number}"})
        expected = [f"entry {number}" for number in range(whole)] + [f"new {number}" for number in range(more)]
        assert texts(spool) == expected
        assert bool(spool.damage) == (kept < len(data) and not data[:kept].endswith(b"\n") and kept > 0)
    with a_spool(folder) as spool:
        assert (texts(spool), spool.damage) == (expected, [])


WRITER = """
import sys
from pathlib import Path
from kerntune.cache.spool import Spool
spool = Spool(Path(sys.argv[1]), segment_bytes=2000)
number = int(sys.argv[2])
while True:
    spool.append({"text": f"entry {number}", "filling": "x" * (number % 97)})
    print(number, flush=True)  # acknowledged
    number += 1
"""


def test_kill_9_at_any_moment_loses_nothing_that_was_appended(tmp_path):
    """The next worker has every entry its forerunner was told is kept, once, in order; the one in hand at most more."""
    chance, said, folder = random.Random(0), [], tmp_path / "s"
    for _ in range(6):
        begin = str(said[-1] + 2 if said else 0)  # the entry that was in hand may be there
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(folder), begin], stdout=subprocess.PIPE, text=True
        ) as writer:
            said.append(int(writer.stdout.readline()))
            time.sleep(chance.uniform(0, 0.15))
            writer.kill()
            said += [int(line) for line in writer.stdout]
    with a_spool(folder) as spool:
        found = [int(text.split()[1]) for text in texts(spool, most=10**6, most_bytes=10**9)]
    assert found == sorted(set(found))
    assert set(said) <= set(found)
    assert len(found) - len(said) <= 6
