"""`tune generations` as a person runs it; and the law of a pin: the same bytes in every process, for ever."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from contextlib import closing, contextmanager
from urllib.request import urlopen

import pytest
from builders import a_key, a_problem, a_record
from kerntune.cache.records import Policy, RecordKey
from kerntune.cache.sql import SqlStore
from kerntune.spaces.canonical import canonical_json
from kerntune.templates.catalogue import op_named
from kerntune.tuner import settings, wiring

TUNE = [sys.executable, "-m", "kerntune.tuner.cli"]
GENERATIONS = [*TUNE, "generations"]
LOOKUP = [*TUNE, "lookup", "gemm", "--shape", "64x128x256", "--device", "cpu", "--json"]
RANK = """
import kerntune
from kerntune.cache.wire import answer_to_json
from kerntune.spaces.canonical import canonical_json
print(canonical_json(answer_to_json(kerntune.lookup("gemm", m=64, n=128, k=256, device="cpu"))))
"""
"""A rank of a distributed program, pinned by its environment."""


def run(*command, code=0, **environment):
    """What it says on standard output and on standard error."""
    env = {**os.environ, "COLUMNS": "200", **environment}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=env, check=False)
    assert done.returncode == code, done.stderr
    return done.stdout, done.stderr


def ranks(*command, **environment):
    """What two processes say that start at once."""
    env = {**os.environ, **environment}
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) for _ in range(2)]
    return [process.communicate(timeout=120)[0] for process in started]


@contextmanager
def serving(db):
    """The address of a server over a database or a file."""
    command = [*TUNE, "serve", "--port", "0", "--db", db]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        try:
            yield re.search(r"http://\S+", running.stderr.readline())[0]
        finally:
            running.kill()


def got(url):
    with urlopen(url, timeout=20) as response:
        return response.read().decode()


def key_here():
    """Of 64 x 128 x 256 on this machine's processor."""
    target = wiring.open_host("cpu", settings.read()).target
    return RecordKey(op_named("gemm").problem("cpu", m=64, n=128, k=256), target, Policy.default_for("cpu"))


def record(url, *records):
    with closing(SqlStore.open(url)) as store:
        store.add_many(records)


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/k.db"


def test_a_pin_is_the_same_bytes_in_every_process_for_ever(url, tmp_path):
    """SQLite."""
    every_face_says_the_same(url, tmp_path)


@pytest.mark.postgres
def test_a_pin_is_the_same_bytes_in_every_process_over_postgresql(postgres_url, tmp_path):
    """PostgreSQL."""
    every_face_says_the_same(postgres_url, tmp_path)


def every_face_says_the_same(url, tmp_path):
    """Two ranks at once, restarted after better records; the command, the server, the exported file, Python."""
    key, file = key_here(), tmp_path / "g.jsonl.gz"
    record(url, a_record(key, {"BLOCK_M": 9, "A": 2.5, "PACK": "b"}, us=(8.1, 9.7, 1e-3 + 9)))
    frozen = json.loads(run(*GENERATIONS, "freeze", "--db", url, "--json")[0])
    said = ranks(*LOOKUP, "--db", url, "--generation", "1")
    run(*GENERATIONS, "export", "1", str(file), "--db", url)

    record(url, a_record(key, {"BLOCK_M": 1}, us=0.5, phase="playoff"), a_record(a_key(a_problem(m=512))))
    assert json.loads(run(*GENERATIONS, "freeze", "--db", url, "--json")[0])["number"] == 2
    path = f"/v1/configs/gemm?shape=64x128x256&target={key.target.digest}"
    said += ranks(*LOOKUP, "--db", url, "--generation", "1")
    said += ranks(sys.executable, "-c", RANK, KERNTUNE_DB=url, KERNTUNE_GENERATION="1")
    with serving(url) as server:
        said += [got(f"{server}{path}&generation=1") + "\n" for _ in range(2)]
        said += ranks(*LOOKUP, "--server", server, "--generation", "1")
        said += ranks(sys.executable, "-c", RANK, KERNTUNE_SERVER=server, KERNTUNE_GENERATION="1")
        assert json.loads(got(f"{server}{path}"))["config"] == {"BLOCK_M": 1}
        assert json.loads(got(f"{server}/v1/generations/1")) == {k: v for k, v in frozen.items() if k != "is_new"}

    nowhere = {"KERNTUNE_DB": f"generation:{file}", "KERNTUNE_SERVER": "http://127.0.0.1:9"}
    said += ranks(*LOOKUP, **nowhere)
    said += ranks(sys.executable, "-c", RANK, **nowhere)
    with serving(f"generation:{file}") as server:
        said += [got(f"{server}{path}") + "\n", got(f"{server}{path}&generation=1") + "\n"]
        said += ranks(*LOOKUP, "--server", server)

    assert len(said) == 20
    assert len(set(said)) == 1
    answer = json.loads(said[0])
    assert said[0] == canonical_json(answer) + "\n"
    assert (answer["config"], answer["generation"]) == ({"A": 2.5, "BLOCK_M": 9, "PACK": "b"}, 1)


def test_generations_are_frozen_listed_and_compared(url):
    """As tables, and as JSON."""
    here = {"KERNTUNE_DB": url}
    run(*GENERATIONS, "list", code=3, **here)
    assert "tune something first" in run(*GENERATIONS, "freeze", code=3, **here)[1]
    layouts = [op_named("gemm").problem("cpu", m=64, n=64, k=64, layout=layout) for layout in ("nn", "nt", "tt")]
    keys = [RecordKey(problem, key_here().target, Policy.default_for("cpu")) for problem in layouts]
    record(url, a_record(keys[0], us=20.0), a_record(keys[1], us=10.0))
    assert "generation 1: 2 answers" in run(*GENERATIONS, "freeze", "--note", "release 1", **here)[0]
    assert "generation 1, as before: nothing has changed" in run(*GENERATIONS, "freeze", **here)[0]
    record(url, a_record(keys[0], {"BLOCK_M": 16}, us=5.0), a_record(keys[2], us=7.0))
    assert json.loads(run(*GENERATIONS, "freeze", "--json", **here)[0])["is_new"] is True
    assert "release 1" in run(*GENERATIONS, "list", **here)[0]
    listed = json.loads(run(*GENERATIONS, "list", "--json", "--limit", "1", **here)[0])
    assert [one["number"] for one in listed["generations"]] == [2]
    table, _ = run(*GENERATIONS, "diff", "1", "2", **here)
    assert "generation 1 → 2: 1 new, 1 changed, 1 unchanged" in table
    assert re.search(r"gemm 64x64x64 fp32 tt +new +- +7 µs +-", table)
    assert re.search(r"gemm 64x64x64 fp32 nn +changed +20 µs +5 µs +0.250×", table)
    assert "1 more: --limit 2" in run(*GENERATIONS, "diff", "1", "2", "--limit", "1", **here)[0]
    diff = json.loads(run(*GENERATIONS, "diff", "1", "2", "--json", **here)[0])
    assert (diff["counts"]["new"], len(diff["changes"])) == (1, 2)
    assert "there is no generation 7 here: the newest is 2" in run(*GENERATIONS, "diff", "1", "7", code=3, **here)[1]


def test_a_file_is_looked_up_listed_and_takes_nothing(url, tmp_path):
    """Each refusal says what to name instead."""
    file = tmp_path / "g.jsonl"
    record(url, a_record(key_here()))
    run(*GENERATIONS, "freeze", KERNTUNE_DB=url)
    out, _ = run(*GENERATIONS, "export", "1", str(file), "--json", KERNTUNE_DB=url)
    assert json.loads(out)["bytes"] == file.stat().st_size
    here = {"KERNTUNE_DB": f"generation:{file}"}
    assert json.loads(run(*GENERATIONS, "list", "--json", **here)[0])["generations"][0]["number"] == 1
    assert "frozen    in generation 1" in run(*LOOKUP[:-1], **here)[0]
    for refused in (
        [*GENERATIONS, "freeze"],
        [*TUNE, "gemm", "--shape", "64x64x64", "--device", "cpu"],
        [*TUNE, "list"],
    ):
        assert "neither holds records nor takes them" in run(*refused, code=4, **here)[1]
    assert "generation:" in run(*TUNE, "doctor", **here)[0]
    file.write_bytes(file.read_bytes()[:-9])
    assert "is damaged" in run(*LOOKUP, code=4, **here)[1]
    assert "is damaged" in run(*TUNE, "serve", "--port", "0", code=4, **here)[1]
