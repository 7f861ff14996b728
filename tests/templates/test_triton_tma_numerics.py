"""triton_tma: its numbers in Triton's interpreter, on a chip of three multiprocessors, so that programs stay."""

import pytest
from builders import a_target
from gemm_candidates import LAYOUTS, a_product, candidates
from interpreted import distance, fault, run
from kerntune.templates.catalogue import templates_named

pytestmark = [pytest.mark.triton, pytest.mark.torch]

(TEMPLATE,) = templates_named("gemm", ["triton_tma"])
TARGET = a_target(sm_count=3)
SHAPES = [(130, 72, 70), (64, 200, 96), (1, 7, 5), (150, 33, 47)]


def assert_right(problems, tmp_path, tolerance, seed=0):
    """Two sampled configs of each."""
    cases = [
        (of, candidate)
        for number, of in enumerate(problems)
        for candidate in candidates(TEMPLATE, of, 2, seed=seed + number, target=TARGET)
    ]
    assert len(cases) > len(problems)
    for of, candidate, c in run(cases, tmp_path, calls=1):
        assert distance(of, c) <= tolerance, (of.fields, candidate.config)
        assert fault(of, c) is None, (of.fields, candidate.config)


@pytest.mark.parametrize(
    ("dtype", "out_dtype", "tolerance"),
    [("fp16", "fp16", 1e-3), ("tf32", "fp32", 1e-3), ("int8", "int32", 0.0), ("fp8e5m2", "fp16", 1e-3)],
)
def test_its_numbers_are_right_on_ragged_shapes(tmp_path, dtype, out_dtype, tolerance):
    """In every layout, rows aligned or not."""
    fields = {"dtype": dtype, "out_dtype": out_dtype}
    problems = [a_product(*shape, **fields, layout=layout) for layout in LAYOUTS for shape in SHAPES]
    assert_right(problems, tmp_path, tolerance, seed=len(dtype))


def test_a_batch_its_scales_and_its_epilogue_are_right(tmp_path):
    """No tile crosses from one product of a batch to the next."""
    kinds = (
        {"epilogue": "bias+gelu+residual", "batch": 3, "layout": "tn"},
        {"epilogue": "silu+residual", "layout": "nt"},
        {"dtype": "int8", "out_dtype": "fp16", "scales": "row", "epilogue": "bias+relu", "batch": 2, "layout": "nn"},
        {"dtype": "fp8e4m3", "out_dtype": "fp16", "scales": "tensor", "batch": 2, "layout": "tt"},
        {"dtype": "fp8e4m3", "out_dtype": "fp16", "scales": "block128", "batch": 2, "layout": "nt"},
    )
    shapes = [(70, 150, 270), (130, 40, 72)]
    problems = [a_product(*shape, **{"dtype": "fp16"} | fields) for fields in kinds for shape in shapes]
    assert_right(problems, tmp_path, 2e-3)
