"""The JSON of answers."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from builders import A_STAMP, a_problem, a_target
from kerntune.cache.records import Answer, Baseline, Measurement, Policy, Verdict
from kerntune.cache.wire import (
    answer_from_json,
    answer_to_json,
    baseline_from_json,
    config_from_json,
    details_to_json,
    measurement_from_json,
    problem_from_json,
    speedup_to_json,
    stamp_from_text,
    stamp_to_text,
    verdict_from_json,
    verdict_to_json,
)
from kerntune.spaces.config import Config
from kerntune.spaces.errors import UsageError

AN_ANSWER = Answer(
    config=Config({"BLOCK_M": 64, "ASYNC": True, "REDUCE": "atomic", "SCALE": 0.5}),
    template="gemm_tiled",
    match="stale",
    problem=a_problem(),
    target=a_target(),
    policy=Policy(),
    median_us=1 / 3,
    spread_us=0.25,
    samples=20,
    recorded_at=A_STAMP,
    recorded_by="tests",
    baseline_name="cublas",
    baseline_us=0.5,
    differences=("driver: 550.54 here, 560.28 stored",),
    expected_slowdown=None,
    generation=3,
)


@pytest.mark.parametrize(
    "answer",
    [
        AN_ANSWER,
        replace(AN_ANSWER, baseline_name=None, baseline_us=None, generation=None, expected_slowdown=1.5),
        replace(AN_ANSWER, target=a_target("cpu"), policy=Policy("warm", "eager"), differences=()),
    ],
)
def test_an_answer_crosses_the_wire_unchanged(answer):
    """Through JSON text and back, to the last bit."""
    assert answer_from_json(json.loads(json.dumps(answer_to_json(answer)))) == answer


def test_an_answer_tells_what_can_be_computed_from_it():
    """Readers of JSON need no kerntune for digest and speedup."""
    data = answer_to_json(AN_ANSWER)
    assert data["digest"] == AN_ANSWER.config.digest
    assert data["speedup"] == AN_ANSWER.speedup == pytest.approx(1.5)
    assert answer_to_json(replace(AN_ANSWER, baseline_us=None))["speedup"] is None


@pytest.mark.parametrize(
    "change",
    [
        {"match": "default"},
        {"config": {"BLOCK_M": [64]}},
        {"config": None},
        {"target": {"kind": "gpu"}},
        {"policy": {"cache": "cold", "launch": "graph", "more": 1}},
        {"median_us": "fast"},
        {"evidence": {}},
    ],
)
def test_what_is_no_answer_is_refused(change):
    """Foreign text is checked at the wire."""
    with pytest.raises(UsageError):
        answer_from_json(answer_to_json(AN_ANSWER) | change)


@pytest.mark.parametrize(
    "measurement",
    [
        Measurement((1.0,)),
        Measurement((1.0, 2.0), deterministic=False, raced_out=True, readings={"after": {"power_w": 700.5}}),
        Measurement((1.0,), uses={"registers": 168, "instructions": {"HGMMA": 16}}),
    ],
)
def test_a_measurement_crosses_the_wire_unchanged(measurement):
    """Its samples and, where there is something to say, its details."""
    details = json.loads(json.dumps(details_to_json(measurement)))
    assert measurement_from_json(measurement.samples_us, details) == measurement


def test_what_is_not_known_of_a_measurement_is_not_said():
    """So that a record of an older kerntune keeps its digest."""
    assert details_to_json(Measurement((1.0,))) == {}


def test_what_a_newer_kerntune_says_of_a_measurement_is_passed_over():
    """Additions break no reader."""
    assert measurement_from_json([1.0], {"weather": "fine"}) == Measurement((1.0,))
    verdict = Verdict(1.0, 0.5, rounds=3)
    assert verdict_from_json(verdict_to_json(verdict) | {"weather": "fine"}) == verdict


@pytest.mark.parametrize("details", [{"raced_out": "no"}, {"deterministic": 1}, {"readings": [1]}, {"uses": 168}])
def test_what_are_no_details_is_refused(details):
    """Foreign text is checked at the wire."""
    with pytest.raises(UsageError):
        measurement_from_json([1.0], details)


SLOWER = Baseline("slower", (2.0, 2.5), 2.1, (2.0, 2.2), fault="relative error 0.1")


@pytest.mark.parametrize(
    "baseline",
    [
        Baseline("b", (1.0,)),
        Baseline("b", (1.0,), 1.1),
        Baseline("b", (1.0,), 1.1, (1.05, 1.2)),
        Baseline("b", (1.0,), others=(SLOWER, Baseline("untold", (3.0,)))),
        Baseline("b", (1.0,), 1.1, fault="element [0, 0] is 1, should be 2"),
    ],
)
def test_a_paired_speedup_crosses_the_wire_unchanged(baseline):
    """With its interval, without, or not taken at all; and so do the vendor's slower ways and their faults."""
    said = json.loads(json.dumps(speedup_to_json(baseline)))
    assert baseline_from_json("b", [1.0], said) == baseline


def test_a_missing_field_is_named():
    """The reader learns what the server did not say."""
    data = answer_to_json(AN_ANSWER)
    del data["template"]
    with pytest.raises(UsageError, match=r"'template'.*another version"):
        answer_from_json(data)


def test_a_config_is_flat():
    """A nested value cannot be a parameter's."""
    with pytest.raises(UsageError, match="BLOCK_M=None is not plain"):
        config_from_json({"BLOCK_M": None})


def test_a_problem_crosses_the_wire_without_its_facts():
    """Facts follow from the fields; the op gives them."""
    problem = a_problem()
    back = problem_from_json(json.loads(problem.canonical()))
    assert back == problem
    assert back.facts == ()


def test_a_stamp_is_written_in_utc_to_the_microsecond():
    """So that text sorts as time does, also on the full second."""
    tokyo = datetime(2026, 11, 23, 0, 0, 0, tzinfo=timezone(timedelta(hours=9)))
    assert stamp_to_text(tokyo) == "2026-11-22T15:00:00.000000+00:00"
    assert stamp_from_text(stamp_to_text(tokyo)) == tokyo
    assert stamp_from_text(stamp_to_text(tokyo)).tzinfo == UTC
