"""triton_decode on a GPU: every way to multiply, load, split and combine, checked and timed as every study does."""

import numpy as np
import pytest
from kerntune.templates.catalogue import op_named, templates_named

pytestmark = [pytest.mark.gpu, pytest.mark.triton]

(TEMPLATE,) = templates_named("attention", ["triton_decode"])
WAYS = (
    {"PRODUCT": "rows", "LOADS": "pointer", "COMBINE": "last"},
    {"PRODUCT": "rows", "LOADS": "tma", "COMBINE": "kernel"},
    {"PRODUCT": "keys", "LOADS": "pointer", "COMBINE": "kernel"},
    {"PRODUCT": "keys", "LOADS": "tma", "COMBINE": "last"},
    {"PRODUCT": "vector", "LOADS": "pointer"},
    {"PRODUCT": "vector", "LOADS": "tma", "COMBINE": "last"},
    {"num_stages": 1},
    {"SPLITS": 1},
    {"SPLIT_BY": "count"},
    {"SPLIT_BY": "size"},
)
DENSE = [
    (8, 32, 1, 128, {"kv_heads": 8, "kv_len": 2048}),
    (3, 8, 1, 80, {"kv_heads": 4, "kv_len": 1001, "layout": "bshd", "lse": "yes", "dtype": "fp16"}),
    (2, 32, 4, 96, {"kv_heads": 8, "kv_len": 999, "causal": "lower_right", "lse": "yes"}),
    (2, 32, 16, 128, {"kv_heads": 4, "kv_len": 1500, "causal": "lower_right", "window": 300, "layout": "bshd"}),
    (1, 8, 2, 256, {"kv_heads": 4, "kv_len": 1024, "soft_cap": 30, "bias": "alibi", "causal": "lower_right"}),
    (2, 8, 2, 64, {"kv_heads": 2, "kv_len": 640, "bias": "additive"}),
    (2, 8, 1, 64, {"kv_heads": 2, "kv_len": 512, "dtype": "fp32"}),
    (2, 8, 4, 128, {"kv_heads": 2, "kv_len": 512, "dtype": "tf32"}),
]
PAGED = [
    (8, 32, 1, 128, {"kv_heads": 8, "kv_len": 2048, "paged": 16, "lse": "yes"}),
    (5, 8, 1, 64, {"kv_heads": 8, "kv_len": 1000, "paged": 1}),
    (4, 32, 4, 128, {"kv_heads": 8, "kv_len": 1500, "paged": 64, "causal": "lower_right", "layout": "bshd"}),
    (4, 8, 2, 96, {"kv_heads": 2, "kv_len": 3000, "paged": 256, "bias": "alibi", "soft_cap": 20, "dtype": "fp16"}),
]


@pytest.fixture
def backends(target, tmp_path):
    """As `tune` has it, binary cache and all."""
    from kerntune.tuner.backends.binary_cache import BinaryCache
    from kerntune.tuner.backends.triton import TritonBackend

    return lambda: {"triton": TritonBackend(target, 8, BinaryCache(tmp_path / "cache" / "binaries"))}


def problem(b, h, s, d, fields):
    return op_named("attention").problem("gpu", **({"b": b, "h": h, "s": s, "d": d, "dtype": "bf16"} | fields))


def candidates(of, target):
    """One drawn from the feasible configs with the values of each way; of a way that there is not, none."""
    feasible = TEMPLATE.feasible(of, target)
    drawn = feasible.sample(np.random.default_rng(7), 3000)
    found = {next((config for config in drawn if way.items() <= dict(config).items()), None) for way in WAYS}
    return [TEMPLATE.candidate(feasible, of, target, config) for config in found if config is not None]


@pytest.mark.parametrize("shape", [*DENSE, *PAGED], ids=str)
def test_every_way_is_right(engine_for, right, target, shape):
    """Of all masks, layouts and types, and lengths that divide nothing."""
    of = problem(*shape)
    assert TEMPLATE.supports(of, target) is None
    wanted = candidates(of, target)
    assert len(wanted) >= 4
    assert right(engine_for(of), wanted) is True


@pytest.mark.parametrize("shape", [DENSE[0], PAGED[0]], ids=str)
def test_seeds_are_right(engine_for, right, target, shape):
    """What a study begins with."""
    of = problem(*shape)
    feasible = TEMPLATE.feasible(of, target)
    seeds = TEMPLATE.seed_configs(feasible, of, target)[:6]
    assert right(engine_for(of), [TEMPLATE.candidate(feasible, of, target, seed) for seed in seeds]) is True
