"""What torch has for an op, as kernels on the arrays of another library: by name, all that it may be told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...spaces.problems import Problem
from ...templates.catalogue import op_named
from ...templates.op import Array
from .device import Arrays, Kernel
from .torch_attention import attention_ways
from .torch_gemm import TORCH_TYPES, Way, gemm_ways

WAYS: Mapping[str, Callable[[Any, Problem], Mapping[str, Way]]] = {"attention": attention_ways, "gemm": gemm_ways}
"""Torch's ways by op."""

_BESIDE = {"float32": "fp32", "float16": "fp16", "uint16": "bf16", "bool": "bool"}
"""Types of the arrays that are read beside the problem's."""


def torch_kernels(torch: Any, xp: Any, device: str, problem: Problem) -> dict[str, Kernel]:
    """All of torch's ways as kernels, by name."""
    ways = WAYS[problem.op](torch, problem)
    return {name: torch_kernel(torch, xp, device, problem, way) for name, way in ways.items()}


def torch_kernel(torch: Any, xp: Any, device: str, problem: Problem, way: Way) -> Kernel:
    """One of torch's ways as a kernel on the problem's arrays, which are `xp`'s, on torch's current stream.

    Tensors of a set are made at its first call, which is before any capture: there it would cost the host. Then, too,
    results are copied to where they belong that a way keeps in memory of its own: nobody who calls it would. What a way
    reads beside them is in `xp`'s memory: torch sees no capture of CuPy's, and what a captured call let go of (its
    workspace) may later lie under what torch allocates to keep. The stream's order keeps workspaces apart.
    """
    dtypes = {buffer.name: buffer.dtype for buffer in op_named(problem.op).buffers(problem)}
    seen: dict[tuple[int, ...], Mapping[str, Any]] = {}
    results: dict[tuple[int, ...], Any] = {}  # of each set their own: all in one place, they would stay in the cache

    def run(arrays: Arrays) -> None:
        key = tuple(_address(array) for array in arrays.values())
        is_new = key not in seen
        if is_new:
            named = {**arrays, **way.beside(arrays, xp)}
            made = {n: _tensor(torch, x, device, dtypes.get(n) or _BESIDE[str(x.dtype)]) for n, x in named.items()}
            seen[key] = way.view(made)
        _prefer(torch, way)
        results[key] = way.call(seen[key])
        if is_new and isinstance(results[key], dict):
            for name in results[key].keys() & seen[key].keys():
                seen[key][name].copy_(results[key][name])

    return run


def _prefer(torch: Any, way: Way) -> None:
    """Before each call, as ways take turns; a captured call keeps what was preferred then."""
    torch.backends.cuda.matmul.allow_tf32 = way.allow_tf32
    if way.library is not None:
        torch.backends.cuda.preferred_blas_library(way.library)


def _tensor(torch: Any, array: Array, device: str, dtype: str) -> Any:
    """A torch view of an array; what torch takes no array of (bf16) goes as bits through a type that it does."""
    if array.dtype == np.uint16:
        array = array.view(np.int16)
    return torch.as_tensor(array, device=device).view(getattr(torch, TORCH_TYPES[dtype]))


def _address(array: Array) -> int:
    return int(array.data.ptr if hasattr(array.data, "ptr") else array.ctypes.data)
