"""cuda_skinny on a GPU: every way to load and to add up, on edge shapes, checked and timed as every study does it."""

import numpy as np
import pytest
from kerntune.cache.records import Measurement
from kerntune.templates.catalogue import op_named, templates_named

pytestmark = [pytest.mark.gpu, pytest.mark.nvrtc]

(TEMPLATE,) = templates_named("gemm", ["cuda_skinny"])
EDGES = [
    *((m, n, k, "nt") for m, n, k in ((1, 1, 8), (17, 127, 264), (64, 129, 1032), (1000, 1, 4096))),
    *((m, n, k, "nn") for m, n, k in ((15, 136, 264), (64, 1000, 1032), (1032, 64, 520))),
    *((m, n, k, "tn") for m, n, k in ((8, 264, 17), (64, 1000, 333))),
    *((m, n, k, "tt") for m, n, k in ((40, 333, 1032), (1032, 56, 336))),
]


def problem(m, n, k, **fields):
    return op_named("gemm").problem("gpu", **({"m": m, "n": n, "k": k, "dtype": "bf16"} | fields))


@pytest.fixture
def backends(target, tmp_path):
    """As `tune` has it, binary cache and all."""
    from kerntune.tuner.backends.binary_cache import BinaryCache
    from kerntune.tuner.backends.cuda import CudaBackend

    return lambda: {"cuda": CudaBackend(target, 8, BinaryCache(tmp_path / "cache" / "binaries"))}


def candidates(of, target):
    """One of each way to load and to add up, where there is one."""
    assert TEMPLATE.supports(of, target) is None
    feasible = TEMPLATE.feasible(of, target)
    drawn = [dict(config) for config in feasible.sample(np.random.default_rng(7), min(len(feasible), 3000))]
    ways = {(config["LOADS"], config.get("REDUCE"), config["TOKENS"]): config for config in drawn}
    return [TEMPLATE.candidate(feasible, of, target, feasible.nearest(config)) for config in ways.values()]


def right(engine, wanted):
    """Whether every candidate compiles, computes what it should, and is timed; what came of the first that does not."""
    compiling = [engine.submit(candidate) for candidate in wanted]
    for candidate, made in zip(wanted, compiling, strict=True):
        outcome = engine.measure(made.result(), 1)
        if not isinstance(outcome, Measurement):
            return f"{dict(candidate.config)}: {outcome}"
    return True


@pytest.mark.parametrize(("m", "n", "k", "layout"), EDGES)
def test_every_way_is_right_on_edge_shapes(engine_for, target, m, n, k, layout):
    """Sides and depths of one, and one more and one less than a tile."""
    of = problem(m, n, k, layout=layout)
    assert right(engine_for(of), candidates(of, target)) is True


@pytest.mark.parametrize(
    "fields",
    [
        {"dtype": "fp16", "epilogue": "bias+gelu+residual"},
        {"dtype": "int8"},
        {"dtype": "int8", "out_dtype": "bf16", "scales": "row", "epilogue": "bias+silu"},
        {"dtype": "fp8e4m3", "out_dtype": "bf16", "scales": "tensor"},
    ],
)
def test_other_types_and_epilogues_are_right(engine_for, target, fields):
    """With the weights on either side."""
    for m, n, k in ((16, 333, 1040), (520, 24, 1024)):
        of = problem(m, n, k, layout="nt", **fields)
        assert right(engine_for(of), candidates(of, target)) is True


@pytest.mark.parametrize("layout", ["nt", "nn"])
def test_seeds_of_decoding_are_right_and_meet_the_vendor(engine_for, target, layout):
    """In one playoff, beside cuBLAS."""
    of = problem(16, 6144, 4096, layout=layout)
    engine = engine_for(of)
    feasible = TEMPLATE.feasible(of, target)
    seeds = [TEMPLATE.candidate(feasible, of, target, config) for config in TEMPLATE.seed_configs(feasible, of, target)]
    assert right(engine, seeds) is True
    result = engine.playoff({str(place): engine.submit(seed).result() for place, seed in enumerate(seeds)}, 1)
    assert result.baseline.name.startswith(("torch.mm", "cupy.matmul"))
