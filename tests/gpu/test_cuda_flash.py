"""cuda_flash on a Hopper: every schedule, ring and way to store, masks and sizes that divide nothing."""

import numpy as np
import pytest
from kerntune.templates.catalogue import op_named, templates_named

pytestmark = [pytest.mark.gpu, pytest.mark.nvrtc]

(TEMPLATE,) = templates_named("attention", ["cuda_flash"])
CASES = [
    (4, 16, 1024, 128, {"causal": "yes"}),
    (2, 8, 1024, 64, {"kv_heads": 2, "causal": "yes", "layout": "bshd", "lse": "yes"}),
    (3, 4, 517, 64, {"kv_heads": 1, "kv_len": 333, "layout": "bshd"}),
    (2, 4, 333, 128, {"kv_heads": 2, "kv_len": 517, "causal": "lower_right", "lse": "yes"}),
    (2, 4, 517, 96, {"kv_len": 333, "causal": "lower_right", "lse": "yes", "dtype": "fp16"}),
    (2, 40, 1000, 128, {"causal": "yes", "window": 100, "lse": "yes"}),
    (2, 4, 1000, 80, {"kv_len": 700, "window": 150}),
    (1, 4, 600, 256, {"causal": "yes", "lse": "yes"}),
    (1, 1, 1, 16, {}),
    (40, 8, 100, 32, {"lse": "yes"}),
]
CONFIGS = 16


@pytest.fixture
def backends(target, tmp_path):
    from kerntune.tuner.backends.binary_cache import BinaryCache
    from kerntune.tuner.backends.cuda import CudaBackend

    return lambda: {"cuda": CudaBackend(target, 8, BinaryCache(tmp_path / "cache" / "binaries"))}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_seeds_and_sampled_configs_are_right(engine_for, right, target, case):
    """Checked and timed as every study does."""
    *shape, fields = case
    of = op_named("attention").problem("gpu", **dict(zip("bhsd", shape, strict=True)), **fields)
    assert TEMPLATE.supports(of, target) is None
    feasible = TEMPLATE.feasible(of, target)
    drawn = feasible.sample(np.random.default_rng(shape[2]), min(CONFIGS, len(feasible)))
    configs = [*TEMPLATE.seed_configs(feasible, of, target), *drawn]
    assert right(engine_for(of), [TEMPLATE.candidate(feasible, of, target, config) for config in configs]) is True
