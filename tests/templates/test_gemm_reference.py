"""gemm's reference: epilogues, scales and batches, against torch's own functions in double precision."""

import numpy as np
import pytest
from kerntune.spaces.errors import ProblemError
from kerntune.templates.catalogue import op_named
from kerntune.templates.gemm.epilogue import epilogue_arguments
from kerntune.templates.gemm.op import EPILOGUES

GEMM = op_named("gemm")
RNG = np.random.default_rng(3)


def arrays_of(problem):
    return {buffer.name: RNG.normal(size=buffer.shape) for buffer in GEMM.buffers(problem)}


def expected(problem, arrays):
    return GEMM.evidence(problem, arrays, np, RNG)[1]


def a_problem(**fields):
    return GEMM.problem("gpu", **({"m": 5, "n": 300, "k": 270, "dtype": "fp32"} | fields))


@pytest.mark.torch
@pytest.mark.parametrize("epilogue", EPILOGUES)
@pytest.mark.parametrize("batch", [1, 3])
def test_an_epilogue_is_what_torch_calls_it(epilogue, batch):
    """Bias before the activation, the residual after it; gelu is the exact one."""
    import torch

    problem = a_problem(epilogue=epilogue, batch=batch, layout="nt")
    arrays = arrays_of(problem)
    t = {name: torch.from_numpy(array).double() for name, array in arrays.items()}
    wanted = t["a"] @ t["b"].transpose(-1, -2)
    for part in epilogue.split("+"):
        if part in ("bias", "residual"):
            wanted = wanted + t[part]
        elif part != "none":
            wanted = getattr(torch.nn.functional, part)(wanted)
    np.testing.assert_allclose(expected(problem, arrays), wanted.numpy(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("scales", ["tensor", "row", "block128"])
@pytest.mark.parametrize("batch", [1, 2])
def test_scales_belong_to_the_whole_to_rows_or_to_blocks_of_128(scales, batch):
    """Each element of A and B times its own scale, before the product."""
    problem = a_problem(scales=scales, batch=batch, dtype="fp8", out_dtype="fp32")
    arrays = arrays_of(problem)
    wanted = np.zeros((batch, 5, 300))
    for turn in range(batch):
        a, b, a_scale, b_scale = (arrays[x][turn] if batch > 1 else arrays[x] for x in ("a", "b", "a_scale", "b_scale"))
        for i in range(5):
            for j in (0, 127, 128, 299):
                of_a = {"tensor": lambda i, p: (0,), "row": lambda i, p: (i,), "block128": lambda i, p: (i, p // 128)}
                of_b = {"tensor": lambda p, j: (0,), "row": lambda p, j: (j,)}
                of_b["block128"] = lambda p, j: (p // 128, j // 128)
                wanted[turn, i, j] = sum(
                    float(a[i, p]) * a_scale[of_a[scales](i, p)] * float(b[p, j]) * b_scale[of_b[scales](p, j)]
                    for p in range(270)
                )
    got = expected(problem, arrays).reshape(batch, 5, 300)[..., [0, 127, 128, 299]]
    np.testing.assert_allclose(got, wanted[..., [0, 127, 128, 299]], rtol=1e-6, atol=1e-6)


def test_what_a_kernel_reads_beside_its_operands_is_counted_and_named_in_order():
    """Scales, bias, residual: after C, and in the bytes of the roofline."""
    problem = a_problem(dtype="fp8", out_dtype="fp8", scales="row", epilogue="bias+relu+residual")
    assert [(x.name, x.type) for x in epilogue_arguments(problem, "triton")] == [
        ("a_scale", "*fp32"),
        ("b_scale", "*fp32"),
        ("bias", "*bf16"),
        ("residual", "*bf16"),
    ]
    assert problem["bytes"] == 5 * 270 + 270 * 300 + 5 * 300 + 4 * (5 + 300) + 2 * 300 + 2 * 5 * 300


def test_integers_are_summed_in_int32_and_stored_as_they_are():
    """Eight bits could not hold a sum, and an epilogue has no meaning on one."""
    assert a_problem(dtype="int8")["out_dtype"] == "int32"
    with pytest.raises(ProblemError, match="out_dtype of bf16, fp16 or fp32"):
        a_problem(dtype="int8", epilogue="relu")
    assert a_problem(dtype="int8", out_dtype="bf16", epilogue="relu")["activation"] == "relu"


@pytest.mark.torch
@pytest.mark.parametrize("dtype", ["fp8e4m3", "fp8e5m2"])
def test_eight_bits_mean_what_torch_says(dtype):
    """All 256 codes, NaN and infinities too."""
    import torch
    from kerntune.tuner.measure.cuda_random import fp8_values

    theirs = torch.arange(256, dtype=torch.uint8).view({"fp8e4m3": torch.float8_e4m3fn}.get(dtype, torch.float8_e5m2))
    np.testing.assert_array_equal(fp8_values(dtype), theirs.float().numpy())
