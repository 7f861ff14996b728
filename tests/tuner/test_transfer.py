"""What a search starts from: nearness of keys, and the results of near ones."""

import os
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from builders import A_STAMP, a_target
from fakes import FakeEngine
from kerntune.cache.memory import MemoryStore
from kerntune.cache.memory_studies import MemoryStudies
from kerntune.cache.records import Failure, Measurement, Policy, Record, RecordKey
from kerntune.spaces.config import Config
from kerntune.templates.catalogue import op_named, templates_named
from kerntune.tuner import transfer, tuning, wiring
from kerntune.tuner.budget import Budget
from kerntune.tuner.hosts import Host
from kerntune.tuner.nearness import distance

(C_TILED,) = templates_named("gemm", ["c_tiled"])
WRONG, TOO_LARGE = Failure("incorrect", "off by 3"), Failure("constraints", "too large")
OLDER = replace(C_TILED, source="older.c.jinja")


def a_place(m=512, n=512, k=512, policy="cold", **changes):
    """A key of fp32 gemm on a processor, but for `changes` of the target."""
    problem = op_named("gemm").problem("cpu", m=m, n=n, k=k)
    return RecordKey(problem, a_target("cpu", **changes), Policy.named("cpu", policy))


HERE = a_place()
FEASIBLE = C_TILED.feasible(HERE.problem, HERE.target)


def by_shape(key):
    """Made-up times with one valley, whose floor is at MR 6 and the same depth everywhere."""
    size = key.problem.dim("m") / 512
    return lambda config: size * (10.0 + abs(config["KC"] - 256) / 64 + abs(config["MR"] - 6) + config["NRV"])


def a_result(key, config, outcome=None, minutes=0, **changes):
    """A record of the search of a key; of its made-up time, unless another outcome is said."""
    made = Record(
        key=key,
        template="c_tiled",
        template_digest=C_TILED.digest,
        space_digest=C_TILED.space.digest,
        config=config,
        outcome=outcome or Measurement((by_shape(key)(config),)),
        recorded_at=A_STAMP + timedelta(minutes=minutes),
        recorded_by="tests",
    )
    return replace(made, **changes)


def a_store(*keys, configs=40):
    """A store with a study of each key over the same configs."""
    store = MemoryStore()
    for key in keys:
        for config in FEASIBLE.sample(np.random.default_rng(1), configs):
            store.add(a_result(key, config))
    return store


def start_here(store):
    return transfer.starts(store, HERE, {C_TILED: FEASIBLE})[C_TILED]


@pytest.mark.parametrize(
    ("near", "far"),
    [
        (a_place(compiler="gcc 13.1"), a_place(m=1024)),
        (a_place(m=1024), a_place(m=4096)),
        (a_place(m=1024, n=1024, k=1024), a_place(m=4096)),
        (a_place(m=1024), a_place(threads=1)),
        (a_place(threads=1), a_place(isa=("avx", "avx2", "avx512f", "fma"))),
    ],
    ids=["tools before shapes", "shapes by size", "three doublings before two", "shapes before devices", "by device"],
)
def test_the_nearer_of_two(near, far):
    """Older tools, then shapes by their ratio, then devices of the same instructions, then others."""
    assert 0 < distance(HERE, near) < distance(HERE, far)


def test_another_kind_of_device_is_never_near():
    """A processor tells a GPU nothing, and the other way round."""
    assert distance(HERE, replace(HERE, target=a_target("gpu"))) is None
    assert distance(HERE, HERE) == 0.0


def test_sources_are_the_nearest_and_come_nearest_first():
    """At most eight, this very study not among them."""
    shapes = [600, 520, 700, 540, 660, 580, 620, 560, 640, 680]
    near = start_here(a_store(HERE, *(a_place(m=m) for m in shapes), configs=3)).known
    assert [rows.source for rows in near] == [f"gemm {m}x512x512 fp32 nn on this device" for m in sorted(shapes)[:8]]
    assert [rows.distance for rows in near] == sorted(rows.distance for rows in near)


def test_a_limit_met_on_another_device_says_nothing_and_a_wrong_result_does():
    """Another device has other limits; wrong numbers are the config's own."""
    other, older = a_place(threads=1), a_place(compiler="gcc 13.1")
    store = MemoryStore()
    for key in (other, older):
        for config, outcome in zip(FEASIBLE[:3], (None, WRONG, TOO_LARGE), strict=True):
            store.add(a_result(key, config, outcome))
    on_older, on_other = start_here(store).known
    assert np.isnan(on_older.times_us).sum() == 2
    assert np.isnan(on_other.times_us).sum() == 1


def test_of_a_config_tried_twice_the_last_counts_and_playoffs_do_not():
    """A source is what a search saw of each config."""
    config = FEASIBLE[0]
    store = MemoryStore()
    for minutes, us in enumerate((9.0, 7.0)):
        store.add(a_result(a_place(m=600), config, Measurement((us,)), minutes))
    store.add(a_result(a_place(m=600), config, Measurement((5.0,)), 2, phase="playoff"))
    (rows,) = start_here(store).known
    assert rows.times_us.tolist() == [7.0]


def test_times_stand_at_their_configs():
    """Whatever the order of the records; also of a config that was raced out."""
    store = a_store(a_place(m=600))
    slow = FEASIBLE[FEASIBLE.total - 1]
    store.add(a_result(a_place(m=600), slow, Measurement((99.0,), raced_out=True)))
    (rows,) = start_here(store).known
    told = {rows.feasible[row]: us for row, us in zip(rows.rows, rows.times_us, strict=True)}
    assert told[slow] == 99.0
    assert all(us == by_shape(a_place(m=600))(config) for config, us in told.items() if config != slow)


def test_an_edited_template_counts_where_its_parameters_still_have_their_values():
    """Its source differs, so it is a little farther; a value that is gone says nothing."""
    config = FEASIBLE[0]
    store = MemoryStore()
    for changed in ({}, {"KC": 7}, {"GONE": 1}):
        store.add(a_result(HERE, Config({**config, **changed}), Measurement((5.0,)), template_digest="e" * 32))
    (rows,) = start_here(store).known
    assert [rows.feasible[row] for row in rows.rows] == [config]
    assert rows.distance == transfer.EDITED


def test_a_source_of_many_results_gives_its_fastest_and_some_of_the_others(monkeypatch):
    """What is fast says most; what is slow says where not to go."""
    monkeypatch.setattr(transfer, "MOST_RESULTS", 10)
    (rows,) = start_here(a_store(a_place(m=600), configs=40)).known
    all_us = sorted(by_shape(a_place(m=600))(c) for c in FEASIBLE.sample(np.random.default_rng(1), 40))
    assert sorted(rows.times_us)[:5] == all_us[:5]
    assert rows.times_us.max() == all_us[-1]
    assert len(rows.times_us) == 10


def test_the_analytic_model_is_told_all_facts_of_a_stored_problem():
    """A store keeps fields only, and a model may read what follows from them."""
    seen = []

    def work(problem, target, of):
        seen.append(problem["flops"])
        return C_TILED.work(problem, target, of)

    near = a_place(m=600)
    stored = a_store(replace(near, problem=replace(near.problem, facts=())))
    transfer.starts(stored, HERE, {replace(C_TILED, work=work): FEASIBLE})
    assert seen == [near.problem["flops"]]


def test_nothing_near_costs_nothing():
    """No model is fitted, and the library that would fit it is not imported."""
    code = (
        "import sys, test_transfer as t;"
        "assert t.start_here(t.a_store(t.HERE, configs=3)) == t.transfer.NOTHING;"
        "assert not {'xgboost', 'optuna'} & set(sys.modules)"
    )
    path = os.pathsep.join(str(folder) for folder in Path(__file__).parents[:2])
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": path})


@pytest.fixture
def tune(monkeypatch):
    """A function (store, judge, …) -> (Report, configs in the order measured), on a processor of our own."""

    def tuned(store, judge=None, trials=12, **more):
        fake = FakeEngine(judge or by_shape(HERE))
        host = Host(HERE.target, frozenset({"cpu"}), lambda problem, policy: fake, lambda: 1 << 40, {})
        monkeypatch.setattr(wiring, "open_host", lambda name, settings: host)
        monkeypatch.setattr(wiring, "open_store_and_studies", lambda settings, url=None: (store, MemoryStudies()))
        shape = {"m": 512, "n": 512, "k": 512}
        report = tuning.run(tuning.Request("gemm", shape, budget=Budget(trials, 1e9), templates=("c_tiled",), **more))
        return report, fake.measured

    return tuned


def test_the_winner_of_a_near_shape_is_tried_right_after_the_default(tune):
    """And the report says what the search started from."""
    near = a_place(m=600)
    store = a_store(near)
    report, measured = tune(store)
    assert measured[1] == store.best(near).config
    assert report.notes["transfer"] == "started from 40 results of 1 study: gemm 600x512x512 fp32 nn on this device"


def test_without_transfer_a_search_starts_from_the_templates_own_seeds(tune):
    """As on an empty store."""
    report, measured = tune(a_store(a_place(m=600)), transfer=False)
    assert measured == tune(MemoryStore())[1]
    assert "transfer" not in report.notes


def test_a_neighbour_that_misleads_does_not_ruin_a_search(tune):
    """Its times say nothing of those here; the search finds the floor all the same."""
    store = MemoryStore()
    rng = np.random.default_rng(3)
    for config in FEASIBLE.sample(rng, 200):
        store.add(a_result(a_place(m=600), config, Measurement((float(rng.lognormal(2, 1)),))))
    report, _ = tune(store, trials=60)
    floor_us = min(by_shape(HERE)(config) for config in FEASIBLE)
    assert report.answer.median_us <= 1.1 * floor_us
