"""What a stranger's record must be to be a fact here."""

from dataclasses import replace
from datetime import timedelta

import pytest
from asking import a_gemm_record
from builders import a_problem, a_target
from kerntune.cache.records import Policy, RecordKey
from kerntune.spaces.config import Config
from kerntune.spaces.problems import Problem
from kerntune.tuner.record_checks import MOST_AHEAD, RecordChecks
from uploads import NOW, a_failed_record, a_full_record

CHECKS = RecordChecks(now=lambda: NOW)
OURS, FOREIGN = a_full_record(), a_gemm_record()


def with_problem(record, **changes):
    """The record of a problem with other fields; None takes one away."""
    fields = {
        name: value for name, value in {**dict(record.key.problem.fields), **changes}.items() if value is not None
    }
    return replace(record, key=replace(record.key, problem=Problem("gemm", tuple(fields.items()))))


@pytest.mark.parametrize("record", [OURS, FOREIGN, a_failed_record()])
def test_records_as_they_are_made_here_are_kept(record):
    """Of our templates and of others, times and failures."""
    assert CHECKS.record(record) is None
    assert CHECKS.key(record.key) is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"dtype": "fp3"}, "fp3"),
        ({"dtype": None}, "dtype is missing"),
        ({"m": 0}, "from 1 to"),
        ({"m": True}, "m is"),
        ({"m": "4096"}, "m"),
        ({"batch": None}, "batch is missing"),
        ({"colour": "red"}, "no field colour"),
    ],
)
def test_a_problem_that_its_op_does_not_have_is_refused(changes, said):
    """Whether of a record or of an incident's key."""
    record = with_problem(OURS, **changes)
    assert said in CHECKS.record(record)
    assert said in CHECKS.key(record.key)


def test_an_op_that_there_is_not_is_refused():
    """Its name is mended."""
    assert 'Did you mean "gemm"' in CHECKS.key(RecordKey(a_problem("gem"), a_target(), Policy()))


def test_a_stamp_of_the_future_is_refused():
    """It would count as the latest for ever; a clock that is a little ahead does no harm."""
    assert CHECKS.record(replace(OURS, recorded_at=NOW + MOST_AHEAD)) is None
    assert "ahead of the clock" in CHECKS.record(replace(OURS, recorded_at=NOW + MOST_AHEAD + timedelta(seconds=1)))
    assert CHECKS.record(replace(OURS, recorded_at=NOW - timedelta(days=9000))) is None


def config_with(**changes):
    return Config({name: value for name, value in {**OURS.config, **changes}.items() if value is not None})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"template": "other"}, "template says other"),
        ({"space_digest": "0" * 32}, "space_digest is not that"),
        ({"config": config_with(BLOCK_M=48)}, "none of triton_tiled"),
        ({"config": config_with(BLOCK_M=None)}, "none of triton_tiled"),
        ({"config": config_with(SURPRISE=1)}, "none of triton_tiled"),
        ({"config": config_with(BLOCK_M=float(OURS.config["BLOCK_M"]))}, "and the space has"),
        ({"key": replace(OURS.key, target=a_target("cpu"))}, ""),
    ],
)
def test_a_record_of_our_template_fits_its_space(change, said):
    """Values and their types: what was never feasible was never run."""
    objection = CHECKS.record(replace(OURS, **change))
    assert objection is not None
    assert said in objection


@pytest.mark.parametrize(
    "change",
    [
        {"template": "a template"},
        {"template": "../x"},
        {"config": Config({"x y": 1})},
        {"config": Config({"X": "a; rm -rf /"})},
        {"config": Config({"X": "{{ 1 }}"})},
        {"config": Config({"X": 'a"b'})},
    ],
)
def test_of_a_foreign_template_plain_names_and_words_are_kept(change):
    """What a page, a header or a shell could take for more is not."""
    assert "plain" in CHECKS.record(replace(FOREIGN, **change))


def test_an_objection_shows_foreign_words_without_control_characters():
    """It goes into answers and logs."""
    assert CHECKS.record(with_problem(OURS, **{"a\x1b[2J": 1})).isprintable()
    assert CHECKS.record(replace(FOREIGN, config=Config({"X": "\x1b[2J\u202e"}))).isprintable()
