"""What triton_splitk and triton_streamk share: numbers in Triton's interpreter, descriptors, and compiled launches."""

import numpy as np
import pytest
from builders import a_target
from gemm_candidates import AMPERE, HOPPER, LAYOUTS, a_product, candidates
from interpreted import fault, run
from kerntune.cache.records import Failure
from kerntune.templates.catalogue import templates_named
from kerntune.tuner.backends.artifact import Artifact

SPLITK, STREAMK = templates_named("gemm", ["triton_splitk", "triton_streamk"])
MAPPED = [
    (SPLITK, [(256, 4096, 14336), (16, 6144, 4096), (1000, 1002, 1001), (777, 3333, 2048), (1, 1, 33)]),
    (STREAMK, [(256, 4096, 14336), (2048, 28672, 4096), (1000, 1002, 1001), (777, 3333, 2048), (1, 4096, 4096)]),
]
# Of streamk, chips so small that tiles make waves.
WAYS = [(SPLITK, HOPPER, {"REDUCE": reduce}) for reduce in ("last", "workspace", "atomic")]
WAYS += [(STREAMK, a_target(sm_count=count), {}) for count in (3, 5, 12)]
NUMBERS = [
    ((33, 65, 95), {}),
    ((33, 65, 96), {"layout": "nt", "epilogue": "bias+gelu+residual"}),
    ((48, 40, 129), {"layout": "tn", "dtype": "fp32"}),
    ((17, 96, 128), {"layout": "tt", "out_dtype": "fp32"}),
    ((64, 64, 256), {"layout": "nt", "dtype": "int8"}),
    ((64, 48, 250), {"layout": "nn", "dtype": "int8", "out_dtype": "fp16", "scales": "row"}),
    ((40, 48, 128), {"layout": "nt", "dtype": "fp8e4m3", "out_dtype": "fp16", "scales": "tensor"}),
    ((40, 48, 99), {"dtype": "tf32x3", "epilogue": "silu"}),
    ((1, 130, 77), {"layout": "nt"}),
    ((100, 150, 64), {"layout": "tn", "epilogue": "bias+relu"}),
]
COMPILED = [
    {"dtype": "bf16", "layout": "nt", "epilogue": "bias+gelu+residual"},
    {"dtype": "bf16", "layout": "tn", "out_dtype": "fp32"},
    {"dtype": "tf32x3", "layout": "nn"},
    {"dtype": "int8", "layout": "nt", "out_dtype": "bf16", "scales": "row"},
    {"dtype": "fp8e4m3", "layout": "nt", "scales": "tensor"},
]


@pytest.mark.triton
@pytest.mark.torch
@pytest.mark.parametrize("way", range(len(WAYS)))
def test_its_numbers_are_right_at_every_call(tmp_path, way):
    """The second call finds arrivals and sums as the first one did, and fixed orders give the same bits."""
    template, target, fixed = WAYS[way]
    cases = []
    for number, (shape, fields) in enumerate(NUMBERS):
        of = a_product(*shape, **{"dtype": "fp16"} | fields)
        drawn = candidates(template, of, 2, seed=number + way, target=target, **fixed)
        cases += [(of, candidate) for candidate in drawn]
    assert len(cases) == 2 * len(NUMBERS)
    for of, candidate, first, second in run(cases, tmp_path, zero=("arrivals",)):
        assert fault(of, first) is None, candidate.config
        assert np.array_equal(first, second), candidate.config


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("template", "shapes"), MAPPED, ids=["splitk", "streamk"])
def test_descriptors_are_made_where_loads_are_by_tma_and_never_before_sm_90(template, shapes, layout):
    """An older chip is given none."""
    for shape in shapes:
        of = a_product(*shape, layout=layout)
        for candidate in candidates(template, of, 20):
            launches = (*candidate.launch.before, candidate.launch)
            tensors = [argument.tensor for launch in launches for argument in launch.arguments if argument.tensor]
            assert bool(tensors) == (candidate.config["LOADS"] in ("tma", "copied_tma"))
        older = [candidate.config["LOADS"] for candidate in candidates(template, of, 20, target=AMPERE)]
        assert set(older) <= {"pointer", "copied_pointer"}


@pytest.mark.triton
@pytest.mark.parametrize("target", [AMPERE, HOPPER], ids=["sm_80", "sm_90"])
@pytest.mark.parametrize("way", [*({"REDUCE": reduce} for reduce in ("last", "workspace", "atomic")), {"PER_SM": 1}])
def test_every_kernel_of_its_launches_compiles(compiled, tmp_path, target, way):
    """The product, what comes before it and what adds up; too many registers at the worst."""
    template, wanted = STREAMK if "PER_SM" in way else SPLITK, []
    for fields in COMPILED:
        for shape in [(256, 1536, 4096), (129, 1000, 1003)]:
            of = a_product(*shape, **fields)
            if template.supports(of, target) is None:
                found = candidates(template, of, 1, seed=3, target=target, num_warps=4, **way)
                assert found
                wanted += [(candidate, target) for candidate in found]
    assert len(wanted) >= 8
    for made in compiled(wanted, tmp_path):
        spilled = isinstance(made, Failure) and made.reason.startswith("spill_bytes ")
        assert isinstance(made, Artifact) or spilled, made
