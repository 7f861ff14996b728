"""Recorded spaces as they lie in files and stores: what they hold, and what is said of those that cannot be read."""

import math
import sys

import numpy as np
import pytest
from builders import a_key, a_record
from fakes import Clock
from kerntune.cache.memory import MemoryStore
from kerntune.cache.records import Failure
from kerntune.spaces import Space
from kerntune.spaces.errors import NoAnswer, NoFeasibleConfig, SpaceError, UsageError
from kerntune.tuner.backends.listed import ListedSpace
from kerntune.tuner.backends.replay import read
from kerntune.tuner.backends.stored import from_store
from kerntune.tuner.budget import Budget
from kerntune.tuner.replaying import replay
from kerntune.tuner.samplers.contract_spaces import conditional
from recordings import RUNTIME_ERROR, a_bowl, a_line, a_result, write_space, write_t4

pytestmark = pytest.mark.replay


def searched(path, sampler="exhaustive", trials=40, seeds=1, time_s=math.inf, **more):
    return replay(read(path), sampler, Budget(trials, time_s), seeds, Clock(), **more)


# --- what a recorded space holds


def test_positions_have_the_recorded_times_failures_and_costs(tmp_path):
    """In µs and seconds; a failure keeps its kind."""
    recorded = read(write_space(tmp_path))
    assert recorded.feasible.total == 40
    assert recorded.time_us(recorded.feasible.index({"X": 30})) == 1000.0 == recorded.optimum_us
    assert recorded.time_us(0) is None
    assert recorded.failures == dict.fromkeys(range(3), Failure("compile", "recorded as a compile error"))
    assert recorded.costs_s.tolist() == [0.5] * 40


def test_rows_are_found_by_their_values_not_by_their_order(tmp_path):
    """Constraints leave a part of the product, and the file lists it backwards."""
    values = {"A": [8, 1, 4], "B": [2, 1], "C": [1, 3]}
    recorded = read(write_space(tmp_path, lambda c: c["A"] + c["B"] / 8 + c["C"] / 64, values, ("A % B == 0",)))
    assert recorded.feasible.total == 10
    for position, config in enumerate(recorded.feasible):
        assert recorded.time_us(position) == 1e3 * (config["A"] + config["B"] / 8 + config["C"] / 64)


def test_configs_of_the_space_that_were_not_recorded_failed(tmp_path):
    """The header counts them; they are charged the median cost."""
    path = write_space(tmp_path, lambda config: None if config["X"] > 35 else a_line(config))
    recorded = read(path)
    assert recorded.feasible.total == 40
    assert recorded.failures[39].reason == "it is in the space and was not recorded: it failed there"
    assert recorded.costs_s[39] == 0.5
    assert [note.partition(":")[0] for note in recorded.notes] == [
        "5 configs of the space have no record",
        "5 configs have no recorded cost",
    ]


@pytest.mark.parametrize("note", ["NOT exhaustive: a random sample", "PARTIAL: recording stopped"])
def test_the_space_of_a_sample_is_its_rows(tmp_path, note):
    """What nobody tried is not there to be proposed, nor to fail."""
    path = write_space(tmp_path, lambda config: None if config["X"] % 2 else a_line(config), note=note)
    recorded = read(path)
    assert [config["X"] for config in recorded.feasible] == list(range(2, 41, 2))
    assert recorded.failures.keys() == {0}
    assert recorded.feasible.find({"X": 5}) is None
    with pytest.raises(SpaceError, match="none of the 20 configs listed"):
        recorded.feasible.index({"X": 5})
    assert recorded.feasible.digest != read(write_space(tmp_path, note=note)).feasible.digest


def test_a_listed_space_is_its_part_of_the_whole():
    """Order, positions, distances and the nearest config are as in the space it was taken from."""
    whole = conditional()
    rows = np.sort(np.random.default_rng(0).choice(len(whole), 13, replace=False))
    space = Space("part")
    symbols = space.add(*whole.parameters)
    space.when(True, symbols[-1])
    listed = ListedSpace(space, whole.matrix(rows[::-1]))
    assert list(listed) == [whole[row] for row in rows.tolist()] == [listed[place] for place in range(13)]
    assert listed.find_all(whole) == [rows.tolist().index(row) if row in rows else None for row in range(len(whole))]
    for row in range(len(whole)):
        distances = listed.distances(whole.matrix()[row])
        assert distances.tolist() == whole.distances(whole.matrix()[row], rows).tolist()
        assert distances[listed.index(listed.nearest(whole[row]))] == distances.min()


@pytest.mark.parametrize("sampler", ["annealing", "genetic", "random", "ranked", "tpe"])
def test_every_sampler_finds_all_of_a_sample(tmp_path, sampler):
    """A listed space is searched like one that is described."""
    path = write_space(
        tmp_path,
        lambda config: None if config["A"] + config["B"] == 5 else a_bowl(config),
        {"A": range(6), "B": range(5)},
        note="a sample",
    )
    assert searched(path, sampler, trials=100).mean_trials == 25


def test_a_space_in_which_nothing_ran_is_no_space_to_search(tmp_path):
    """There is no optimum to hold a search against."""
    with pytest.raises(NoFeasibleConfig, match="none of its 40 configs ran"):
        read(write_space(tmp_path, lambda config: RUNTIME_ERROR))


# --- T4 and stored studies


def test_t4_results_are_a_space_of_what_they_list(tmp_path):
    """Times and costs in their units, kinds of failure; what constraints refused was never feasible."""
    path = write_t4(
        tmp_path,
        a_result({"B": 32, "K": 1}, 2.5),
        a_result({"B": 16, "K": 1}, invalidity="compile"),
        a_result({"B": 16, "K": 2}, invalidity="correctness"),
        a_result({"B": 64, "K": 2}, invalidity="constraints"),
        a_result({"B": 32, "K": 2}, times={"compilation_time": 40.0, "runtimes": [3.0, 5.0]}),
    )
    recorded = read(path)
    assert [dict(config) for config in recorded.feasible] == [
        {"B": 16, "K": 1},
        {"B": 16, "K": 2},
        {"B": 32, "K": 1},
        {"B": 32, "K": 2},
    ]
    assert recorded.times_us[2:].tolist() == [2500.0, 4000.0]
    assert [recorded.failures[row].kind for row in (0, 1)] == ["compile", "incorrect"]
    assert recorded.costs_s == pytest.approx([0.12, 0.12, 0.12, 0.048])
    assert searched(path).by_trials()[40].mean == 1.0


def test_the_later_of_two_results_of_a_config_counts(tmp_path):
    """A config is one trial, however often it was recorded."""
    recorded = read(write_t4(tmp_path, a_result({"B": 1}, 9.0), a_result({"B": 2}, 4.0), a_result({"B": 1}, 5.0)))
    assert recorded.times_us.tolist() == [5000.0, 4000.0]


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"invalidity": "sad"}, '"sad" is not an invalidity of T4'),
        ({"measurements": [{"name": "time", "value": 1.0, "unit": "fortnight"}]}, '"fortnight" is not a unit'),
        ({"measurements": [{"name": "time", "value": -1.0, "unit": "ms"}]}, "a time is positive"),
        ({"measurements": []}, "neither a measurement"),
        ({"configuration": {"B": [1]}}, "values are numbers"),
        ({"configuration": 7}, "is no T4 result: TypeError"),
        ({"times": {"compilation": "long"}}, "is no T4 result: ValueError"),
    ],
)
def test_a_bad_t4_result_is_named_by_its_place(tmp_path, entry, says):
    """The file is foreign text."""
    with pytest.raises(UsageError, match=says) as told:
        read(write_t4(tmp_path, a_result({"B": 1}, 1.0), {**a_result({"B": 2}, 1.0), **entry}))
    assert "results[1]" in str(told.value)


def test_a_stored_study_is_read_back_by_the_digest_of_its_best_config():
    """Its configs, absent parameters too, with the latest time of each; no cost is stored."""
    store, key = MemoryStore(), a_key()
    best = a_record(key, {"M": 16, "SPLIT": 1}, 7.0)
    store.add(best)
    store.add(a_record(key, {"M": 16, "SPLIT": 2, "REDUCE": "atomic"}, 8.0, minutes=1))
    store.add(a_record(key, {"M": 32, "SPLIT": 1}, failure=Failure("timeout", "10 s"), minutes=2))
    store.add(a_record(key, {"M": 99}, 1.0, template_digest="f" * 32))
    recorded = from_store(store, best.config.digest[:8])
    told = {tuple(config.items()): recorded.time_us(row) for row, config in enumerate(recorded.feasible)}
    assert told == {
        (("M", 16), ("SPLIT", 1)): 7.0,
        (("M", 16), ("SPLIT", 2), ("REDUCE", "atomic")): 8.0,
        (("M", 32), ("SPLIT", 1)): None,
    }
    assert recorded.costs_s is None
    assert recorded.name == "gemm 256x256x256 bf16 on GPU X, gemm_tiled"


def test_a_config_that_is_the_best_of_several_studies_is_told_with_their_keys():
    """One of which then names the study."""
    store, keys = MemoryStore(), [a_key(driver=driver) for driver in ("1", "2")]
    for key, us in zip(keys, (5.0, 6.0), strict=True):
        store.add(a_record(key, {"M": 16}, us))
    with pytest.raises(UsageError, match="names 2 studies") as told:
        from_store(store, a_record(config={"M": 16}).config.digest[:8])
    assert all(key.digest in str(told.value) for key in keys)
    assert [from_store(store, key.digest).optimum_us for key in keys] == [5.0, 6.0]
    with pytest.raises(NoAnswer, match="no study has a best config"):
        from_store(store, "abcdef")


# --- files that cannot be read


def without_rows(path):
    path.with_suffix(".parquet").unlink()


def with_damaged_rows(path):
    path.with_suffix(".parquet").write_bytes(b"PAR1 no more")


def with_a_header(text):
    return lambda path: path.write_text(text)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda path: path.unlink(), "No such file or directory"),
        (with_a_header("{"), "is no JSON document"),
        (with_a_header("[" * 100_000), "is no JSON document"),
        (with_a_header("[]"), "is no recorded space"),
        (with_a_header('{"format": "tuning-space/2"}'), "is no recorded space"),
        (with_a_header('{"format": "tuning-space/1", "name": "x"}'), "is damaged: KeyError 'parameters'"),
        (with_a_header('{"format": "tuning-space/1", "name": "x", "parameters": [], "constraints": []}'), "is damaged"),
        (without_rows, "no toy.parquet beside"),
        (with_damaged_rows, "no Parquet file, or damaged"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_by_name(tmp_path, damage, says):
    """What, where, how to mend."""
    path = write_space(tmp_path)
    damage(path)
    with pytest.raises(UsageError, match=says) as told:
        read(path)
    assert "toy" in str(told.value)


def test_rows_that_do_not_fit_their_header_are_told(tmp_path):
    """A column that is missing, a value that is not listed."""
    path = write_space(tmp_path)
    write_space(tmp_path, values={"Y": [1, 2]}, outcome=lambda config: 1.0, name="other")
    rows = path.with_suffix(".parquet")
    rows.write_bytes((tmp_path / "other.parquet").read_bytes())
    with pytest.raises(UsageError, match=r"has no column X"):
        read(path)
    write_space(tmp_path, values={"X": range(50)}, outcome=lambda config: 1.0, name="other")
    rows.write_bytes((tmp_path / "other.parquet").read_bytes())
    with pytest.raises(UsageError, match=r"column X of its rows holds values the header does not list"):
        read(path)


def test_without_pyarrow_the_command_that_installs_it_is_told(tmp_path, monkeypatch):
    """Parquet is an extra."""
    path = write_space(tmp_path)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"pip install 'kerntune\[replay\]'"):
        read(path)
