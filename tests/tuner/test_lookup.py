"""What a lookup may say of recorded facts."""

from dataclasses import replace
from datetime import timedelta

import pytest
from builders import a_key, a_problem, a_record, a_target
from kerntune.cache.records import Baseline, Failure, Policy
from kerntune.spaces.errors import UnknownName
from kerntune.spaces.targets import Toolchain
from kerntune.tuner.lookup import Query, Stated, explain_miss, rank, seen_from

THE_TOOLCHAIN = Toolchain(driver="550.54", cuda="13.0", triton="3.6.0")


def a_query(where=None, problem=None, policy=None):
    return Query(problem or a_problem(), policy or Policy(), where or a_target())


def test_a_record_of_the_same_target_is_exact():
    """Nothing differs, so the config is expected to be as fast as measured."""
    answer = rank(a_query(), [a_record()])
    assert (answer.match, answer.differences, answer.expected_slowdown) == ("exact", (), 1.0)


def test_the_answer_carries_the_evidence():
    """Config, time, spread, samples, baseline, when and by whom are the record's own."""
    record = a_record(us=(9.0, 10.0, 11.0), recorded_by="ada", baseline=Baseline("cublas", (20.0,)))
    answer = rank(a_query(), [record])
    assert (answer.config, answer.median_us, answer.spread_us, answer.samples) == (record.config, 10.0, 0.5, 3)
    assert (answer.recorded_by, answer.recorded_at) == ("ada", record.recorded_at)
    assert (answer.baseline_name, answer.speedup) == ("cublas", 2.0)


def test_another_toolchain_makes_it_stale_and_says_each_difference():
    """The config may still be good, but how good is not known."""
    record = a_record(a_key(driver="560.28", power_limit_w=500))
    answer = rank(a_query(), [record])
    assert (answer.match, answer.expected_slowdown) == ("stale", None)
    assert set(answer.differences) == {"driver: 550.54 here, 560.28 stored", "power_limit_w: 700 here, 500 stored"}


@pytest.mark.parametrize("change", [{"name": "GPU Y"}, {"sm_count": 114}, {"smem_per_block_bytes": 101376}])
def test_another_device_is_no_answer(change):
    """A time of other hardware is not this device's time, and neither is its config."""
    assert rank(a_query(), [a_record(a_key(**change))], min_match="model") is None


def test_another_policy_is_no_answer():
    """A time with a warm cache says nothing of one with a cold cache."""
    assert rank(a_query(policy=Policy("warm")), [a_record()]) is None


def test_another_problem_is_no_answer():
    """Even if a store hands it in."""
    assert rank(a_query(problem=a_problem(m=128)), [a_record()]) is None


def test_a_failure_is_no_answer():
    """A config that failed is known, but not for use."""
    assert rank(a_query(), [a_record(failure=Failure("compile", "no"))]) is None


def test_a_device_name_with_its_whole_toolchain_is_exact():
    """Every tool that had a part in the time is stated, and the same."""
    assert rank(a_query(Stated("GPU X", THE_TOOLCHAIN)), [a_record()]).match == "exact"


def test_tools_without_a_part_in_the_time_do_not_matter():
    """A caller may state all tools it has."""
    stated = Toolchain(driver="550.54", cuda="13.0", triton="3.6.0", nvrtc="13.0", compiler="gcc 14.2")
    assert rank(a_query(Stated("GPU X", stated)), [a_record()]).match == "exact"


def test_a_toolchain_stated_in_part_is_stale():
    """What was not said may differ."""
    answer = rank(a_query(Stated("GPU X", Toolchain(driver="550.54", cuda="12.8"))), [a_record()])
    assert answer.match == "stale"
    assert set(answer.differences) == {"cuda: 12.8 here, 13.0 stored", "triton: not stated here, 3.6.0 stored"}


def test_without_a_toolchain_a_match_is_at_best_stale():
    """The one difference says so."""
    answer = rank(a_query(Stated("GPU X")), [a_record()])
    assert (answer.match, answer.differences) == ("stale", ("toolchain not stated",))


def test_a_name_that_several_devices_bear_is_not_exact():
    """One processor model stands in machines of 2 and of 64 cores; the name alone does not say which."""
    records = [a_record(a_key(kind="cpu", cores=cores)) for cores in (2, 64)]
    answer = rank(a_query(Stated("Model T", Toolchain(compiler="gcc 14.2", flags="-O3"))), records)
    assert answer.match == "stale"
    assert answer.differences[0].startswith("cores: not stated here, ")


def test_an_unknown_device_name_is_no_answer():
    """Names are compared whole."""
    assert rank(a_query(Stated("GPU")), [a_record()]) is None


def test_exact_comes_before_stale_even_if_slower_and_older():
    """A time that is this target's own beats a better one that may not hold."""
    own = a_record(us=20.0, minutes=0)
    stale = a_record(a_key(driver="560.28"), us=10.0, minutes=5)
    assert rank(a_query(), [stale, own]).median_us == 20.0


def test_fewer_differences_come_first():
    """One other tool is nearer than two, whatever the times."""
    one = a_record(a_key(driver="560.28"), us=20.0)
    two = a_record(a_key(driver="560.28", cuda="12.8"), us=10.0, minutes=5)
    assert rank(a_query(), [two, one]).median_us == 20.0


def test_of_equally_near_ones_the_newest_then_the_fastest_then_the_smallest_digest_wins():
    """So that the same facts give the same answer in whatever order they come."""
    older = a_record(a_key(driver="1"), us=5.0)
    newer = a_record(a_key(driver="2"), us=9.0, minutes=1)
    faster = a_record(a_key(driver="3"), us=8.0, minutes=1)
    twins = [a_record(a_key(driver=d), {"BLOCK_M": b}, us=8.0, minutes=1) for d, b in (("4", 16), ("5", 32))]
    smallest = min((faster, *twins), key=lambda record: record.config.digest)
    assert rank(a_query(), [older, newer]).median_us == 9.0
    assert rank(a_query(), [older, newer, faster]).median_us == 8.0
    for records in ([older, newer, faster, *twins], [*twins, faster, newer, older]):
        assert rank(a_query(), records).config == smallest.config


@pytest.mark.parametrize(
    ("min_match", "stale_accepted"), [("exact", False), ("stale", True), ("near", True), ("model", True)]
)
def test_min_match_is_the_farthest_kind_accepted(min_match, stale_accepted):
    """Who accepts near accepts stale too; everyone accepts exact."""
    stale = [a_record(a_key(driver="560.28"))]
    assert (rank(a_query(), stale, min_match) is not None) is stale_accepted
    assert rank(a_query(), [*stale, a_record()], min_match).match == "exact"


def test_an_unknown_kind_of_match_is_refused_with_the_known_ones():
    """A typo is not a kind of match."""
    with pytest.raises(UnknownName, match="exact, model, near, stale"):
        rank(a_query(), [a_record()], "close")


def test_no_record_is_no_answer_and_no_explanation():
    """Nothing known, nothing said."""
    assert rank(a_query(), []) is None
    assert explain_miss(a_query(), []) == []


def test_a_miss_is_explained_by_the_nearest_record():
    """The record with the fewest differences, field by field."""
    far = a_record(a_key(problem=a_problem(m=64, n=64), driver="560.28"))
    near = a_record(a_key(problem=a_problem(m=128)))
    assert explain_miss(a_query(), [far, near]) == ["m: 256 here, 128 stored"]


def test_a_miss_by_device_name_names_both_devices():
    """The name was all that was said."""
    query = a_query(Stated("GPU Z", THE_TOOLCHAIN))
    assert explain_miss(query, [a_record()]) == ["device: GPU Z here, GPU X stored"]


def test_a_miss_by_policy_names_the_policy():
    """A warm time where a cold one is asked for."""
    record = a_record(a_key(policy=Policy("warm")))
    assert explain_miss(a_query(), [record]) == ["policy cache: cold here, warm stored"]


def test_an_answer_found_by_name_is_judged_again_by_the_whole_target():
    """Same name, other cores: not this device's; other driver: stale; all the same: exact."""
    stored = a_record(a_key(kind="cpu"))
    answer = rank(a_query(Stated("Model T", Toolchain(compiler="gcc 14.2", flags="-O3"))), [stored])
    assert answer.match == "exact"
    assert seen_from(a_target("cpu", cores=64), answer) is None
    assert seen_from(a_target("cpu"), answer) == answer
    newer = seen_from(a_target("cpu", compiler="gcc 15.1"), answer)
    assert (newer.match, newer.expected_slowdown) == ("stale", None)
    assert newer.differences == ("compiler: gcc 15.1 here, gcc 14.2 stored",)
    assert seen_from(a_target("cpu", compiler="gcc 15.1"), answer, min_match="exact") is None


def test_a_template_edited_since_makes_the_match_stale():
    """A time of other source is not this kernel's time; it says which template."""
    record = a_record()
    edited = {record.template: "f" * 32}
    answer = rank(a_query(), [record], templates=edited)
    assert answer.match == "stale"
    assert answer.differences == (f"template {record.template}: ffffffff here, aaaaaaaa stored",)
    assert rank(a_query(), [record], templates={record.template: record.template_digest}).match == "exact"


def test_of_two_templates_of_one_key_the_faster_one_answers():
    """Both are current: when they were recorded does not matter."""
    slow_but_new = replace(a_record(us=20.0), template="other", template_digest="b" * 32)
    fast = replace(a_record(us=10.0), recorded_at=slow_but_new.recorded_at - timedelta(days=1))
    assert rank(a_query(), [slow_but_new, fast]).median_us == 10.0


def test_a_playoff_answers_before_a_faster_search_of_the_same_key():
    """Search times flatter; the interleaved run is what stands."""
    searched = replace(a_record(config={"BLOCK_M": 16}, us=5.0), phase="search")
    settled = replace(a_record(config={"BLOCK_M": 32}, us=9.0), phase="playoff", template_digest="b" * 32)
    assert rank(a_query(), [searched, settled]).median_us == 9.0
