"""Answers of other shapes: what fits this one, and what the analytic model makes of it."""

from dataclasses import replace

import pytest
from builders import a_target, a_winner
from kerntune.cache.memory import MemoryStore
from kerntune.cache.records import Policy
from kerntune.spaces.config import Config
from kerntune.spaces.targets import Toolchain
from kerntune.templates.catalogue import digests, op_named, templates_named
from kerntune.tuner import answering
from kerntune.tuner.lookup import Query, Stated, seen_from

TARGET = a_target(nvrtc="13.0.88")
OP = op_named("gemm")
(WGMMA,) = templates_named("gemm", ["cuda_wgmma"])
(TILED,) = templates_named("gemm", ["triton_tiled"])


def problem(m, n, k, **fields):
    return OP.problem("gpu", m=m, n=n, k=k, **{"layout": "nt", **fields})


def known(of, us, template=TILED, config=None, target=TARGET):
    return a_winner(of, us, template, config, target)


def asked(of, *records, min_match="near", where=TARGET):
    store = MemoryStore()
    for record in records:
        store.add(record)
    return answering.answer(store, Query(of, Policy(), where), min_match)


def test_a_near_answer_names_the_shape_it_was_measured_at_and_what_it_should_lose():
    """The evidence is the record's own; the slowdown is foretold and never below 1."""
    record = known(problem(4096, 4096, 4096), 180.0)
    answer = asked(problem(4096, 4096, 2048), record)
    assert (answer.match, answer.config, answer.median_us) == ("near", record.config, 180.0)
    assert answer.differences == ("k: 2048 here, 4096 stored",)
    assert answer.problem["k"] == 4096
    assert answer.expected_slowdown >= 1.0


def test_nobody_is_given_a_near_answer_who_did_not_ask_for_one():
    """The farthest match by default is stale."""
    record = known(problem(4096, 4096, 4096), 180.0)
    assert asked(problem(4096, 4096, 2048), record, min_match="stale") is None


def test_the_problem_itself_comes_before_its_neighbours():
    """However slow its record is."""
    of = problem(4096, 4096, 2048)
    answer = asked(of, known(problem(4096, 4096, 4096), 1.0), known(of, 900.0))
    assert (answer.match, answer.median_us) == ("exact", 900.0)


@pytest.mark.parametrize("change", [{"layout": "nn"}, {"dtype": "fp16"}, {"epilogue": "bias"}, {"out_dtype": "fp32"}])
def test_another_kernel_is_not_near(change):
    """Numbers may differ, words may not."""
    assert asked(problem(4096, 4096, 4096, **change), known(problem(4096, 4096, 2048), 90.0)) is None


@pytest.mark.parametrize("shape", [(16, 4096, 4096), (1, 4096, 4096)])
def test_what_is_too_far_off_is_not_near(shape):
    """A kernel of a chip's worth of tiles says nothing of one row."""
    assert asked(problem(*shape), known(problem(4096, 4096, 4096), 180.0)) is None


def test_a_config_that_would_not_fit_is_never_given():
    """TMA stores no rows that begin anywhere: the config is none of the odd problem's."""
    of = problem(4096, 4096, 4096)
    feasible = WGMMA.feasible(of, TARGET)
    stores_by_tma = next(seed for seed in WGMMA.seed_configs(feasible, of, TARGET) if seed["STORE"] == "tma")
    record = known(of, 171.0, WGMMA, stores_by_tma)
    assert asked(problem(4096, 4104, 4096), record).match == "near"
    assert asked(problem(4096, 4097, 4096), record) is None


def test_another_device_or_policy_is_not_near_and_other_tools_are_said():
    """A near answer is of this device; it may be stale besides."""
    of, there = problem(4096, 4096, 2048), problem(4096, 4096, 4096)
    assert asked(of, known(there, 180.0, target=a_target(nvrtc="13.0.88", sm_count=114))) is None
    warm = known(there, 180.0)
    assert asked(of, replace(warm, key=replace(warm.key, policy=Policy("warm")))) is None
    answer = asked(of, known(there, 180.0, target=a_target(nvrtc="12.8.1")))
    assert answer.differences == ("k: 2048 here, 4096 stored", "nvrtc: 13.0.88 here, 12.8.1 stored")


def test_a_template_that_was_edited_since_is_said():
    """The config still fits; its time was another source's."""
    record = replace(known(problem(4096, 4096, 4096), 180.0), template_digest="0" * 32)
    assert any(
        words.startswith("template triton_tiled: ") for words in asked(problem(4096, 4096, 2048), record).differences
    )


def test_a_template_that_is_not_known_here_gives_no_config():
    """Nobody could say whether it fits."""
    record = replace(known(problem(4096, 4096, 4096), 180.0), template="gone")
    assert asked(problem(4096, 4096, 2048), record) is None


def test_tiles_that_waste_less_here_win_over_the_nearest_shape():
    """256 rows in a tile are twice the work at m = 128: what won at 256 is not what should win here."""
    of = problem(128, 4096, 4096)
    config = {"BLOCK_N": 128, "BLOCK_K": 64, "num_stages": 3, "ORDER": "m", "GROUP": 1}
    high, low = Config({"BLOCK_M": 256, "num_warps": 8, **config}), Config({"BLOCK_M": 64, "num_warps": 4, **config})
    near_by, farther = problem(160, 4096, 4096), problem(64, 4096, 4096)
    records = [known(near_by, 40.0, config=high), known(farther, 30.0, config=low)]
    assert asked(of, *records).config == low


def test_the_expected_slowdown_grows_where_a_guess_should_do_better():
    """A config slow for its shape is foretold as slow here, against the template's own seeds."""
    of, there = problem(4096, 4096, 2048), problem(4096, 4096, 4096)
    small = {"BLOCK_M": 32, "BLOCK_N": 32, "BLOCK_K": 32, "num_warps": 4, "num_stages": 3, "ORDER": "m", "GROUP": 4}
    feasible = TILED.feasible(there, TARGET)
    slow = feasible.nearest(small)
    assert asked(of, known(there, 900.0, config=slow)).expected_slowdown > 1.5


def test_a_device_that_is_only_named_is_answered_from_its_own_records():
    """The tools that were not stated are among the differences; asked again by the whole target, they are not."""
    of = problem(4096, 4096, 2048)
    answer = asked(of, known(problem(4096, 4096, 4096), 180.0), where=Stated(TARGET.name, Toolchain()))
    assert (answer.match, answer.differences) == ("near", ("k: 2048 here, 4096 stored", "toolchain not stated"))
    seen = seen_from(TARGET, answer, "near")
    assert (seen.match, seen.differences) == ("near", ("k: 2048 here, 4096 stored",))
    assert seen.expected_slowdown == answer.expected_slowdown
    assert seen_from(a_target(sm_count=114), answer, "near") is None


def test_every_record_that_is_near_was_checked_against_a_space_that_knows_it():
    """The digests that answers are judged by are those of the templates that are here."""
    assert {TILED.name, WGMMA.name} <= digests("gemm").keys()
