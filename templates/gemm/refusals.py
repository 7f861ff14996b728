"""Why a template cannot compute a problem: the reasons that many have, each None where it does not hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ...spaces.problems import Problem
from ...spaces.targets import Gpu, Target
from ..chips import capability

TENSOR_ARCH, FP8_ARCH, TMA_ARCH = 80, 89, 90
"""Compute capability times ten: asynchronous copies came with sm_80, fp8 with sm_89, TMA with sm_90."""

MOST_BATCHES = 65535
"""Blocks along z. Source: CUDA C++ Programming Guide, compute capabilities."""

_FLOATS = ("bf16", "fp16", "fp32", "fp8e4m3", "fp8e5m2")
STORED: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("bf16", "fp16", "fp32", "tf32", "tf32x3", "fp8e4m3", "fp8e5m2"), _FLOATS),
    "int8": ("int32", "bf16", "fp16", "fp32"),
}
"""What a Triton template stores of each type that is multiplied."""


def sums_dtype(problem: Problem) -> str:
    """The type that sums are kept in."""
    return "int32" if problem["dtype"] == "int8" else "fp32"


def other_chip(target: Target, oldest: int) -> str | None:
    """Not a GPU of this compute capability or a later one."""
    if not isinstance(target.device, Gpu) or capability(target.device) < oldest:
        return f"it runs on a GPU of sm_{oldest} or later"
    return None


def other_dtype(problem: Problem, dtypes: Iterable[str]) -> str | None:
    """None of the types it multiplies."""
    known = tuple(dtypes)
    return None if problem["dtype"] in known else f"it computes {', '.join(known)}, not {problem['dtype']}"


def before_fp8(problem: Problem, target: Target) -> str | None:
    """fp8 on a GPU that has no products and conversions of it."""
    assert isinstance(target.device, Gpu)
    if "fp8" in f"{problem['dtype']} {problem['out_dtype']}" and capability(target.device) < FP8_ARCH:
        return f"it computes fp8 on a GPU of sm_{FP8_ARCH} or later"
    return None


def other_sums(problem: Problem) -> str | None:
    """Sums that tensor cores do not keep."""
    summed, asked = sums_dtype(problem), problem["acc_dtype"]
    return None if asked == summed else f"it sums {problem['dtype']} in {summed}, not {asked}"


def block_scales(problem: Problem) -> str | None:
    """Scales that change inside K."""
    return "it computes scales=none, tensor and row only, not block128" if problem["scales"] == "block128" else None


def many_batches(problem: Problem) -> str | None:
    """More products than a grid has places along z."""
    if problem.dim("batch") > MOST_BATCHES:
        return f"it computes {MOST_BATCHES:,} products side by side at most"
    return None


def other_types(
    problem: Problem, target: Target, oldest: int, stored: Mapping[str, tuple[str, ...]] = STORED
) -> str | None:
    """Of a template that stores different types of each that it multiplies."""
    found = other_chip(target, oldest) or other_dtype(problem, stored) or before_fp8(problem, target)
    if found is not None:
        return found
    dtype, out, summed = str(problem["dtype"]), str(problem["out_dtype"]), sums_dtype(problem)
    if out not in stored[dtype]:
        return f"of {dtype} it stores {', '.join(stored[dtype])}, not {out}"
    return None if problem["acc_dtype"] == summed else f"it sums {dtype} in {summed}, not in {problem['acc_dtype']}"
