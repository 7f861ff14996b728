"""triton_splitk on a GPU: every way partial sums meet, checked and timed as every study does it."""

import numpy as np
import pytest
from kerntune.cache.records import Failure, Measurement
from kerntune.templates.catalogue import op_named, templates_named

pytestmark = [pytest.mark.gpu, pytest.mark.triton]

(TEMPLATE,) = templates_named("gemm", ["triton_splitk"])


def problem(m, n, k, **fields):
    return op_named("gemm").problem("gpu", **({"m": m, "n": n, "k": k, "dtype": "bf16"} | fields))


def candidates(of, target, count, **fixed):
    """Drawn from the feasible configs with the `fixed` values."""
    feasible = TEMPLATE.feasible(of, target)
    drawn = feasible.sample(np.random.default_rng(7), min(len(feasible), 20_000))
    configs = [config for config in drawn if fixed.items() <= dict(config).items()][:count]
    return [TEMPLATE.candidate(feasible, of, target, config) for config in configs]


def right(engine, wanted):
    """Whether every candidate that compiles is right and timed; what came of the first that is not."""
    compiling = [engine.submit(candidate) for candidate in wanted]
    measured = 0
    for candidate, made in zip(wanted, compiling, strict=True):
        outcome = made.result()
        if isinstance(outcome, Failure) and outcome.reason.startswith("spill_bytes "):
            continue  # compiled like the others, and not worth the device's time
        if not isinstance(outcome, Failure):
            outcome = engine.measure(outcome, 1)
        if not isinstance(outcome, Measurement):
            return f"{dict(candidate.config)}: {outcome}"
        measured += 1
    return measured > 0


@pytest.mark.parametrize("shape", [(131, 77, 203), (1, 1000, 333), (257, 17, 1025), (15, 640, 4096), (129, 127, 512)])
@pytest.mark.parametrize("layout", ["nn", "nt", "tn", "tt"])
def test_every_way_is_right_in_every_layout(engine_for, target, layout, shape):
    """On sizes that divide nothing, a row, a few columns, and one that divides evenly."""
    of = problem(*shape, layout=layout)
    ways = ("last", "workspace", "atomic")
    wanted = [made for reduce in ways for made in candidates(of, target, 1, REDUCE=reduce, num_warps=4)]
    assert len(wanted) == 3
    assert right(engine_for(of), wanted) is True


@pytest.mark.parametrize(
    "fields",
    [
        {"dtype": "fp32", "layout": "nn"},
        {"dtype": "tf32", "layout": "tn"},
        {"dtype": "tf32x3", "layout": "nt"},
        {"dtype": "int8", "layout": "nt"},
        {"dtype": "int8", "layout": "nn", "out_dtype": "bf16", "scales": "row", "epilogue": "bias+silu"},
        {"dtype": "fp8e4m3", "layout": "nt", "out_dtype": "bf16", "scales": "tensor"},
        {"dtype": "bf16", "layout": "nt", "epilogue": "bias+gelu+residual"},
        {"dtype": "fp16", "layout": "nt", "out_dtype": "fp32"},
    ],
)
def test_every_type_is_right(engine_for, target, fields):
    """Sums of integers are exact; C is added up in place where nothing is to be done to it."""
    of = problem(160, 144, 1040, **fields)
    ways = ("last", "workspace", "atomic")
    wanted = [made for reduce in ways for made in candidates(of, target, 1, REDUCE=reduce, num_warps=4)]
    assert wanted
    assert right(engine_for(of), wanted) is True


def test_seeds_are_right_and_meet_the_vendor(engine_for, target):
    """A few tiles and a long K, in one playoff beside cuBLAS."""
    of = problem(256, 1024, 8192, layout="nt")
    engine, feasible = engine_for(of), TEMPLATE.feasible(of, target)
    configs = TEMPLATE.seed_configs(feasible, of, target)[::5]
    seeds = [TEMPLATE.candidate(feasible, of, target, config) for config in configs]
    assert right(engine, seeds) is True
    artifacts = {str(place): engine.submit(seed).result() for place, seed in enumerate(seeds)}
    assert engine.playoff(artifacts, 1).baseline.name.startswith(("torch.mm", "cupy.matmul"))
