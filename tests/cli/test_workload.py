"""`tune workload` as a person uses it."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from interrupts import hear_interrupts

WORKLOAD = [sys.executable, "-m", "kerntune.tuner.cli", "workload"]
LINES = """{"op": "gemm", "shape": "64x48x32", "weight": 8}
{"op": "gemm", "shape": "96x32x48", "dtype": "fp32", "layout": "nt"}
{"op": "gemm", "m": 64, "n": 48, "k": 32, "weight": 2}
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "model.jsonl"
    path.write_text(LINES)
    return path


def workload(file, *arguments):
    """Run `tune workload FILE` to its end."""
    command = [*WORKLOAD, str(file), "--device", "cpu", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.mark.compiler
def test_a_workload_is_tuned_drawn_and_then_known(file, tmp_path):
    """Two problems of three entries, each with a winner; the second time, nothing is measured."""
    picture = tmp_path / "spent.json"
    done = workload(file, "--time", "30", "--patience", "4", "--json", "--picture", str(picture))
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [(one["problem"]["m"], one["weight"]) for one in told["problems"]] == [(64, 10.0), (96, 1.0)]
    for one in told["problems"]:
        assert one["settled"]
        assert one["gain"] == pytest.approx(one["first_us"] / one["median_us"])
        assert one["speedup"] == pytest.approx(one["baseline"]["median_us"] / one["median_us"])
    assert told["after_us"] == pytest.approx(sum(one["weight"] * one["median_us"] for one in told["problems"]))
    drawn = json.loads(picture.read_text())
    assert {trace.get("name") for trace in drawn["data"]} >= {"search", "playoff"}
    again = workload(file, "--time", "30")
    assert again.returncode == 0, again.stderr
    assert "2 known in 0 s" in again.stdout
    assert "64x48x32" in again.stdout


@pytest.mark.compiler
def test_an_interrupt_prints_the_table_so_far(file):
    """130, within the terminal's width, and all that was measured is kept."""
    command = [*WORKLOAD, str(file), "--device", "cpu", "--time", "100", "--patience", "1000"]
    narrow = {**os.environ, "COLUMNS": "80"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes, env=narrow, preexec_fn=hear_interrupts) as running:
        assert running.stderr.readline().startswith("Tuning 2 problems")
        time.sleep(6)
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=60)
    assert running.returncode == 130, err
    assert "interrupted" in out
    assert "the same command goes on from there" in out
    assert max(len(line.rstrip()) for line in out.splitlines()) <= 80


@pytest.mark.compiler
def test_without_end_a_workload_goes_on_until_all_have_converged(file):
    """`--time inf`; JSON knows no infinity, so that it stands there as null."""
    done = workload(file, "--time", "inf", "--patience", "2", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["time_s"] is None
    assert {one["state"] for one in told["problems"]} == {"converged"}


@pytest.mark.parametrize(
    ("text", "arguments", "words"),
    [
        ('{"op": "gemm", "shape": "64x48"}', [], "line 1: gemm needs 3 dims"),
        ("[]", [], "holds no problem"),
        ("", [], "model.jsonl is empty"),
        (LINES, ["--time", "0"], "a workload of 0.0 s holds nothing"),
        (LINES, ["--patience", "0"], "patience is 0"),
        (LINES, ["--seed", "-1"], "seed is -1: it takes an integer of at least 0"),
        (LINES, ["--sampler", "bayes"], '"bayes" is not a sampler'),
        (LINES, ["--picture", "out.png"], "written as .html or .json"),
    ],
)
def test_what_is_off_is_said_and_nothing_is_measured(file, text, arguments, words):
    """Exit 2, in words, before the device is touched."""
    file.write_text(text)
    done = workload(file, "--time", "5", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
