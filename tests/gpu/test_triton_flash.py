"""triton_flash on a GPU: every way to load, mask and share out tiles, checked and timed as every study does."""

import numpy as np
import pytest
from kerntune.templates.catalogue import op_named, templates_named

pytestmark = [pytest.mark.gpu, pytest.mark.triton]

(TEMPLATE,) = templates_named("attention", ["triton_flash"])
WAYS = (
    {"LOADS": "tma", "STORE": "tma"},
    {"LOADS": "tma", "STORE": "pointer"},
    {"LOADS": "pointer"},
    {"PROGRAMS": "sms", "LOADS": "tma"},
    {"MASKS": "all"},
    {"MASKS": "branch"},
    {"MASKS": "edges"},
    {"DIMS": "two"},
    {"num_stages": 1},
    {"MOST_REGISTERS": 128},
)
SHAPES = [
    (4, 16, 1024, 128, {"causal": "yes", "kv_heads": 4, "lse": "yes"}),
    (2, 8, 1000, 64, {"layout": "bshd", "kv_len": 777, "lse": "yes"}),
    (2, 8, 999, 80, {"causal": "lower_right", "kv_len": 1301, "dtype": "fp16"}),
    (2, 8, 700, 96, {"causal": "lower_right", "kv_len": 300, "layout": "bshd", "lse": "yes"}),
    (1, 8, 2048, 128, {"causal": "yes", "window": 300, "kv_heads": 1}),
    (1, 8, 900, 64, {"window": 100, "kv_len": 700, "lse": "yes"}),
    (1, 8, 1024, 256, {"causal": "yes", "soft_cap": 30}),
    (2, 8, 640, 64, {"bias": "additive", "kv_len": 512}),
    (2, 8, 641, 128, {"bias": "alibi", "causal": "yes", "dtype": "fp16"}),
    (1, 8, 512, 64, {"dtype": "fp32", "causal": "yes"}),
    (1, 8, 512, 128, {"dtype": "tf32", "lse": "yes"}),
    (6, 8, 1000, 128, {"varlen": "yes", "causal": "yes", "kv_heads": 2, "lse": "yes"}),
    (5, 8, 500, 64, {"varlen": "yes", "causal": "lower_right", "kv_len": 900, "window": 200}),
]


@pytest.fixture
def backends(target, tmp_path):
    """As `tune` has it, binary cache and all."""
    from kerntune.tuner.backends.binary_cache import BinaryCache
    from kerntune.tuner.backends.triton import TritonBackend

    return lambda: {"triton": TritonBackend(target, 8, BinaryCache(tmp_path / "cache" / "binaries"))}


def problem(b, h, s, d, fields):
    return op_named("attention").problem("gpu", **({"b": b, "h": h, "s": s, "d": d, "dtype": "bf16"} | fields))


def candidates(of, target, count, **fixed):
    """Drawn from the feasible configs with the `fixed` values."""
    feasible = TEMPLATE.feasible(of, target)
    drawn = feasible.sample(np.random.default_rng(7), 3000)
    configs = [config for config in drawn if fixed.items() <= dict(config).items()][:count]
    return [TEMPLATE.candidate(feasible, of, target, config) for config in configs]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_way_is_right(engine_for, right, target, shape):
    """Of all masks, layouts and types, and lengths that divide nothing."""
    of = problem(*shape)
    assert TEMPLATE.supports(of, target) is None
    wanted = [candidate for way in WAYS for candidate in candidates(of, target, 1, **way)]
    assert len(wanted) >= 5
    assert right(engine_for(of), wanted) is True


@pytest.mark.parametrize("shape", [SHAPES[0], SHAPES[3], SHAPES[11]], ids=str)
def test_seeds_are_right(engine_for, right, target, shape):
    """What a study begins with."""
    of = problem(*shape)
    feasible = TEMPLATE.feasible(of, target)
    seeds = TEMPLATE.seed_configs(feasible, of, target)[:12]
    assert right(engine_for(of), [TEMPLATE.candidate(feasible, of, target, seed) for seed in seeds]) is True
