"""`tune replay`: a sampler judged on a recorded space, from the command line."""

import json
import os
import subprocess
import sys

import pytest
from recordings import a_bowl, a_result, write_space, write_t4

pytestmark = pytest.mark.replay

BOWL = {"A": range(8), "B": range(8), "C": range(8)}


def tune(*arguments, code=0):
    """Standard output and error of `tune replay` with that exit code."""
    run = [sys.executable, "-m", "kerntune.tuner.cli", "replay", *map(str, arguments)]
    done = subprocess.run(run, capture_output=True, text=True, timeout=60, check=False, env=os.environ)
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == code, done.stderr
    return done.stdout, done.stderr


def test_the_json_has_the_fields_of_the_interface(tmp_path):
    """The curve at the checkpoints and at the budget's end, beside what was searched."""
    path = write_space(tmp_path, a_bowl, BOWL)
    out, _ = tune(path, "--sampler", "random", "--trials", 120, "--seeds", 3, "--json")
    told = json.loads(out)
    assert (told["sampler"], told["trials"], told["seeds"]) == ("random", 120, 3)
    assert list(told["curve"]) == ["25", "50", "100", "120"]
    assert all(point.keys() == {"mean", "median", "p10"} for point in told["curve"].values())
    means = [point["mean"] for point in told["curve"].values()]
    assert 0 < means[0] <= means[1] <= means[2] <= means[3] <= 1
    assert told["sampler_ms_per_trial"] > 0
    assert told["space"] == {"name": "toy", "feasible": 512, "failed": 0}
    assert told["optimum_us"] == 1000.0
    assert list(told["curve_seconds"]) == ["7.5", "15", "30", "60"]


def test_the_trace_has_a_line_for_each_evaluation(tmp_path):
    """From it the curve can be drawn again."""
    path, trace = write_space(tmp_path, a_bowl, BOWL), tmp_path / "trace.jsonl"
    out, _ = tune(path, "--sampler", "genetic", "--trials", 30, "--seeds", 2, "--trace", trace, "--json")
    lines = [json.loads(line) for line in trace.read_text().splitlines()]
    assert [(line["seed"], line["trial"]) for line in lines] == [(s, t) for s in range(2) for t in range(1, 31)]
    assert all(line.keys() == {"seed", "trial", "config"} for line in lines)
    assert len({(line["seed"], *line["config"].items()) for line in lines}) == 60
    shares = [1 / min(a_bowl(line["config"]) for line in lines if line["seed"] == seed) for seed in range(2)]
    assert json.loads(out)["curve"]["30"]["mean"] == pytest.approx(sum(shares) / 2)


def test_people_get_a_table(tmp_path):
    """Trials and recorded seconds, the space, and the sampler's own time."""
    out, err = tune(write_space(tmp_path), "--sampler", "exhaustive", "--trials", 40, "--seeds", 1)
    assert "optimum ÷ best so far" in out
    assert "25 trials │ 0.167" in out
    assert "40 trials │ 1.000" in out
    assert "20 s │ 1.000" in out
    assert "toy: 40 configs, 3 fail" in out
    assert "ms a trial" in out
    assert err == ""


def test_a_note_says_that_a_sampler_learns_from_nobody(tmp_path):
    """--knowing is heard, and what comes of it is told."""
    path, other = write_space(tmp_path), write_space(tmp_path, name="other")
    out, err = tune(path, "--sampler", "random", "--seeds", 1, "--knowing", other, "--json")
    assert json.loads(out)["known"] == []
    assert 'note: "random" learns from no other device: --knowing changes nothing' in err


def test_t4_results_are_replayed(tmp_path):
    """And what the file does not say is noted."""
    path = write_t4(tmp_path, *(a_result({"B": b}, 10.0 / b) for b in range(1, 6)))
    out, err = tune(path, "--sampler", "tpe", "--trials", 5, "--seeds", 2, "--json")
    assert json.loads(out)["curve"] == {"5": {"mean": 1.0, "median": 1.0, "p10": 1.0}}
    assert "T4 results do not say their space" in err


@pytest.mark.compiler
def test_a_stored_study_is_replayed(tmp_path):
    """What `tune gemm` measured, by the digest it told."""
    job = ["gemm", "--shape", "16x16x16", "--device", "cpu", "--trials", "4", "--sampler", "random", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "kerntune.tuner.cli", *job], capture_output=True, text=True, timeout=120, check=True
    )
    out, err = tune(json.loads(done.stdout)["digest"], "--trials", 4, "--seeds", 1, "--json")
    told = json.loads(out)
    assert told["space"]["feasible"] == 4
    assert told["space"]["name"].startswith("gemm 16x16x16 fp32 on ")
    assert told["curve"]["4"]["mean"] == 1.0
    assert "the space is the configs it tried" in err


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--sampler", "bayes"], 2, 'UnknownName: "bayes" is not a sampler. Known: annealing, autotvm, exhaustive'),
        (["--trials", "0"], 2, "a budget of 0 trials"),
        (["--seeds", "0"], 2, "0 seeds show nothing"),
        (["--time", "nan"], 2, "both must be above 0"),
        (["--knowing", "nowhere.json"], 2, "cannot read nowhere.json: No such file"),
        (["--trace", "no/where.jsonl"], 2, "cannot write the trace to no/where.jsonl"),
    ],
)
def test_bad_words_are_told_with_the_right_code(tmp_path, arguments, code, says):
    """One message on standard error, nothing on standard output."""
    out, err = tune(write_space(tmp_path), *arguments, code=code)
    assert out == ""
    assert says in err.strip().splitlines()[-1]


def test_a_source_that_is_neither_file_nor_study_is_told():
    """What looks like a digest is looked up; no answer has a code of its own."""
    assert "cannot read nowhere.json" in tune("nowhere.json", code=2)[1]
    assert "no study has a best config whose digest begins with" in tune("abcdef12", code=3)[1]


def test_a_space_in_which_nothing_ran_has_the_code_of_no_feasible_config(tmp_path):
    """3, as for a problem that no template can compute."""
    assert "none of its 40 configs ran" in tune(write_space(tmp_path, lambda config: 2), code=3)[1]
