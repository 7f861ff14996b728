"""The vendor's product under ops: every epilogue, scale, dtype and layout against float64."""

import numpy as np
import pytest
from kerntune import ops
from kerntune.spaces.errors import NoAnswer
from kerntune.templates.catalogue import op_named
from kerntune.templates.gemm.op import EPILOGUES

GEMM = op_named("gemm")
DTYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16", "int8": "int8", "fp8e4m3": "float8_e4m3fn"}
LAYOUTS = ("nn", "nt", "tn", "tt")


@pytest.fixture(autouse=True)
def vendor_alone(monkeypatch):
    """No store is asked; every call is planned anew."""
    monkeypatch.setenv("KERNTUNE_DISABLE", "1")
    ops.forget()
    yield
    ops.forget()


def values(problem, seed=0):
    """fp32 numbers, or integers, for each buffer that is read."""
    rng = np.random.default_rng(seed)
    read = [buffer for buffer in GEMM.buffers(problem) if buffer.name != "c"]
    return {
        buffer.name: rng.integers(-128, 128, buffer.shape).astype(np.int8)
        if buffer.dtype == "int8"
        else rng.standard_normal(buffer.shape, np.float32)
        for buffer in read
    }


def in_torch(problem, numbers):
    import torch

    dtypes = {buffer.name: getattr(torch, DTYPES.get(buffer.dtype, "float32")) for buffer in GEMM.buffers(problem)}
    return {name: torch.tensor(array).to(dtypes[name]) for name, array in numbers.items()}


def agrees(problem, read, c):
    """Whether C is what it should be. A vendor may round after each step, when numbers are larger than at the end."""
    arrays = {name: np.asarray(array, np.float64) for name, array in {**read, "c": c}.items()}
    ours, expected = GEMM.evidence(problem, arrays, np, np.random.default_rng(0))
    allowed = GEMM.tolerance(problem)
    near = np.abs(ours - expected).max() <= 4 * (allowed.rtol * np.abs(expected).max() + allowed.atol)
    return bool(near) and np.linalg.norm(ours - expected) <= 4 * allowed.frobenius * np.linalg.norm(expected)


def torch_agrees(problem, **changes):
    arrays = in_torch(problem, values(problem))
    fields = {name: problem[name] for name in ("layout", "epilogue", "scales", "out_dtype")}
    c = ops.gemm(**arrays, **fields, **changes)
    assert str(c.dtype) == f"torch.{DTYPES.get(problem['out_dtype'], problem['out_dtype'])}"
    return agrees(problem, {name: array.double().numpy() for name, array in arrays.items()}, c.double().numpy())


@pytest.mark.torch
@pytest.mark.parametrize("epilogue", EPILOGUES)
@pytest.mark.parametrize("dtype", ["bf16", "fp32"])
def test_torch_computes_every_epilogue(epilogue, dtype):
    """On a batch of a ragged shape."""
    assert torch_agrees(GEMM.problem("gpu", m=7, n=33, k=21, batch=3, dtype=dtype, epilogue=epilogue))


@pytest.mark.torch
@pytest.mark.parametrize("scales", ["tensor", "row", "block128"])
@pytest.mark.parametrize(("dtype", "out_dtype"), [("fp8e4m3", "bf16"), ("int8", "fp32"), ("fp16", "fp16")])
@pytest.mark.parametrize("batch", [1, 2])
def test_torch_computes_every_scale(scales, dtype, out_dtype, batch):
    """Before the bias."""
    shape = {"m": 9, "n": 150, "k": 140, "batch": batch}
    words = {"dtype": dtype, "out_dtype": out_dtype, "scales": scales, "epilogue": "bias"}
    assert torch_agrees(GEMM.problem("gpu", **shape, **words))


@pytest.mark.torch
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("dtype", "out_dtype"),
    [("fp32", "fp32"), ("bf16", "bf16"), ("bf16", "fp32"), ("fp16", "fp16"), ("int8", "int32"), ("fp8e4m3", "fp8e4m3")],
)
def test_torch_computes_every_layout_and_dtype(layout, dtype, out_dtype):
    """fp8 outputs saturate, integers are exact."""
    assert torch_agrees(GEMM.problem("gpu", m=17, n=5, k=65, dtype=dtype, out_dtype=out_dtype, layout=layout))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("dtype", "out_dtype"), [("fp32", "fp32"), ("fp16", "fp16"), ("int8", "int32")])
@pytest.mark.parametrize("epilogue", ["none", "bias+gelu+residual", "silu", "relu"])
def test_numpy_computes_every_layout_and_dtype(layout, dtype, out_dtype, epilogue):
    """With epilogues in fp32."""
    if dtype == "int8":
        out_dtype, epilogue = ("int32", "none") if epilogue == "none" else ("fp32", "relu")
    words = {"dtype": dtype, "out_dtype": out_dtype, "layout": layout, "epilogue": epilogue}
    problem = GEMM.problem("gpu", m=17, n=5, k=65, batch=2, **words)
    stored = {buffer.name: DTYPES[buffer.dtype] for buffer in GEMM.buffers(problem) if buffer.dtype in DTYPES}
    arrays = {name: array.astype(stored[name]) for name, array in values(problem).items()}
    c = ops.gemm(**arrays, layout=layout, epilogue=epilogue, out_dtype=out_dtype)
    assert c.dtype == DTYPES.get(out_dtype, out_dtype)
    assert agrees(problem, arrays, c)


def test_numpy_has_no_bf16():
    """Bits alone are nothing a vendor multiplies."""
    a = np.zeros((8, 8), np.uint16)
    with pytest.raises(NoAnswer, match=r"numpy has no bf16\. Tune it first: tune gemm --shape 8x8x8 --dtype bf16"):
        ops.gemm(a, a, dtype="bf16")


@pytest.mark.torch
def test_gradients_flow_through_the_vendor():
    """Nothing is lost in silence; the plan says why no tuned kernel runs."""
    import torch

    a, b, bias = (torch.randn(*shape, requires_grad=True) for shape in ((4, 8), (3, 8), (3,)))
    c = ops.gemm(a, b, layout="nt", epilogue="bias+gelu", bias=bias)
    c.sum().backward()
    mine = [each.grad.clone() for each in (a, b, bias)]
    for each in (a, b, bias):
        each.grad = None
    torch.nn.functional.gelu(a @ b.T + bias).sum().backward()
    assert all(torch.allclose(one, each.grad, atol=1e-5) for one, each in zip(mine, (a, b, bias), strict=True))
    assert "requires grad" in ops.gemm_plan(a, b, layout="nt").reason
    with torch.no_grad():
        assert "KERNTUNE_DISABLE" in ops.gemm_plan(a, b, layout="nt").reason
