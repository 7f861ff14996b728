"""`tune show` and `tune diff` as a person uses them."""

import json
import os
import subprocess
import sys

import pytest
from builders import a_target, a_winner
from kerntune.cache.sql import SqlStore
from kerntune.spaces.config import Config
from kerntune.templates.catalogue import op_named, templates_named

MINE = {"kind": "gpu", "triton": "3.6.0", "nvrtc": "13.0"}


def tune(*words, **environ):
    command = [sys.executable, "-m", "kerntune.tuner.cli", *words]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=180, check=False, env={**os.environ, **environ}
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def known(*records):
    """These records in the test's database; the digest of the first one's config."""
    store = SqlStore.open(os.environ["KERNTUNE_DB"])
    store.add_many(records)
    store.close()
    return records[0].config.digest


def of(name, **changes):
    """A winner of a template that there is."""
    (template,) = templates_named("gemm", [name])
    kind = "cpu" if template.backend == "cpu" else "gpu"
    problem = op_named("gemm").problem(kind, m=256, n=256, k=256)
    return a_winner(problem, 31.9, template, None, a_target(kind, **changes))


def test_a_config_is_shown_with_its_evidence():
    """As words, as JSON, as source; a digest's first digits are enough."""
    digest = known(of("c_tiled"))
    done = tune("show", digest[:8])
    assert done.returncode == 0, done.stderr
    for words in ("gemm 256x256x256", "Model T", "compiler gcc 14.2", "31.9 µs", "samples   31.9 µs", "by tests"):
        assert words in done.stdout
    told = json.loads(tune("show", digest, "--json").stdout)
    assert [record["config_digest"] for record in told["keys"][0]["records"]] == [digest]
    assert "256x256x256" in tune("show", digest, "--source").stdout.splitlines()[0]


@pytest.mark.compiler
def test_machine_code_of_a_processor_is_shown():
    """And that it has no PTX."""
    digest = known(of("c_tiled"))
    done = tune("show", digest, "--sass")
    assert done.returncode == 0, done.stderr
    assert "<kernel>:" in done.stdout or "ret" in done.stdout
    assert "note: measured with compiler gcc 14.2" in done.stderr
    refused = tune("show", digest, "--ptx")
    assert (refused.returncode, "has no PTX" in refused.stderr) == (2, True)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        pytest.param("triton_tiled", ".target sm_90", marks=pytest.mark.triton),
        pytest.param("cuda_mma", ".target sm_90a", marks=pytest.mark.nvrtc),
    ],
)
def test_ptx_and_machine_code_of_a_gpu_are_shown_where_there_is_none(name, words):
    """Compiled for the record's target; nvdisasm is the toolkit's or Triton's."""
    digest = known(of(name, triton="3.6.0", nvrtc="13.0"))
    ptx = tune("show", digest, "--ptx")
    assert ptx.returncode == 0, ptx.stderr
    assert words in ptx.stdout
    assert ".visible .entry" in ptx.stdout
    sass = tune("show", digest, "--sass")
    assert (sass.returncode, "EXIT" in sass.stdout) == (0, True) or "nvdisasm is neither" in sass.stderr


def test_two_configs_are_put_side_by_side():
    """Only what differs, and the ratio."""
    one = of("c_tiled")
    other = dict(one.config) | {"MR": 1}
    (template,) = templates_named("gemm", ["c_tiled"])
    two = a_winner(one.key.problem, 63.8, template, Config(other), one.key.target)
    digest = known(one, two)
    done = tune("diff", digest[:10], two.config.digest[:10])
    assert done.returncode == 0, done.stderr
    assert "MR" in done.stdout
    assert "NC" not in done.stdout
    assert "2.000 × the time of the first" in done.stdout
    told = json.loads(tune("diff", digest, two.config.digest, "--json").stdout)
    assert (told["ratio"], told["config"]) == (2.0, {"MR": [one.config["MR"], 1]})


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["show", "abc"], 2, "is no digest"),
        (["show", "0" * 32], 3, "no config, problem, key, target or record is known"),
        (["show", "0" * 32, "--source", "--sass"], 2, "one at a time"),
        (["diff", "0" * 32, "1" * 32], 3, "is known that begins"),
    ],
)
def test_words_that_are_off_say_so(words, code, said):
    """With the exit code of their kind."""
    done = tune(*words)
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr
