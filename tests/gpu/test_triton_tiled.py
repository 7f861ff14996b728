"""triton_tiled on a GPU: every type, layout and epilogue, checked and timed as every study does it."""

import numpy as np
import pytest
from kerntune.cache.records import Measurement
from kerntune.templates.catalogue import op_named, templates_named

pytestmark = [pytest.mark.gpu, pytest.mark.triton]

(TEMPLATE,) = templates_named("gemm", ["triton_tiled"])
SHAPES = [(1, 17, 15), (16, 7, 129), (127, 129, 65), (257, 128, 512)]
KINDS = (
    {"dtype": "fp16", "epilogue": "bias+gelu+residual", "batch": 3},
    {"dtype": "fp32", "epilogue": "bias+silu"},
    {"dtype": "tf32", "layout": "nt"},
    {"dtype": "tf32", "layout": "tn", "batch": 2},
    {"dtype": "tf32x3", "layout": "tt"},
    {"dtype": "int8", "layout": "nt"},
    {"dtype": "int8", "layout": "nn", "out_dtype": "bf16", "scales": "row", "epilogue": "relu+residual"},
    {"dtype": "int8", "layout": "tt", "out_dtype": "bf16", "scales": "block128"},
    {"dtype": "fp8e4m3", "layout": "nt", "out_dtype": "bf16", "scales": "block128", "batch": 2},
    {"dtype": "fp8e4m3", "layout": "tn", "scales": "tensor"},
    {"dtype": "fp8e4m3", "layout": "nt", "out_dtype": "bf16", "scales": "row"},
    {"dtype": "fp8e5m2", "layout": "nn", "out_dtype": "fp16", "epilogue": "bias"},
)


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
    drawn = feasible.sample(np.random.default_rng(7), 1000)
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
def test_edges_are_right_in_every_layout(engine_for, target, layout, shape):
    """Of one row, of fewer than a tile, of one more than a tile."""
    of = problem(*shape, layout=layout)
    ways = [candidates(of, target, 1, **way) for way in ({}, {"UNALIGNED": "copy"}, {"UNALIGNED": "chunks"})]
    assert right(engine_for(of), [candidate for way in ways for candidate in way]) is True


@pytest.mark.parametrize("fields", KINDS)
def test_every_type_and_epilogue_is_right(engine_for, target, fields):
    """On rows that are aligned, and on rows that begin anywhere."""
    for shape in ((160, 272, 1040), (131, 203, 333)):
        of = problem(*shape, **fields)
        wanted = candidates(of, target, 2) + candidates(of, target, 1, UNALIGNED="copy")
        wanted += candidates(of, target, 1, PROMOTE="turn")
        assert right(engine_for(of), wanted) is True
