"""What torch has for a gemm: its ways by the names of what is called, with what it is told to prefer in brackets.

An epilogue is torch's own: bias, relu and residual where one of its calls takes them along, else kernels after the
product, in the type of C. What torch refuses (sizes, layouts, types) is found out by calling it:

- `_int_mm` needs more than 16 rows, and K and N in eights; it may know no layout but `nt`.
- `_scaled_mm` needs K and N in sixteens and, before sm_100, the layout `nt`; never e5m2 times e5m2.

Source of both: aten/src/ATen/native/cuda/Blas.cpp and ScaledBlas.cpp of torch 2.11. Two things can be asked for that no
way has: scales of other inputs than 8-bit floats, and batches of 8-bit inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ...spaces.problems import Problem
from .device import Arrays

Tensors = Mapping[str, Any]
Call = Callable[[Tensors], Any]

LIBRARIES = ("cublas", "cublaslt")
"""What `preferred_blas_library` may be told: they choose other kernels (14 % apart at 64x4096x14336 on an H200)."""

TORCH_TYPES: Mapping[str, str] = {
    "fp32": "float32",
    "tf32": "float32",
    "tf32x3": "float32",
    "bf16": "bfloat16",
    "fp16": "float16",
    "int8": "int8",
    "int32": "int32",
    "fp8e4m3": "float8_e4m3fn",
    "fp8e5m2": "float8_e5m2",
    "bool": "bool",
}

SCALED_BLOCK, SCALE_ROW = 128, 4
"""Elements that share a scale, and scales that rows of them are filled up to: cuBLASLt reads 16 bytes at once."""


@dataclass(frozen=True, slots=True)
class Way:
    """How torch computes a problem: a call, and what it is told before."""

    call: Call  # leaves its results where they belong, or gives them in a dict by buffer, where it cannot be told
    view: Callable[[Tensors], Tensors]  # the problem's tensors, and those beside them, as the call takes them
    library: str | None = None  # preferred; None where it makes no difference
    allow_tf32: bool = False
    beside: Callable[[Arrays, Any], Arrays] = lambda arrays, xp: {}  # arrays that are read too, made by numpy or CuPy


@dataclass(frozen=True, slots=True)
class _Product:
    """A call that leaves the sums in C, with the parts of the epilogue that it does itself."""

    name: str
    call: Call
    does: tuple[str, ...] = ()
    libraries: tuple[str | None, ...] = LIBRARIES
    words: tuple[str, ...] = ()


def gemm_ways(torch: Any, problem: Problem) -> dict[str, Way]:
    """Torch's ways for a problem, by name."""
    found = {}
    tf32 = problem["dtype"] == "tf32"
    for product in _products(torch, problem):
        steps = _steps(torch, problem, product.does)
        name = " + ".join([product.name, *steps])
        call = _in_turn([product.call, *steps.values()])
        for library in product.libraries:
            words = ", ".join(word for word in (library, *product.words) if word is not None)
            way = Way(call, _view(problem), library, tf32, _beside(problem))
            found[f"{name} ({words})" if words else name] = way
    return found


def _products(torch: Any, problem: Problem) -> Iterator[_Product]:
    dtype, batched = str(problem["dtype"]), problem["batch"] != 1
    if dtype == "int8":
        if not batched and problem["out_dtype"] == "int32":
            yield _Product("torch._int_mm", lambda t: torch._int_mm(t["a"], t["b"], out=t["c"]), libraries=(None,))
    elif dtype.startswith("fp8"):
        if not batched:
            yield from (_scaled(torch, problem, fast) for fast in (True, False))
    elif problem["scales"] == "none":
        words = {"tf32": ("allow_tf32",), "tf32x3": ("fp32",)}.get(dtype, ())
        for name, call, does, libraries in _dense(torch, problem, batched):
            yield _Product(f"torch.{name}", call, does, libraries, words)


def _dense(torch: Any, problem: Problem, batched: bool) -> Iterator[tuple[str, Call, tuple[str, ...], Any]]:
    """Of float inputs without scales."""
    element, out = (TORCH_TYPES[str(problem[name])] for name in ("dtype", "out_dtype"))
    bias, residual, activation = problem["has_bias"], problem["has_residual"], problem["activation"]
    name = "bmm" if batched else "mm"
    product = getattr(torch, name)
    if element != out:
        wide = getattr(torch, out)
        yield name, lambda t: product(t["a"], t["b"], out_dtype=wide, out=t["c"]), (), LIBRARIES
    elif residual and not bias and activation == "none":
        add = torch.baddbmm if batched else torch.addmm
        name = "baddbmm" if batched else "addmm"
        yield name, lambda t: add(t["residual"], t["a"], t["b"], out=t["c"]), ("residual",), LIBRARIES
    elif bias and not batched:
        yield "addmm", lambda t: torch.addmm(t["bias"], t["a"], t["b"], out=t["c"]), ("bias",), LIBRARIES
        if activation == "relu":
            fused = torch._addmm_activation
            yield "_addmm_activation", lambda t: fused(t["bias"], t["a"], t["b"], out=t["c"]), ("bias", "relu"), (None,)
    else:
        yield name, lambda t: product(t["a"], t["b"], out=t["c"]), (), LIBRARIES


def _scaled(torch: Any, problem: Problem, fast: bool) -> _Product:
    """Of 8-bit floats; fast accumulation keeps some 14 bits of sums, the other way adds those up in fp32."""
    out = getattr(torch, TORCH_TYPES[str(problem["out_dtype"])])

    def call(t: Tensors) -> None:
        words = {"scale_a": t["a_scale"], "scale_b": t["b_scale"], "bias": t.get("bias")}
        torch._scaled_mm(t["a"], t["b"], **words, out_dtype=out, use_fast_accum=fast, out=t["c"])

    return _Product("torch._scaled_mm", call, ("bias",), (None,), (f"use_fast_accum={fast}",))


def _steps(torch: Any, problem: Problem, done: tuple[str, ...]) -> dict[str, Call]:
    """What is left of the epilogue, kernel by kernel, each in place."""
    activations: dict[str, Call] = {
        "relu": lambda t: torch.relu_(t["c"]),
        "gelu": lambda t: torch.ops.aten.gelu_(t["c"]),
        "silu": lambda t: torch.nn.functional.silu(t["c"], inplace=True),
    }
    steps: dict[str, Call] = {}
    if problem["has_bias"]:
        steps["bias"] = lambda t: t["c"].add_(t["bias"])
    if problem["activation"] != "none":
        steps[str(problem["activation"])] = activations[str(problem["activation"])]
    if problem["has_residual"]:
        steps["residual"] = lambda t: t["c"].add_(t["residual"])
    return {name: step for name, step in steps.items() if name not in done}


def _in_turn(calls: list[Call]) -> Call:
    if len(calls) == 1:
        return calls[0]

    def run(tensors: Tensors) -> None:
        for call in calls:
            call(tensors)

    return run


def _beside(problem: Problem) -> Callable[[Arrays, Any], Arrays]:
    """Scales of one where the problem has none; those of blocks as cuBLASLt reads them, along M, and along K."""

    def ones(arrays: Arrays, xp: Any) -> Arrays:
        return {name: xp.ones(1, xp.float32) for name in ("a_scale", "b_scale")}

    def laid_again(arrays: Arrays, xp: Any) -> Arrays:
        depth, width = arrays["b_scale"].shape
        along_k = xp.zeros((width, -(-depth // SCALE_ROW) * SCALE_ROW), xp.float32)
        along_k[:, :depth] = arrays["b_scale"].T
        return {"a_scale": xp.ascontiguousarray(arrays["a_scale"].T), "b_scale": along_k}

    if str(problem["dtype"]).startswith("fp8"):
        return {"none": ones, "block128": laid_again}.get(str(problem["scales"]), lambda arrays, xp: {})
    return lambda arrays, xp: {}


def _view(problem: Problem) -> Callable[[Tensors], Tensors]:
    layout, scales, depth = str(problem["layout"]), problem["scales"], -(-problem.dim("k") // SCALED_BLOCK)

    def view(tensors: Tensors) -> Tensors:
        seen = dict(tensors)
        for name, letter in zip("ab", layout, strict=True):
            if letter == "t":
                seen[name] = seen[name].swapaxes(-1, -2)
        if scales == "row":
            seen["a_scale"], seen["b_scale"] = seen["a_scale"][:, None], seen["b_scale"][None, :]
        if scales == "block128":
            seen["a_scale"], seen["b_scale"] = seen["a_scale"].T, seen["b_scale"][:, :depth].T
        return seen

    return view
