"""What templates of gemm say they cannot compute: one that is passed over says why."""

import pytest
from builders import a_target
from gemm_candidates import AMPERE, HOPPER, a_product
from kerntune.templates.catalogue import templates_named
from kerntune.templates.gemm.skinny_space import MOST_THIN

CPU, VOLTA, TURING, ADA = a_target("cpu"), a_target(arch="sm_70"), a_target(arch="sm_75"), a_target(arch="sm_89")
SINCE_75, SINCE_80, SINCE_90 = (f"it runs on a GPU of sm_{oldest} or later" for oldest in (75, 80, 90))
FP8, SCALED_FP8 = {"dtype": "fp8"}, {"dtype": "fp8", "layout": "nt", "scales": "row", "out_dtype": "bf16"}
BLOCKS, WHOLE = {"scales": "block128"}, {"scales": "row", "epilogue": "bias+gelu+residual"}
LATE_FP8 = "it computes fp8 on a GPU of sm_89 or later"
NO_BLOCKS = "it computes scales=none, tensor and row only, not block128"
FLOATS = "bf16, fp16, fp32, fp8e4m3, fp8e5m2"

OF_SPLIT_TILES = [
    (CPU, {}, SINCE_80),
    (TURING, {}, SINCE_80),
    (AMPERE, {"dtype": "fp8e4m3"}, "it multiplies fp8e4m3 on a GPU of sm_89 or later"),
    (HOPPER, {"acc_dtype": "fp16"}, "it sums fp16 in fp32, not fp16"),
    (HOPPER, {"batch": 2}, "it computes batch=1 only, not 2"),
    (HOPPER, BLOCKS, NO_BLOCKS),
    (HOPPER, {"k": 16}, "it shares out K among programs, and 16 is one turn of 16"),
    (HOPPER, WHOLE, None),
]
REFUSALS = {
    "cuda_mma": [
        (CPU, {}, SINCE_80),
        (TURING, {}, SINCE_80),
        (HOPPER, {"dtype": "fp32"}, "it computes bf16, fp16, tf32, tf32x3, int8, fp8e4m3, fp8e5m2, not fp32"),
        (AMPERE, FP8, LATE_FP8),
        (HOPPER, {"acc_dtype": "fp16"}, "it sums bf16 in fp32, not fp16"),
        (HOPPER, {"out_dtype": "int32"}, "it does not store products of bf16 as int32"),
        (HOPPER, FP8 | BLOCKS, NO_BLOCKS),
        (HOPPER, {"batch": 65536}, "it computes 65,535 products side by side at most"),
        (HOPPER, WHOLE | {"batch": 7}, None),
    ],
    "cuda_simt": [
        (CPU, {"dtype": "fp32"}, SINCE_75),
        (VOLTA, {"dtype": "fp32"}, SINCE_75),
        (HOPPER, {}, "it computes fp32, not bf16"),
        (HOPPER, {"dtype": "tf32"}, "it computes fp32, not tf32"),
        (HOPPER, {"dtype": "fp32", "out_dtype": "bf16"}, "it stores fp32, not bf16"),
        (HOPPER, {"dtype": "fp32", "scales": "tensor"}, "it computes scales=none only, not tensor"),
        (HOPPER, {"dtype": "fp32", "batch": 70_000}, "it computes 65,535 products side by side at most"),
        (HOPPER, {"dtype": "fp32", "epilogue": "bias+gelu+residual", "batch": 5}, None),
        (HOPPER, {"dtype": "fp32"}, None),
    ],
    "cuda_skinny": [
        (CPU, {}, SINCE_80),
        (TURING, {}, SINCE_80),
        (AMPERE, {"dtype": "fp8e4m3", "layout": "nt"}, LATE_FP8),
        (HOPPER, {"dtype": "fp32"}, "it computes bf16, fp16, int8, fp8e4m3, fp8e5m2, not fp32"),
        (HOPPER, {"m": 65}, "a side of C is at most 64, not 65 x 512"),
        (HOPPER, {"batch": 2}, "it computes batch=1 only, and no scales of blocks"),
        (HOPPER, {"n": 511}, "rows of 511 elements are no multiple of 16 bytes"),
        (HOPPER, {"n": 511, "layout": "nt"}, None),
        (HOPPER, {"m": 1, "layout": "tt"}, None),
        (HOPPER, {"k": 500, "layout": "nt"}, "rows of 500 elements are no multiple of 16 bytes"),
        (HOPPER, {"dtype": "int8"}, "it computes int8 with both operands contiguous along K only, not nn"),
        (HOPPER, {}, None),
    ],
    "cuda_wgmma": [
        (CPU, {}, "it runs on a GPU of sm_90: no other has wgmma"),
        (AMPERE, {}, "it runs on a GPU of sm_90: no other has wgmma"),
        (HOPPER, {"dtype": "tf32", "layout": "tn"}, "of tf32 it takes layouts nt, nn, tt, not tn"),
        (HOPPER, {"dtype": "int8"}, "of int8 it takes layouts nt, not nn"),
        (HOPPER, SCALED_FP8 | BLOCKS, "it has no scales inside K"),
        (HOPPER, SCALED_FP8, None),
        (HOPPER, {"epilogue": "bias+gelu+residual", "batch": 3}, None),
    ],
    "triton_skinny": [
        (CPU, {}, SINCE_80),
        (TURING, {}, SINCE_80),
        (AMPERE, {"dtype": "fp8e4m3"}, LATE_FP8),
        (HOPPER, {"m": 65}, f"it computes up to {MOST_THIN} rows or columns, not 65 and 512"),
        (HOPPER, {"dtype": "int32"}, "it computes bf16, fp16, fp32, tf32, tf32x3, fp8e4m3, fp8e5m2, int8, not int32"),
        (HOPPER, {"dtype": "int8", "m": 512, "n": 64, "batch": 3}, None),
        (HOPPER, {"dtype": "fp8e5m2", "epilogue": "bias+gelu"} | BLOCKS, None),
    ],
    "triton_splitk": [
        *OF_SPLIT_TILES,
        (HOPPER, {"m": 8192, "n": 8192}, "its 2,048 largest tiles fill 132 multiprocessors without splitting K"),
    ],
    "triton_streamk": [
        *OF_SPLIT_TILES,
        (HOPPER, {"k": 300}, "it shares out K among 132 programs, and there are 304 products to share"),
        (
            HOPPER,
            {"m": 16384, "n": 16384},
            "its 8,192 largest tiles are so many that a last wave of 132 is a small part of them",
        ),
    ],
    "triton_tiled": [
        (CPU, {}, SINCE_80),
        (TURING, {"dtype": "fp16"}, SINCE_80),
        (AMPERE, {"dtype": "fp8e5m2"}, LATE_FP8),
        (HOPPER, {"out_dtype": "int8"}, f"of bf16 it stores {FLOATS}, not int8"),
        (HOPPER, {"acc_dtype": "fp16"}, "it sums bf16 in fp32, not in fp16"),
        (HOPPER, {"dtype": "int8", "batch": 3}, None),
        (HOPPER, {"dtype": "fp8e4m3", "epilogue": "bias+relu"} | BLOCKS, None),
        (HOPPER, {"out_dtype": "fp32"}, None),
    ],
    "triton_tma": [
        (CPU, {}, SINCE_90),
        (ADA, {"dtype": "fp16"}, SINCE_90),
        (HOPPER, {"dtype": "fp32"}, "it computes bf16, fp16, tf32, tf32x3, fp8e4m3, fp8e5m2, int8, not fp32"),
        (HOPPER, {"dtype": "fp16", "acc_dtype": "fp16"}, "it sums fp16 in fp32, not in fp16"),
        (HOPPER, BLOCKS, "it scales blocks of fp8, not of bf16"),
        (HOPPER, {"out_dtype": "int32"}, f"of bf16 it stores {FLOATS}, not int32"),
        (HOPPER, {"dtype": "int8", "scales": "row", "out_dtype": "bf16", "epilogue": "bias+relu", "batch": 2}, None),
    ],
}
ELSEWHERE = {
    "cuda_skinny": {"m": 16, "n": 512, "k": 512},
    "triton_skinny": {"m": 64, "n": 512, "k": 64},
    "triton_splitk": {"m": 64, "n": 64, "k": 4096, "dtype": "fp16"},
    "triton_streamk": {"m": 64, "n": 64, "k": 4096, "dtype": "fp16"},
}
"""What is asked of a template but for what a row says, where it is not 64 x 64 x 64 in bf16."""


@pytest.mark.parametrize(
    ("name", "target", "fields", "reason"), [(name, *row) for name, rows in REFUSALS.items() for row in rows]
)
def test_what_it_cannot_compute_is_said(name, target, fields, reason):
    """In words, with the numbers; None where it can."""
    (template,) = templates_named("gemm", [name])
    of = a_product(**({"m": 64, "n": 64, "k": 64} | ELSEWHERE.get(name, {}) | fields))
    assert template.supports(of, target) == reason
