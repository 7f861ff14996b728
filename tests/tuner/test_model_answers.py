"""Answers of the learned model: where nothing near is known, what results elsewhere say."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from builders import a_record, a_target
from kerntune.cache.memory import MemoryStore
from kerntune.cache.records import Failure, Policy, RecordKey
from kerntune.spaces.explanation import FEASIBLE
from kerntune.spaces.targets import Toolchain
from kerntune.templates.catalogue import op_named, templates_named
from kerntune.tuner import answering
from kerntune.tuner.lookup import Query, Stated, seen_from

TARGET = a_target(nvrtc="13.0.88")
OP = op_named("gemm")
(TILED,) = templates_named("gemm", ["triton_tiled"])


def problem(m, n, k, **fields):
    return OP.problem("gpu", m=m, n=n, k=k, **{"layout": "nt", **fields})


THERE, HERE = problem(2048, 2048, 2048, dtype="fp16"), problem(2048, 4096, 2048)
"""Another dtype is not near, whatever the shape."""

SLOWER = 1.5


@lru_cache
def results():
    """120 configs of THERE, each taking SLOWER × what the analytic model says; every tenth fails."""
    feasible = TILED.feasible(THERE, TARGET)
    rows = feasible.draw(np.random.default_rng(1), 120)
    times_us = TILED.estimates_us(feasible, THERE, TARGET, rows)
    key = RecordKey(THERE, TARGET, Policy())
    made = [
        a_record(key, feasible[row], float(us) * SLOWER, template_digest=TILED.digest, minutes=number)
        if number % 10 != 9
        else a_record(key, feasible[row], failure=Failure("launch", "no"), template_digest=TILED.digest, minutes=number)
        for number, (row, us) in enumerate(zip(rows, times_us, strict=True))
    ]
    return tuple(replace(record, template=TILED.name) for record in made)


def asked(of=HERE, min_match="model", where=TARGET, records=None):
    store = MemoryStore()
    store.add_many(results() if records is None else records)
    return answering.answer(store, Query(of, Policy(), where), min_match)


@pytest.fixture(scope="module")
def answer():
    return asked()


def test_it_is_a_config_of_this_problem_and_says_that_nobody_measured_it(answer):
    """The evidence is that of the source it rests on."""
    assert (answer.match, answer.template, answer.samples) == ("model", TILED.name, 0)
    assert TILED.space.explain(answer.config, HERE, TARGET) == FEASIBLE
    assert (answer.problem, answer.target) == (HERE, TARGET)
    assert answer.differences[0].startswith("not measured: foretold from 120 results of 1 study: gemm 2048x2048x2048")
    assert answer.recorded_by == results()[0].recorded_by
    assert answer.expected_slowdown > 1.0


def test_what_estimates_missed_there_is_what_they_miss_here(answer):
    """Times there were 1.5 × the estimate: so is the time that is foretold, of a config that is among the best."""
    feasible = TILED.feasible(HERE, TARGET)
    rows = range(len(feasible))
    estimates_us = TILED.estimates_us(feasible, HERE, TARGET, rows)
    row = feasible.index(answer.config)
    assert answer.median_us == pytest.approx(SLOWER * estimates_us[row], rel=0.1)
    assert estimates_us[row] < 1.1 * min(estimates_us)


def test_nobody_is_given_one_who_did_not_ask_for_it():
    """The farthest match before it is near, and nothing is near."""
    assert asked(min_match="near") is None


def test_what_is_nearer_comes_first():
    """A record of the problem, or of a shape that is near."""
    of = problem(2048, 4096, 2048, dtype="fp16")
    assert asked(of).match == "near"
    assert asked(THERE).match == "exact"


def test_another_device_may_be_what_is_known():
    """A sibling's results order configs here too; the loss that is expected grows with the distance."""
    sibling = a_target(nvrtc="13.0.88", name="NVIDIA H100", sm_count=114)
    elsewhere = asked(where=sibling)
    assert elsewhere.match == "model"
    assert elsewhere.target == sibling
    assert elsewhere.expected_slowdown > asked().expected_slowdown


def test_a_device_by_its_name_is_the_one_that_is_recorded():
    """And what was not said of it is a difference."""
    named = asked(where=Stated(TARGET.name, Toolchain()))
    assert named.target == TARGET
    assert named.differences[1:] == ("toolchain not stated",)
    assert asked(where=Stated("NVIDIA B200", Toolchain())) is None


def test_where_nothing_is_known_nothing_is_said():
    """Failures alone teach nothing of times."""
    assert asked(records=()) is None
    assert asked(records=[record for record in results() if record.measurement is None]) is None


def test_a_caller_judges_it_again_for_the_target_it_stands_on(answer):
    """A server that was told a name gives the device it knows; another device's answer is not taken."""
    assert seen_from(TARGET, answer) == answer
    assert seen_from(a_target(nvrtc="13.0.88", sm_count=114), answer) is None
