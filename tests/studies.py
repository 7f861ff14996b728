"""Studies of c_tiled over fakes, for tests."""

from __future__ import annotations

from builders import a_target
from fakes import Clock
from kerntune.cache.memory import MemoryStore
from kerntune.cache.records import Policy, RecordKey
from kerntune.templates.catalogue import op_named, templates_named
from kerntune.tuner.budget import Budget, Spending
from kerntune.tuner.lanes import Lane
from kerntune.tuner.samplers import make_sampler
from kerntune.tuner.study import Study

TARGET = a_target("cpu")
PROBLEM = op_named("gemm").problem("cpu", m=512, n=512, k=512)
KEY = RecordKey(PROBLEM, TARGET, Policy("cold", "eager"))


def by_depth(config) -> float:
    """A made-up cost with one valley."""
    return 10.0 + abs(config["KC"] - 256) / 64 + abs(config["MR"] - 6) + config["NRV"]


def a_study(engine, store=None, trials=20, sampler="random", clock=None, time_s=1e9, **more) -> Study:
    (template,) = templates_named("gemm", ["c_tiled"])
    feasible = template.feasible(PROBLEM, TARGET)
    seeds = tuple(template.seed_configs(feasible, PROBLEM, TARGET))
    lanes = [Lane(template, feasible, make_sampler(sampler, feasible, seed=1), seeds)]
    spending = Spending(Budget(trials, time_s), clock or Clock())
    return Study(KEY, lanes, engine, store or MemoryStore(), spending, "me@here", seed=1, **more)
