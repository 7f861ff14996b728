"""Torch's ways for a gemm, on a processor: there its calls are the same, and what it prefers is written down."""

import numpy as np
import pytest
from kerntune.templates.catalogue import op_named
from kerntune.tuner.measure import torch_vendor
from kerntune.tuner.measure.torch_gemm import gemm_ways

pytestmark = pytest.mark.torch
GEMM = op_named("gemm")
TOLD = {"fp16": (2e-2, 2e-2), "bf16": (6e-2, 6e-2), "fp32": (1e-4, 1e-4), "int32": (0.0, 0.0)}
BOTH = ("cublas", "cublaslt")


def a_problem(m=32, n=48, k=64, **fields):
    return GEMM.problem("gpu", m=m, n=n, k=k, **fields)


@pytest.fixture
def torch():
    import torch

    return torch


@pytest.fixture
def preferred(torch, monkeypatch):
    """What each call was told before: the library, and whether tf32 is allowed."""
    told = []
    library, before = torch.backends.cuda, torch.backends.cuda.matmul.allow_tf32
    monkeypatch.setattr(
        library, "preferred_blas_library", lambda name: told.append((name, library.matmul.allow_tf32)), raising=True
    )
    yield told
    library.matmul.allow_tf32 = before


def arrays_of(torch, problem, seed=0):
    """numpy arrays as a GPU's lie in memory (16-bit floats as bits), and the same as float64."""
    rng = np.random.default_rng(seed)
    stored, wide = {}, {}
    for buffer in GEMM.buffers(problem):
        element = getattr(torch, torch_vendor.TORCH_TYPES[buffer.dtype])
        whole = buffer.dtype.startswith("int")
        values = rng.integers(-9, 9, buffer.shape) if whole else rng.standard_normal(buffer.shape)
        tensor = torch.from_numpy(values).to(torch.float32).to(element)
        wide[buffer.name] = tensor.to(torch.float64).numpy()
        bits = {"bf16": torch.int16, "fp8e4m3": torch.uint8, "fp8e5m2": torch.uint8}.get(buffer.dtype)
        array = (tensor if bits is None else tensor.view(bits)).numpy()
        stored[buffer.name] = array.view(np.uint16) if buffer.dtype == "bf16" else array
    return stored, wide


def run(torch, problem, way):
    """C of a way and what it should be, in float64."""
    stored, wide = arrays_of(torch, problem)
    torch_vendor.torch_kernel(torch, np, "cpu", problem, way)(stored)
    out = torch.from_numpy(stored["c"].view(np.int16) if stored["c"].dtype == np.uint16 else stored["c"])
    wide["c"] = out.view(getattr(torch, torch_vendor.TORCH_TYPES[str(problem["out_dtype"])])).to(torch.float64).numpy()
    return GEMM.evidence(problem, wide, np, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({}, [f"torch.mm ({one})" for one in BOTH]),
        ({"dtype": "tf32"}, [f"torch.mm ({one}, allow_tf32)" for one in BOTH]),
        ({"dtype": "tf32x3"}, [f"torch.mm ({one}, fp32)" for one in BOTH]),
        ({"dtype": "int8"}, ["torch._int_mm"]),
        ({"dtype": "fp8"}, [f"torch._scaled_mm (use_fast_accum={fast})" for fast in (True, False)]),
        ({"batch": 2}, [f"torch.bmm ({one})" for one in BOTH]),
        ({"epilogue": "bias"}, [f"torch.addmm ({one})" for one in BOTH]),
        ({"epilogue": "bias+relu"}, [*(f"torch.addmm + relu ({one})" for one in BOTH), "torch._addmm_activation"]),
        ({"epilogue": "bias+gelu+residual"}, [f"torch.addmm + gelu + residual ({one})" for one in BOTH]),
        ({"epilogue": "residual"}, [f"torch.addmm ({one})" for one in BOTH]),
        ({"epilogue": "bias+silu", "batch": 2}, [f"torch.bmm + bias + silu ({one})" for one in BOTH]),
        ({"dtype": "fp8", "batch": 2}, []),
        ({"dtype": "bf16", "scales": "row"}, []),
    ],
    ids=str,
)
def test_ways_are_named_by_what_is_called_and_preferred(torch, fields, names):
    """A number beside a name says what a user would have to write."""
    assert list(gemm_ways(torch, a_problem(**fields))) == names


@pytest.mark.parametrize("layout", ["nn", "nt", "tn", "tt"])
@pytest.mark.parametrize(
    "fields",
    [
        {"dtype": "bf16"},
        {"dtype": "fp16", "batch": 3},
        {"dtype": "fp32", "epilogue": "bias+gelu+residual"},
        {"dtype": "fp32", "epilogue": "bias+relu"},
        {"dtype": "fp32", "epilogue": "silu"},
        {"dtype": "fp32", "epilogue": "residual"},
        {"dtype": "fp32", "epilogue": "residual", "batch": 2},
        {"dtype": "fp32", "epilogue": "bias+relu+residual", "batch": 2},
        {"dtype": "int8"},
    ],
    ids=str,
)
@pytest.mark.usefixtures("preferred")
def test_every_way_computes_the_problem(torch, fields, layout):
    """In the order of the epilogue, from arrays as a GPU has them."""
    problem = a_problem(layout=layout, **fields)
    ways = gemm_ways(torch, problem)
    assert ways
    for way in ways.values():
        computed, expected = run(torch, problem, way)
        rtol, atol = TOLD[str(problem["out_dtype"])]
        np.testing.assert_allclose(computed, expected, rtol=rtol, atol=atol * 8)


@pytest.mark.parametrize("scales", ["none", "tensor"])
def test_8_bit_floats_are_scaled(torch, scales):
    """By one where the problem has no scales."""
    problem = a_problem(dtype="fp8", layout="nt", out_dtype="bf16", scales=scales)
    for way in gemm_ways(torch, problem).values():
        computed, expected = run(torch, problem, way)
        np.testing.assert_allclose(computed, expected, rtol=6e-2, atol=0.5)


def test_scales_are_laid_as_cublaslt_reads_them(torch):
    """Rows as columns and rows; blocks of A along M, those of B along K with strides of 16 bytes."""
    row = a_problem(dtype="fp8", layout="nt", scales="row", out_dtype="bf16")
    stored, _ = arrays_of(torch, row)
    way = next(iter(gemm_ways(torch, row).values()))
    seen = way.view({name: torch.from_numpy(array) for name, array in stored.items() if name != "c"})
    assert (seen["a_scale"].shape, seen["b_scale"].shape) == ((32, 1), (1, 48))
    blocks = a_problem(m=32, n=400, k=640, dtype="fp8", layout="nt", scales="block128", out_dtype="bf16")
    stored, _ = arrays_of(torch, blocks)
    way = next(iter(gemm_ways(torch, blocks).values()))
    named = {name: array for name, array in {**stored, **way.beside(stored, np)}.items() if name != "c"}
    seen = way.view({name: torch.from_numpy(array) for name, array in named.items()})
    assert (seen["a_scale"].shape, seen["a_scale"].stride()) == ((32, 5), (1, 32))
    assert (seen["b_scale"].shape, seen["b_scale"].T.stride()) == ((5, 4), (8, 1))
    assert (seen["a_scale"].numpy() == stored["a_scale"]).all()
    assert (seen["b_scale"].numpy() == stored["b_scale"]).all()


def test_each_call_is_told_what_it_prefers(torch, preferred):
    """Ways take turns in a playoff: what the last one was told must not stay."""
    problems = [a_problem(dtype="fp32"), a_problem(dtype="tf32")]
    kernels = [
        (torch_vendor.torch_kernel(torch, np, "cpu", problem, way), arrays_of(torch, problem)[0])
        for problem in problems
        for way in gemm_ways(torch, problem).values()
    ]
    for kernel, arrays in [*kernels, *kernels]:
        kernel(arrays)
    assert preferred == [("cublas", False), ("cublaslt", False), ("cublas", True), ("cublaslt", True)] * 2


def test_a_kernel_walks_through_the_sets(torch, preferred):
    """Each set is seen as tensors once, and computed from its own inputs."""
    problem = a_problem(dtype="fp32")
    kernel = torch_vendor.torch_kernel(torch, np, "cpu", problem, next(iter(gemm_ways(torch, problem).values())))
    sets = [arrays_of(torch, problem, seed)[0] for seed in (1, 2)]
    for arrays in [*sets, *sets]:
        arrays["c"].fill(np.nan)
        kernel(arrays)
        np.testing.assert_allclose(arrays["c"], arrays["a"] @ arrays["b"], rtol=1e-4, atol=1e-4)
