"""What a report says of a study, from records made for it."""

from dataclasses import replace

import numpy as np
import pytest
from builders import a_key, a_record
from kerntune.cache.records import Baseline, Failure, Measurement, Verdict
from kerntune.spaces.config import Config
from kerntune.tuner.cost_models.effects import LEAST_CONFIGS, effects
from kerntune.tuner.report_picture import picture
from kerntune.tuner.reporting import PAUSE_S, failures_of, report_of


def configs_of(count, seed=0):
    """Random configs: BIG decides, SMALL matters a little, IDLE not; ALWAYS is the same, SPLIT comes with KIND."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        kind = str(rng.choice(["a", "b"]))
        split = {"SPLIT": int(rng.choice([1, 2, 4]))} if kind == "b" else {}
        big, small, idle = (int(rng.choice([1, 2, 4, 8])) for _ in range(3))
        yield {"BIG": big, "SMALL": small, "IDLE": idle, "ALWAYS": 7, "KIND": kind, **split}


def time_us(config):
    return 100.0 * config["BIG"] * (1 + 0.05 * config["SMALL"]) * (1 + 0.2 * config.get("SPLIT", 0))


def a_study(count=60):
    """Records of a search, a second apart; SPLIT=4 fails."""
    return [
        a_record(config=config, failure=Failure("launch", "too large")) if config.get("SPLIT") == 4 else timed(config)
        for config in configs_of(count)
    ]


def timed(config, **more):
    return a_record(config=config, us=time_us(config), **more)


def in_order(*records, gap_s=1.0):
    """The records, recorded one after the other."""
    return [a_record_at(record, place * gap_s) for place, record in enumerate(records)]


def a_record_at(record, seconds):
    later = a_record(minutes=seconds / 60).recorded_at
    return replace(record, recorded_at=later)


def raced_out(config, us):
    return replace(a_record(config=config), outcome=Measurement((us,), raced_out=True))


def test_the_best_so_far_never_rises():
    """Each step is faster than all before, and the last one is the fastest of the search."""
    report = report_of(a_key(), in_order(*a_study()))
    times = [trial.us for trial in report.curve]
    assert times == sorted(times, reverse=True)
    assert len(set(times)) == len(times)
    assert times[-1] == min(trial.us for trial in report.trials if trial.us is not None)
    assert [trial.number for trial in report.trials] == list(range(1, 61))


def test_what_was_raced_out_is_never_the_best():
    """A few samples say that it is slow, not how fast it is."""
    records = in_order(raced_out({"M": 1}, 1.0), a_record(config={"M": 2}, us=10.0), raced_out({"M": 3}, 2.0))
    report = report_of(a_key(), records)
    assert [trial.number for trial in report.curve] == [2]
    assert report.winner.config == Config({"M": 2})
    assert [place.us for place in report.top] == [10.0]
    assert report.templates[0].raced_out == 2
    assert report.templates[0].parameters[0].values[1].best_us is None


def test_a_playoff_decides_whatever_the_search_saw():
    """Its times stand first among the best, with what the winner's rivals have otherwise."""
    baseline = Baseline("vendor", (24.0,), 1.9, (1.8, 2.0))
    won = replace(
        a_record(config={"M": 1, "S": "x"}, us=12.0, phase="playoff", baseline=baseline),
        verdict=Verdict(12.0, 0.98, 9, ("ab",)),
    )
    searched = [
        a_record(config={"M": m, "S": s}, us=us) for m, s, us in ((1, "x", 11.0), (2, "x", 10.0), (3, "y", 9.0))
    ]
    report = report_of(a_key(), in_order(*searched, a_record(config={"M": 2, "S": "x"}, us=13.0, phase="playoff"), won))
    assert report.winner.verdict == won.verdict
    came = [(place.us, place.record.phase) for place in report.top]
    assert came == [(12.0, "playoff"), (13.0, "playoff"), (9.0, "search")]
    assert [dict(place.differs) for place in report.top] == [{}, {"M": 2}, {"M": 3, "S": "y"}]
    assert report.curve[-1].us == 9.0


def test_a_parameter_that_the_winner_lacks_differs_too():
    """And one that only the winner has."""
    records = in_order(a_record(config={"M": 1, "S": 2}, us=9.0), a_record(config={"M": 1, "T": 3}, us=10.0))
    assert dict(report_of(a_key(), records).top[1].differs) == {"S": None, "T": 3}


def test_failures_are_counted_by_kind_and_by_reason():
    """Reasons that differ in their numbers only are one, told as the first one was; of long texts the first line."""
    said = [
        Failure("launch", "smem 114,688 > 101,376"),
        Failure("launch", "smem 229,376 > 101,376"),
        Failure("launch", "no such entry"),
        Failure("compile", "error: 'x' undeclared\nand 40 lines more"),
    ]
    launch, compiled = failures_of(said)
    assert (launch.kind, launch.count) == ("launch", 3)
    assert launch.reasons == (("smem 114,688 > 101,376", 2), ("no such entry", 1))
    assert compiled.reasons == (("error: 'x' undeclared", 1),)


def test_a_config_counts_by_what_came_of_it_last():
    """It failed once and ran later: it is no failure."""
    records = in_order(a_record(config={"M": 1}, failure=Failure("timeout", "10 s")), a_record(config={"M": 1}, us=5.0))
    report = report_of(a_key(), records)
    assert (report.counts.measured, report.counts.failed) == (1, 0)
    assert report.templates[0].failures == ()
    assert [trial.failure for trial in report.trials] == ["timeout", None]


def test_pauses_between_runs_are_none_of_the_seconds():
    """A study that is taken up the next day did not search all night."""
    early, late = in_order(a_record(config={"M": 1}), a_record(config={"M": 2}), gap_s=4.0)
    again = a_record_at(a_record(config={"M": 3}, us=2.0), 4.0 + PAUSE_S + 1)
    report = report_of(a_key(), [again, late, early])
    assert (report.sessions, report.seconds) == (2, 4.0)
    assert report.curve[-1].number == 3


def test_each_template_has_its_own_part():
    """Under its name as it was, the fastest first; one that was edited since has no count of feasible configs."""
    one, other = (
        replace(a_record(config={"M": 1}, us=us, template_digest=d * 32)) for us, d in ((9.0, "1"), (8.0, "2"))
    )
    failed = a_record(config={"M": 2}, failure=Failure("runtime", "signal 11"), template_digest="1" * 32)
    report = report_of(a_key(), in_order(one, other, failed))
    assert [(part.digest[0], part.best_us, part.counts.failed) for part in report.templates] == [
        ("2", 8.0, 0),
        ("1", 9.0, 1),
    ]
    assert [(part.is_current, part.feasible) for part in report.templates] == [(False, None)] * 2
    assert (report.counts.measured, report.counts.failed) == (2, 1)


def test_a_study_in_which_nothing_ran_has_a_report():
    """No winner, no curve, every failure."""
    records = in_order(*(a_record(config={"M": m}, failure=Failure("compile", "no")) for m in range(3)))
    report = report_of(a_key(), records)
    assert report.winner is None
    assert (report.curve, report.top) == ((), ())
    assert report.templates[0].failures[0].count == 3
    assert [tried.failed for tried in report.templates[0].parameters[0].values] == [1, 1, 1]


def test_times_that_something_spoiled_are_counted():
    """And of the winner's own it is said what."""
    busy = {"device": "cpu", "others_share": 0.4}
    spoiled = replace(a_record(config={"M": 1}), outcome=Measurement((5.0,), readings=busy))
    report = report_of(a_key(), in_order(spoiled, a_record(config={"M": 2}, us=6.0)))
    assert report.doubtful == 1
    assert report.warnings == ("other processes used 40% of the processor's cores",)


@pytest.mark.parametrize("seed", range(3))
def test_what_decides_has_the_largest_effect_and_what_does_not_matter_the_least(seed):
    """Among conditional parameters and words; one that never varies has no effect to tell of."""
    configs = [Config(config) for config in configs_of(80, seed)]
    found = effects(configs, [time_us(config) for config in configs])
    order = list(found.by_parameter)
    assert order[0] == "BIG"
    assert order[-1] == "IDLE"
    assert set(order) == {"BIG", "SMALL", "IDLE", "KIND", "SPLIT"}
    assert found.by_parameter["BIG"] > 0.5
    assert found.by_parameter["IDLE"] < 0.02
    assert found.explained > 0.9


def test_times_that_no_parameter_explains_are_told_so():
    """Shuffled, nothing is foretold of configs that were not seen."""
    configs = [Config(config) for config in configs_of(80)]
    shuffled = np.random.default_rng(0).permutation([time_us(config) for config in configs])
    assert effects(configs, shuffled).explained < 0.2


def test_too_few_configs_have_no_effects():
    """Nor have equal times, nor configs that are all alike."""
    configs = [Config({"M": m}) for m in range(LEAST_CONFIGS)]
    assert effects(configs[1:], [1.0 + m for m in range(LEAST_CONFIGS - 1)]) is None
    assert effects(configs, [3.0] * LEAST_CONFIGS) is None
    assert effects([Config({"M": 1})] * LEAST_CONFIGS, [1.0 + m for m in range(LEAST_CONFIGS)]) is None


def test_the_report_ranks_parameters_by_effect_and_values_by_time():
    """A value that failed is there too, and so is absence."""
    parameters = {p.name: p for p in report_of(a_key(), in_order(*a_study(80))).templates[0].parameters}
    assert next(iter(parameters)) == "BIG"
    assert [tried.value for tried in parameters["BIG"].values] == [1, 2, 4, 8]
    assert parameters["ALWAYS"].effect is None
    split = {tried.value: tried for tried in parameters["SPLIT"].values}
    assert split[4].failed == split[4].tried > 0
    assert split[4].best_us is None
    assert split[None].tried > 20


def test_the_picture_shows_every_trial_and_escapes_foreign_words():
    """Words of a config or of a compiler are text, whatever they look like."""
    evil = "<script>alert(1)</script>"
    config = {"KIND": evil}
    records = in_order(*a_study(), a_record(config=config, failure=Failure("compile", evil)), a_record(config=config))
    report = report_of(a_key(), records)
    figure = picture(report)
    shown = [len(trace.x) for trace in figure.data if trace.type == "scatter" and trace.mode == "markers"]
    assert sum(shown) == len(records)
    assert evil not in figure.to_json()
    assert "&lt;script&gt;" in figure.to_json().replace("\\u003c", "<")


def test_a_study_in_which_nothing_ran_has_a_picture():
    """The failures alone."""
    figure = picture(report_of(a_key(), in_order(a_record(config={"M": 1}, failure=Failure("compile", "no")))))
    assert [trace.type for trace in figure.data] == ["scatter", "bar"]
