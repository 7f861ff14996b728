"""`tune list`: a line for each problem, or one object."""

import json
import os
import subprocess
import sys

import pytest
from builders import a_target, a_winner
from kerntune.cache.sql import SqlStore
from kerntune.cache.wire import answer_from_json
from kerntune.spaces.config import Config
from kerntune.templates.catalogue import op_named, templates_named


def listed(*words, db):
    environ = {**os.environ, "KERNTUNE_DB": f"sqlite:///{db}"}
    command = [sys.executable, "-m", "kerntune.tuner.cli", "list", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environ)


@pytest.fixture
def db(tmp_path):
    """Two problems on two devices."""
    (tiled,) = templates_named("gemm", ["triton_tiled"])
    store = SqlStore.open(f"sqlite:///{tmp_path / 'known.db'}")
    plain = op_named("gemm").problem("gpu", m=4096, n=4096, k=4096)
    fused = op_named("gemm").problem("gpu", m=64, n=4096, k=14336, layout="nt", epilogue="bias+gelu")
    store.add(a_winner(plain, 171.4, tiled, Config({"BLOCK_M": 128}), a_target()))
    store.add(a_winner(fused, 31.9, tiled, Config({"BLOCK_M": 64}), a_target("cpu", model="Model [bold]T")))
    store.close()
    return tmp_path / "known.db"


def test_each_problem_has_a_line_under_its_device(db):
    """With every word that does not follow from its name; a device's name is no markup."""
    done = listed(db=db)
    assert done.returncode == 0, done.stderr
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert "GPU X" in lines
    assert "Model [bold]T" in lines
    digest = Config({"BLOCK_M": 128}).digest[:8]
    assert f"gemm 4096x4096x4096 bf16 nn 171 µs - triton_tiled {digest} 2026-11-22" in lines
    assert any(line.startswith("gemm 64x4096x14336 bf16 nt epilogue=bias+gelu 31.9 µs") for line in lines)


def test_json_is_one_object_of_answers_that_any_client_reads(db):
    """As HTTP writes them."""
    answers = [answer_from_json(one) for one in json.loads(listed("gemm", "--json", db=db).stdout)["answers"]]
    assert [answer.median_us for answer in answers] == [171.4, 31.9]


def test_nothing_known_and_words_that_are_off_say_so(db, tmp_path):
    """Exit 3 and 2, with what to do."""
    empty = listed(db=tmp_path / "empty.db")
    assert (empty.returncode, "nothing is known yet" in empty.stderr) == (3, True)
    assert "nothing that fits is known" in listed("--device", "H900", db=db).stderr
    off = listed("--template", "triton_tild", db=db)
    assert (off.returncode, 'Did you mean "triton_tiled"?' in off.stderr) == (2, True)
    assert listed("gem", db=db).returncode == 2
