"""triton_skinny on a GPU: every way to multiply, load and split, checked and timed as every study does it."""

import numpy as np
import pytest
from kerntune.cache.records import Measurement
from kerntune.templates.catalogue import op_named, templates_named

pytestmark = [pytest.mark.gpu, pytest.mark.triton]

(TEMPLATE,) = templates_named("gemm", ["triton_skinny"])
WAYS = (
    {"PRODUCT": "wide", "LOADS": "tma", "SPLIT": 3},
    {"PRODUCT": "wide", "LOADS": "pointer"},
    {"PRODUCT": "thin", "LOADS": "mixed", "SPLIT": 2},
    {"PRODUCT": "thin", "LOADS": "mixed", "SPLIT": 1},  # short sums are not split
    {"PRODUCT": "thin", "LOADS": "pointer", "SPLIT": 4},
    {"PRODUCT": "vector", "LOADS": "pointer", "SPLIT": 2},
    {"PRODUCT": "vector", "LOADS": "mixed"},
)
SHAPES = [
    (1, 1032, 1024),
    (7, 520, 264),
    (16, 264, 2048),
    (17, 1000, 333),
    (520, 33, 1040),
    (1030, 1, 777),
    (15, 16, 17),
]


@pytest.fixture
def backends(target, tmp_path):
    """As `tune` has it, binary cache and all."""
    from kerntune.tuner.backends.binary_cache import BinaryCache
    from kerntune.tuner.backends.triton import TritonBackend

    return lambda: {"triton": TritonBackend(target, 8, BinaryCache(tmp_path / "cache" / "binaries"))}


def problem(m, n, k, **fields):
    return op_named("gemm").problem("gpu", **({"m": m, "n": n, "k": k, "dtype": "bf16"} | fields))


def candidates(of, target, count, **fixed):
    """Drawn from the feasible configs with the `fixed` values."""
    feasible = TEMPLATE.feasible(of, target)
    drawn = feasible.sample(np.random.default_rng(7), 3000)
    configs = [config for config in drawn if fixed.items() <= dict(config).items()][:count]
    return [TEMPLATE.candidate(feasible, of, target, config) for config in configs]


def right(engine, wanted):
    """Whether every candidate computes what it should and is timed; what came of the first that does not.

    One that the compiler spills is passed over, as every study does; not all of them.
    """
    compiling = [engine.submit(candidate) for candidate in wanted]
    measured = 0
    for candidate, made in zip(wanted, compiling, strict=True):
        outcome = engine.measure(made.result(), 1)
        measured += isinstance(outcome, Measurement)
        if not isinstance(outcome, Measurement) and not outcome.reason.startswith("spill_bytes "):
            return f"{dict(candidate.config)}: {outcome}"
    return measured > 0 or "none of them ran"


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("layout", ["nn", "nt", "tn", "tt"])
def test_every_way_is_right_in_every_layout(engine_for, target, layout, shape):
    """On few rows or columns, and sizes that divide nothing."""
    of = problem(*shape, layout=layout)
    wanted = [candidate for way in WAYS for candidate in candidates(of, target, 1, **way)]
    assert len(wanted) >= 2
    assert right(engine_for(of), wanted) is True


@pytest.mark.parametrize(
    "fields",
    [
        {"dtype": "fp16", "epilogue": "bias+gelu+residual", "layout": "nt"},
        {"dtype": "fp32", "epilogue": "bias+silu"},
        {"dtype": "tf32", "layout": "nt"},
        {"dtype": "tf32x3", "layout": "tt"},
        {"dtype": "int8", "layout": "nt"},
        {"dtype": "int8", "layout": "nn", "out_dtype": "bf16", "scales": "row", "epilogue": "relu+residual"},
        {"dtype": "fp8e4m3", "layout": "nt", "out_dtype": "bf16", "scales": "block128"},
        {"dtype": "fp8e4m3", "layout": "tn", "scales": "tensor"},
        {"dtype": "fp8e5m2", "layout": "nt", "out_dtype": "fp16", "batch": 3},
        {"dtype": "bf16", "layout": "nt", "batch": 5, "epilogue": "bias"},
    ],
)
def test_every_type_and_epilogue_is_right(engine_for, target, fields):
    """In a strip of B and in one of A."""
    for shape in ((8, 400, 528), (528, 40, 656)):
        of = problem(*shape, **fields)
        wanted = candidates(of, target, 3) + candidates(of, target, 1, SPLIT=3)
        assert right(engine_for(of), wanted) is True


@pytest.mark.parametrize("shape", [(1, 4096, 4096), (16, 6144, 4096), (64, 4096, 2048)])
def test_seeds_are_right(engine_for, target, shape):
    """What a study begins with."""
    of = problem(*shape, layout="nt")
    feasible = TEMPLATE.feasible(of, target)
    seeds = TEMPLATE.seed_configs(feasible, of, target)[:8]
    assert right(engine_for(of), [TEMPLATE.candidate(feasible, of, target, seed) for seed in seeds]) is True
