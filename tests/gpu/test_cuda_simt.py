"""cuda_simt on a GPU: every level in every layout, checked and timed as every study does it."""

import numpy as np
import pytest
from kerntune.cache.records import Failure, Measurement
from kerntune.templates.catalogue import op_named, templates_named

pytestmark = [pytest.mark.gpu, pytest.mark.nvrtc]

(TEMPLATE,) = templates_named("gemm", ["cuda_simt"])
LAYOUTS = ("nn", "nt", "tn", "tt")
LEVELS = ("naive", "coalesced", "shared", "registers", "vectorised", "warp_tile", "double_buffered")
SHAPES = [
    # Sizes that divide nothing, one that divides evenly, a row, few columns, little depth, a tile and one more or less.
    ("nn", (131, 77, 203)),
    ("nt", (640, 512, 384)),
    ("tn", (1, 1000, 333)),
    ("tt", (257, 3, 1025)),
    ("nn", (129, 255, 7)),
    ("nt", (16, 17, 15)),
    ("tn", (127, 129, 128)),
    ("tt", (260, 132, 68)),
]


def problem(m, n, k, **fields):
    return op_named("gemm").problem("gpu", **({"m": m, "n": n, "k": k, "dtype": "fp32"} | fields))


@pytest.fixture
def backends(target, tmp_path):
    """As `tune` has it, binary cache and all."""
    from kerntune.tuner.backends.binary_cache import BinaryCache
    from kerntune.tuner.backends.cuda import CudaBackend

    return lambda: {"cuda": CudaBackend(target, 4, BinaryCache(tmp_path / "cache" / "binaries"))}


def candidates(of, target, count, **fixed):
    """Drawn from the feasible configs with the `fixed` values."""
    feasible = TEMPLATE.feasible(of, target)
    drawn = feasible.sample(np.random.default_rng(7), min(len(feasible), 20_000))
    configs = [config for config in drawn if fixed.items() <= dict(config).items()][:count]
    return [TEMPLATE.candidate(feasible, of, target, config) for config in configs]


def right(engine, wanted):
    """Whether every candidate compiles, computes what it should, and is timed; what came of the first that does not."""
    compiling = [engine.submit(candidate) for candidate in wanted]
    for candidate, made in zip(wanted, compiling, strict=True):
        outcome = made.result()
        if not isinstance(outcome, Failure):
            outcome = engine.measure(outcome, 1)
        if not isinstance(outcome, Measurement):
            return f"{dict(candidate.config)}: {outcome}"
    return True


@pytest.mark.parametrize(("layout", "shape"), SHAPES)
def test_every_level_is_right_at_the_edges(engine_for, target, layout, shape):
    """Those levels that have a config: a row has no tiles of four rows."""
    of = problem(*shape, layout=layout)
    wanted = [made for level in LEVELS for made in candidates(of, target, 1, LEVEL=level)]
    wanted += candidates(of, target, 2, LEVEL="double_buffered", COPY="async")
    wanted += candidates(of, target, 1, LEVEL="double_buffered", COPY="registers")
    assert len(wanted) >= (10 if min(shape) > 3 else 2)
    assert right(engine_for(of), wanted) is True


@pytest.mark.parametrize("layout", LAYOUTS)
def test_parts_of_k_are_right_and_leave_their_counters_at_zero(engine_for, target, layout):
    """A config is called many times while it is timed, and its answer is looked at after that too."""
    of = problem(260, 196, 1100, layout=layout)
    wanted = [made for level in LEVELS[2:] for made in candidates(of, target, 1, LEVEL=level, SPLIT_K=4)] + candidates(
        of, target, 2, LEVEL="double_buffered", SPLIT_K=16
    )
    assert len(wanted) == 7
    assert right(engine_for(of), wanted) is True


@pytest.mark.parametrize(("layout", "epilogue"), [("nn", "bias+gelu"), ("tt", "bias+silu+residual")])
def test_batches_and_epilogues_are_right_at_every_level(engine_for, target, layout, epilogue):
    """Each product of a batch has its own residual."""
    of = problem(100, 72, 260, layout=layout, epilogue=epilogue, batch=3)
    wanted = [made for level in LEVELS for made in candidates(of, target, 1, LEVEL=level)]
    wanted += candidates(of, target, 1, LEVEL="double_buffered", SPLIT_K=4)
    assert len(wanted) == 8
    assert right(engine_for(of), wanted) is True


def test_seeds_of_a_large_product_are_right_and_meet_the_vendor(engine_for, target):
    """The ladder in one playoff, beside cuBLAS."""
    of = problem(1024, 1024, 1024)
    engine = engine_for(of)
    feasible = TEMPLATE.feasible(of, target)
    seeds = [TEMPLATE.candidate(feasible, of, target, config) for config in TEMPLATE.seed_configs(feasible, of, target)]
    assert right(engine, seeds) is True
    artifacts = {str(place): engine.submit(seed).result() for place, seed in enumerate(seeds)}
    result = engine.playoff(artifacts, 1)
    assert result.baseline.name.startswith(("torch.mm (cublas", "cupy.matmul"))
    assert {candidate.config["LEVEL"] for candidate in seeds} == set(LEVELS)
