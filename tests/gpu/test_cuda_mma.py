"""cuda_mma on a GPU: types, layouts and ragged edges, checked and timed as every study does it."""

import numpy as np
import pytest
from kerntune.templates.catalogue import op_named, templates_named

pytestmark = [pytest.mark.gpu, pytest.mark.nvrtc]

(TEMPLATE,) = templates_named("gemm", ["cuda_mma"])
DTYPES = ("bf16", "fp16", "tf32", "tf32x3", "int8", "fp8e4m3", "fp8e5m2")
EDGES = [
    ((1, 1000, 333), {"layout": "nt"}),
    ((7, 129, 4097), {"layout": "nn", "batch": 3}),
    ((15, 17, 16), {"layout": "tt"}),
    ((127, 255, 65), {"layout": "tn", "epilogue": "bias+gelu+residual"}),
    ((257, 130, 1026), {"layout": "nn", "batch": 2, "epilogue": "silu", "out_dtype": "fp32"}),
]


def problem(m, n, k, **fields):
    return op_named("gemm").problem("gpu", **({"m": m, "n": n, "k": k, "dtype": "bf16"} | fields))


@pytest.fixture
def backends(target, tmp_path):
    """As `tune` has it, binary cache and all."""
    from kerntune.tuner.backends.binary_cache import BinaryCache
    from kerntune.tuner.backends.cuda import CudaBackend

    return lambda: {"cuda": CudaBackend(target, 4, BinaryCache(tmp_path / "cache" / "binaries"))}


def candidates(of, target, count):
    """Drawn from the feasible configs."""
    feasible = TEMPLATE.feasible(of, target)
    configs = feasible.sample(np.random.default_rng(7), min(count, len(feasible)))
    return [TEMPLATE.candidate(feasible, of, target, config) for config in configs]


@pytest.mark.parametrize(("shape", "fields"), EDGES)
def test_ragged_edges_are_right(engine_for, right, target, shape, fields):
    """Sizes that divide nothing, in sampled configs: split or not, copied or not."""
    of = problem(*shape, **fields)
    assert right(engine_for(of), candidates(of, target, 12)) is True


@pytest.mark.parametrize(
    ("dtype", "layout"), [(dtype, ("nn", "nt", "tn", "tt")[place % 4]) for place, dtype in enumerate(DTYPES)]
)
def test_every_type_is_right(engine_for, right, target, dtype, layout):
    """On an odd size with scales."""
    of = problem(131, 200, 777, dtype=dtype, layout=layout, scales="row", out_dtype="fp32")
    if TEMPLATE.supports(of, target) is None:
        assert right(engine_for(of), candidates(of, target, 6)) is True


def test_seeds_of_a_large_product_are_right_and_meet_the_vendor(engine_for, right, target):
    """All in one playoff, beside cuBLAS."""
    of = problem(1024, 1024, 1024, layout="nt")
    engine = engine_for(of)
    feasible = TEMPLATE.feasible(of, target)
    seeds = [TEMPLATE.candidate(feasible, of, target, config) for config in TEMPLATE.seed_configs(feasible, of, target)]
    assert right(engine, seeds) is True
    artifacts = {str(place): engine.submit(seed).result() for place, seed in enumerate(seeds)}
    assert engine.playoff(artifacts, 1).baseline.name.startswith(("torch.mm", "cupy.matmul"))
