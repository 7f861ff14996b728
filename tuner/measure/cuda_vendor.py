"""The vendor library on a GPU, as people reach it: torch where it is installed, else cupy.matmul."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...spaces.problems import Problem
from ...templates.catalogue import op_named
from ...templates.op import Array
from .device import Arrays, Kernel
from .torch_gemm import TORCH_TYPES, Way, gemm_ways


def vendors(cupy: Any, stream: Any, index: int, problem: Problem) -> Mapping[str, Kernel]:
    """Ways of the vendor's to compute the problem on the device, in this stream, by name."""
    if problem.op != "gemm":
        return {}
    if importlib.util.find_spec("torch") is not None:
        import torch

        if torch.cuda.is_available():
            torch.cuda.set_stream(torch.cuda.ExternalStream(stream.ptr, device=index))
            ways = gemm_ways(torch, problem)
            return {name: torch_kernel(torch, cupy, f"cuda:{index}", problem, way) for name, way in ways.items()}
    plain = (problem["epilogue"], problem["scales"], problem["out_dtype"]) == ("none", "none", problem["dtype"])
    if not plain or problem["dtype"] not in ("fp16", "fp32"):  # CuPy has no bf16
        return {}
    return {"cupy.matmul": _cupy_matmul(cupy, str(problem["layout"]))}


def torch_kernel(torch: Any, xp: Any, device: str, problem: Problem, way: Way) -> Kernel:
    """One of torch's ways as a kernel on the problem's arrays, which are `xp`'s, on torch's current stream.

    Tensors of a set are made at its first call, which is before any capture: there it would cost the host. What a way
    reads beside them is in `xp`'s memory: torch sees no capture of CuPy's, and what a captured call let go of (its
    workspace) may later lie under what torch allocates to keep. The stream's order keeps workspaces apart.
    """
    dtypes = {buffer.name: buffer.dtype for buffer in op_named(problem.op).buffers(problem)}
    seen: dict[tuple[int, ...], Mapping[str, Any]] = {}

    def run(arrays: Arrays) -> None:
        key = tuple(_address(array) for array in arrays.values())
        if key not in seen:
            named = {**arrays, **way.beside(arrays, xp)}
            made = {name: _tensor(torch, array, device, dtypes.get(name, "fp32")) for name, array in named.items()}
            seen[key] = way.view(made)
        _prefer(torch, way)
        way.call(seen[key])

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


def _cupy_matmul(cupy: Any, layout: str) -> Kernel:
    def turned(array: Array, letter: str) -> Array:
        return array if letter == "n" else array.swapaxes(-1, -2)

    def run(arrays: Arrays) -> None:
        cupy.matmul(turned(arrays["a"], layout[0]), turned(arrays["b"], layout[1]), out=arrays["c"])

    return run
