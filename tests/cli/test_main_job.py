"""The main job as a person does it: the real command, a real compiler, a real database."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from interrupts import hear_interrupts

pytestmark = pytest.mark.compiler
TUNE = [sys.executable, "-m", "kerntune.tuner.cli"]
JOB = ["gemm", "--shape", "96x80x64", "--device", "cpu", "--trials", "8"]
INTERFACE_FIELDS = (
    "problem target policy template config digest median_us spread_us tflops baseline speedup trials space spaces "
    "match generation cached stopped seconds vendors"
)


def tune(*arguments, **environment):
    """Run `tune` to its end."""
    return subprocess.run(
        [*TUNE, *arguments], capture_output=True, text=True, timeout=120, check=False, env={**os.environ, **environment}
    )


def answer(*arguments, **environment):
    done = tune(*arguments, "--json", **environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_near_lookup_says_what_differs_and_what_it_should_lose():
    """On the command line and from Python; who does not ask for a near answer is told why there is none."""
    answer(*JOB)
    other = ["lookup", "gemm", "--shape", "96x80x128", "--device", "cpu"]
    refused = tune(*other)
    assert refused.returncode == 3
    assert "k: 128 here, 64 stored" in refused.stderr
    near = tune(*other, "--min-match", "near")
    assert near.returncode == 0, near.stderr
    assert "match     near: k: 128 here, 64 stored" in near.stdout
    assert "× the best that is foretold here" in near.stdout
    script = "import kerntune; print(kerntune.lookup('gemm', m=96, n=80, k=128, device='cpu'))"
    explained = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        env={**os.environ, "KERNTUNE_EXPLAIN": "1"},
    )
    assert explained.stdout == "None\n"
    assert explained.stderr == "kerntune: gemm m=96 n=80 k=128: nothing (k: 128 here, 64 stored)\n"


def test_tuning_measures_and_the_second_time_answers_from_the_cache():
    """Measured once, then remembered: under a second, nothing measured, the same config byte for byte."""
    first = answer(*JOB)
    assert first.keys() == set(INTERFACE_FIELDS.split())
    assert first["trials"] == {"measured": 8, "failed": 0, "rejected": 0}
    assert first["baseline"]["name"].startswith("numpy")
    assert first["speedup"] == pytest.approx(first["baseline"]["median_us"] / first["median_us"])
    assert first["tflops"] == pytest.approx(2 * 96 * 80 * 64 / first["median_us"] / 1e6)
    assert not first["cached"]
    second = answer(*JOB)
    assert second["cached"]
    assert second["seconds"] < 1
    assert (second["config"], second["median_us"]) == (first["config"], first["median_us"])
    assert second["trials"] == first["trials"]


def test_force_measures_again():
    """--force is a new study; the old winner runs in it."""
    first = answer(*JOB)
    forced = answer(*JOB, "--force", "--trials", "3")
    assert not forced["cached"]
    assert forced["trials"]["measured"] == 3
    assert forced["digest"] == first["digest"] or forced["median_us"] > 0


def test_lookup_finds_what_was_tuned_and_only_that():
    """The same words, without tuning; another shape is a miss that says what is near."""
    tuned = answer(*JOB)
    found = answer("lookup", "gemm", "--shape", "96x80x64", "--device", "cpu")
    assert (found["config"], found["match"]) == (tuned["config"], "exact")
    missed = tune("lookup", "gemm", "--shape", "96x80x65", "--device", "cpu")
    assert missed.returncode == 3
    assert "k: 65 here, 64 stored" in missed.stderr
    assert missed.stdout == ""


def test_another_compiler_makes_the_answer_stale(tmp_path):
    """The toolchain is part of what a time belongs to."""
    answer(*JOB)
    wrapper = tmp_path / "mycc"
    wrapper.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "mycc 1.0" && exit 0\nexec cc "$@"\n')
    wrapper.chmod(0o755)
    found = answer("lookup", "gemm", "--shape", "96x80x64", "--device", "cpu", CC=str(wrapper))
    assert found["match"] == "stale"
    assert found["differences"][0].startswith("compiler: mycc 1.0 here, ")


def test_without_a_compiler_tuning_says_what_to_install_and_lookups_go_on():
    """One line, exit 5; what is known is still known."""
    answer(*JOB)
    bare = {"PATH": "/nonexistent", "CC": ""}
    refused = tune("gemm", "--shape", "10x10x10", "--device", "cpu", **bare)
    assert refused.returncode == 5
    assert refused.stderr.strip().splitlines()[-1].startswith("NoCompiler: no C compiler was found")
    assert "apt-get install gcc" in refused.stderr
    assert answer("lookup", "gemm", "--shape", "96x80x64", "--device", "cpu", **bare)["match"] == "stale"


def test_a_compiler_named_in_cc_that_does_not_run_is_named():
    """Whoever names a compiler does not want another one's figures."""
    refused = tune(*JOB, CC="/no/such/cc")
    assert refused.returncode == 5
    assert 'CC names "/no/such/cc"' in refused.stderr


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_run_keeps_what_it_measured_and_the_next_goes_on(how):
    """Ctrl-C ends with 130 and the best so far; kill -9 loses at most the config being measured."""
    job = ["gemm", "--shape", "96x80x64", "--device", "cpu", "--trials", "30"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([*TUNE, *job], **pipes, preexec_fn=hear_interrupts) as running:
        _wait_for_records(3)
        running.send_signal(how)
        out, err = running.communicate(timeout=30)
    kept = _records()
    assert kept >= 3
    if how == signal.SIGINT:
        assert running.returncode == 130
        assert "best so far" in out
        assert "Traceback" not in err
    resumed = tune(*job)
    assert f"{kept} trials are known from before" in resumed.stderr
    assert answer(*job)["trials"]["measured"] == 30


def _records() -> int:
    from sqlalchemy import create_engine, text

    engine = create_engine(os.environ["KERNTUNE_DB"])
    try:
        with engine.connect() as connection:
            return connection.execute(text("select count(*) from records where phase = 'search'")).scalar_one()
    except Exception:  # noqa: BLE001 -- not there yet
        return 0
    finally:
        engine.dispose()


def _wait_for_records(count: int) -> None:
    deadline_s = time.monotonic() + 60
    while _records() < count:
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
