"""triton_tma on a GPU: edge shapes, layouts, types and epilogues, checked and timed as every study does it."""

import numpy as np
import pytest
from kerntune.cache.records import Measurement
from kerntune.templates.catalogue import op_named, templates_named

pytestmark = [pytest.mark.gpu, pytest.mark.triton]

(TEMPLATE,) = templates_named("gemm", ["triton_tma"])
LAYOUTS = ("nn", "nt", "tn", "tt")
SHAPES = [(1, 7, 17), (15, 16, 1), (129, 255, 65), (1000, 999, 257)]
DTYPES = [
    {"dtype": "bf16"},
    {"dtype": "tf32"},
    {"dtype": "int8"},
    {"dtype": "fp8e4m3", "out_dtype": "bf16", "scales": "row"},
]


def problem(shape, **fields):
    m, n, k = shape
    return op_named("gemm").problem("gpu", m=m, n=n, k=k, **fields)


@pytest.fixture
def right(engine_for, target):
    """Whether every config compiles, computes what it should, and is timed; what came of the first that does not."""

    def ask(of, configs):
        engine, feasible = engine_for(of), TEMPLATE.feasible(of, target)
        wanted = [TEMPLATE.candidate(feasible, of, target, config) for config in configs(feasible)]
        compiling = [engine.submit(candidate) for candidate in wanted]
        for candidate, made in zip(wanted, compiling, strict=True):
            outcome = engine.measure(made.result(), 1)
            if not isinstance(outcome, Measurement):
                return f"{dict(candidate.config)}: {outcome}"
        return True

    return ask


def drawn(count, **fixed):
    """Some of the feasible configs with the `fixed` values."""

    def configs(feasible):
        found = feasible.sample(np.random.default_rng(7), min(len(feasible), 2000))
        return [config for config in found if fixed.items() <= dict(config).items()][:count]

    return configs


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("place", range(len(DTYPES)), ids=[str(fields["dtype"]) for fields in DTYPES])
def test_every_layout_and_type_is_right_on_edge_shapes(right, place, layout):
    """On sizes that divide nothing, and rows that TMA cannot address: each layout, and each type, meets all shapes."""
    shape = SHAPES[(place + LAYOUTS.index(layout)) % len(SHAPES)]
    assert right(problem(shape, layout=layout, **DTYPES[place]), drawn(3)) is True


@pytest.mark.parametrize("loop", ["nested", "flat", "carried"])
def test_programs_that_stay_are_right_in_every_loop(right, loop):
    """With more tiles than programs, of which the last ones reach over the edge."""
    of = problem((1999, 2056, 200), dtype="bf16", layout="nt")
    assert (
        right(of, lambda feasible: [*drawn(3, LOOP=loop, STORE="tma")(feasible), *drawn(3, LOOP=loop)(feasible)])
        is True
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"dtype": "fp16", "epilogue": "bias+gelu+residual", "batch": 3, "layout": "tn"},
        {"dtype": "tf32x3", "epilogue": "bias+relu", "layout": "nt"},
        {"dtype": "fp8e5m2", "out_dtype": "bf16", "scales": "tensor", "epilogue": "silu+residual", "layout": "nt"},
        {"dtype": "fp8e4m3", "out_dtype": "bf16", "scales": "block128", "batch": 2, "layout": "nn"},
        {"dtype": "int8", "out_dtype": "bf16", "scales": "row", "epilogue": "bias", "layout": "nt"},
    ],
    ids=lambda fields: " ".join(str(value) for value in fields.values()),
)
def test_a_batch_its_scales_and_its_epilogue_are_right(right, fields):
    """No tile crosses from one product of a batch to the next."""
    assert right(problem((300, 264, 400), **fields), drawn(3)) is True


def test_seeds_of_a_large_product_are_right(right, target):
    """What a study begins with."""
    of = problem((2048, 2048, 2048), dtype="bf16", layout="nt")
    assert right(of, lambda feasible: TEMPLATE.seed_configs(feasible, of, target)) is True
