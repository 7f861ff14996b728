"""`tune report`: a study of a store, from the command line."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest
from builders import a_key, a_record, a_target
from kerntune.cache.records import Baseline, Failure, Measurement, Policy, RecordKey, Verdict
from kerntune.cache.sql import SqlStore
from kerntune.templates.catalogue import ops, templates
from kerntune.tuner import settings, wiring
from kerntune.tuner.cli.report_tables import sparkline

FIELDS = (
    *("problem", "target", "policy", "key", "winner", "trials", "raced_out", "feasible", "seconds", "sessions"),
    *("doubtful", "recorded_by", "curve", "templates", "top"),
)


def tune(*arguments, code=0, **environment):
    """Standard output and error of `tune report` with that exit code."""
    run = [sys.executable, "-m", "kerntune.tuner.cli", "report", *map(str, arguments)]
    env = {**os.environ, **environment}
    done = subprocess.run(run, capture_output=True, text=True, timeout=60, check=False, env=env)
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == code, done.stderr
    return done.stdout, done.stderr


def a_gemm(**changes):
    """The key of a product on a processor of ours."""
    target = a_target("cpu", **changes)
    return RecordKey(ops()["gemm"].problem("cpu", m=64, n=64, k=64), target, a_key().policy)


@pytest.fixture
def stored():
    """A function that keeps records in the database that `tune` opens here."""

    def keep(*records):
        store = SqlStore.open(os.environ["KERNTUNE_DB"])
        for record in records:
            store.add(record)
        store.close()

    return keep


def a_study(key, count=40):
    """A search of c_tiled as it is now, of which every fifth config fails, and its playoff."""
    (template,) = (template for template in templates("gemm") if template.name == "c_tiled")
    feasible = template.feasible(key.problem, key.target)
    made = {"template_digest": template.digest, "recorded_by": "tests"}
    for place, row in enumerate(range(0, feasible.total, feasible.total // count)):
        fails = {"failure": Failure("compile", f"error {place} [red]in[/red] line")}
        came = fails if place % 5 == 4 else {"us": 100.0 - place}
        yield replace(a_record(key, feasible[row], minutes=place / 60, **made, **came), template="c_tiled")
    baseline = Baseline("vendor blas", (120.0,), 1.25, (1.2, 1.3))
    won = Measurement((90.0, 91.0, 92.0), uses={"registers": 128, "spilled_bytes": 0, "smem_bytes": 49152})
    last = a_record(key, feasible[0], minutes=2, phase="playoff", baseline=baseline, **made)
    yield replace(last, template="c_tiled", outcome=won, verdict=Verdict(91.0, 0.97, 11, ("ab" * 16,)))


def test_the_json_has_everything(stored):
    """By the digest of the best config."""
    key = a_gemm()
    records = list(a_study(key))
    stored(*records)
    out, err = tune(records[-1].config.digest[:10], "--json")
    told = json.loads(out)
    assert tuple(told) == FIELDS
    assert told["key"] == key.digest
    winner = told["winner"]
    assert (winner["median_us"], winner["phase"], winner["samples"]) == (91.0, "playoff", 3)
    assert winner["playoff"] == {"confidence": 0.97, "rounds": 11, "tied_with": ["ab" * 16]}
    assert winner["baseline"]["speedup_interval"] == [1.2, 1.3]
    assert winner["uses"]["registers"] == 128
    searched = len(records) - 1
    assert told["trials"]["failed"] == searched // 5
    assert told["trials"]["measured"] == searched - searched // 5
    (template,) = told["templates"]
    assert template["feasible"] == told["feasible"] > searched
    assert template["is_current"]
    assert template["failures"][0]["kind"] == "compile"
    assert template["parameters"][0]["effect"] > 0
    assert template["parameters"][0]["values"][0].keys() == {"value", "tried", "failed", "best_us"}
    assert [step["us"] for step in told["curve"]] == sorted((step["us"] for step in told["curve"]), reverse=True)
    assert told["top"][0]["differs"] == {}
    assert err == ""


@pytest.mark.parametrize("columns", [80, 120])
def test_people_get_tables_that_fit(stored, columns):
    """What was found, how it came, what failed, what mattered; foreign words are words."""
    stored(*a_study(a_gemm()))
    out, _ = tune(a_gemm().digest[:12], COLUMNS=str(columns))
    assert "gemm 64x64x64 fp32 nn on Model T" in out
    assert "1.25 × vendor blas (95 %: 1.20 … 1.30)" in " ".join(out.split())
    assert "97% sure that no other is faster, after 11 rounds; tied with abababab" in " ".join(out.split())
    assert "registers 128, smem_bytes 49,152, spilled_bytes 0" in " ".join(out.split())
    assert "[red]in[/red] line" in " ".join(out.split())
    assert "moves the time by" in out
    assert "it is the winner" in out
    assert max(len(line.rstrip()) for line in out.splitlines()) <= columns


def test_nobody_is_sure_of_everything(stored):
    """A confidence that rounds to 100 % is told as what it is above."""
    *searched, won = a_study(a_gemm())
    stored(*searched, replace(won, verdict=Verdict(91.0, 0.998, 8)))
    assert "over 99% sure that no other is faster, after 8 rounds" in tune(a_gemm().digest)[0]


def test_several_templates_are_reported_each(stored):
    """With the total above them."""
    key = a_gemm()
    stored(*a_study(key), a_record(key, {"TILE": 8}, us=500.0))
    stored(a_record(key, {"TILE": 9}, failure=Failure("launch", "no")))
    out, _ = tune(key.digest)
    assert "gemm_tiled (as it was: aaaaaaaa): best 500 µs, 2 tried" in out
    assert "c_tiled: best 91 µs" in out
    told = json.loads(tune(key.digest, "--json")[0])
    assert [template["template"] for template in told["templates"]] == ["c_tiled", "gemm_tiled"]
    assert told["feasible"] is None


def test_a_study_of_this_machine_is_found_by_its_problem(stored):
    """Nothing that ran is no hindrance: the failures are what is asked about."""
    target = wiring.open_host("cpu", settings.read()).target
    key = RecordKey(ops()["gemm"].problem("cpu", m=48, n=48, k=48), target, Policy.default_for("cpu"))
    stored(a_record(key, failure=Failure("runtime", "signal 11")))
    out, _ = tune("gemm", "--shape", "48x48x48", "--device", "cpu")
    assert "none: nothing ran to the end" in out
    assert "1 failed" in out
    assert "signal 11" in out
    _, err = tune(key.digest, code=3)
    assert "A study in which nothing ran is found by its problem: tune report OP --shape" in err


def test_the_picture_is_one_page(stored, tmp_path):
    """With plotly in it, and nothing from elsewhere."""
    stored(*a_study(a_gemm()))
    page = tmp_path / "study.html"
    tune(a_gemm().digest, "--picture", page)
    text = page.read_text()
    assert "gemm 64x64x64 fp32 on Model T" in text
    assert 'src="http' not in text


def test_a_digest_of_several_studies_is_told_with_their_keys(stored):
    """One of which then names the study."""
    keys = [a_gemm(), a_gemm(cores=4)]
    stored(*(a_record(key, {"TILE": 8}, us=5.0) for key in keys))
    digest = a_record(config={"TILE": 8}).config.digest
    _, err = tune(digest, code=2)
    assert f'"{digest}" names 2 studies' in err
    assert all(key.digest in err for key in keys)
    assert json.loads(tune(keys[1].digest, "--json")[0])["key"] == keys[1].digest


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["abcdef"], 3, 'no study has a best config whose digest begins with "abcdef"'),
        (["gemm", "--shape", "32x32x32", "--device", "cpu"], 3, "Tune it: tune gemm --shape 32x32x32"),
        (["bayes"], 2, '"bayes" is neither an op (attention, gemm) nor a digest'),
        (["gem", "--shape", "32x32x32"], 2, '"gem" is neither an op (attention, gemm) nor a digest'),
        (
            ["gemm", "--shape", "32x32x32", "--layout", "nt", "--policy", "warm", "--device", "cpu"],
            *(3, "Tune it: tune gemm --shape 32x32x32 --layout nt --device cpu --policy warm"),
        ),
        (["ABCDEF"], 3, 'digest begins with "abcdef"'),
        (["gemm", "--shape", "32x32"], 2, "gemm needs 3 dims"),
        (["abcdef", "--picture", "study.png"], 2, "a picture is written as .html or .json"),
        (["--json", "abcdef"], 3, "no study has a best config"),
    ],
)
def test_bad_words_are_told_with_the_right_code(arguments, code, says):
    """One message on standard error, nothing on standard output."""
    out, err = tune(*arguments, code=code)
    assert out == ""
    assert says in err.strip().splitlines()[-1]


def test_bars_fall_with_the_values():
    """On a log scale, the last of each part; a dot where nothing ran yet."""
    assert sparkline([None, 128.0, 8.0, 1.0], 4) == "·█▄▁"
    assert sparkline([8.0, 8.0], 10) == "▁▁"
    assert sparkline([4.0, 3.0, 2.0, 1.0], 2) == "█▁"
