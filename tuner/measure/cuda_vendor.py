"""The vendor library on a GPU: torch.mm (cuBLAS) where torch is installed, else cupy.matmul."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np

from ...spaces.problems import Problem
from .device import Arrays, Kernel

_TORCH_TYPES = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}


def vendor_gemm(cupy: Any, stream: Any, index: int, problem: Problem) -> tuple[str, Kernel] | None:
    """The vendor's name and kernel for a plain product that stores its inputs' dtype, or None."""
    plain = problem.op == "gemm" and problem["epilogue"] == "none" and problem["batch"] == 1
    if not plain or problem["dtype"] not in _TORCH_TYPES or problem["out_dtype"] != problem["dtype"]:
        return None
    layout = str(problem["layout"])
    if importlib.util.find_spec("torch") is not None:
        import torch

        if torch.cuda.is_available():
            return "torch.mm", _torch_mm(torch, stream, index, layout, _TORCH_TYPES[str(problem["dtype"])])
    if problem["dtype"] == "bf16":
        return None  # CuPy has no bf16

    def run(arrays: Arrays) -> None:
        cupy.matmul(_turned(arrays["a"], layout[0]), _turned(arrays["b"], layout[1]), out=arrays["c"])

    return "cupy.matmul", run


def _torch_mm(torch: Any, stream: Any, index: int, layout: str, dtype: str) -> Kernel:
    """torch.mm on the same memory and the same stream; fp32 in full, as the templates compute it."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.cuda.set_stream(torch.cuda.ExternalStream(stream.ptr, device=index))
    device, element = f"cuda:{index}", getattr(torch, dtype)
    views: dict[int, tuple[Any, Any, Any]] = {}  # made once per set: making one inside a capture would cost the host

    def run(arrays: Arrays) -> None:
        key = arrays["c"].data.ptr
        if key not in views:
            a, b, c = (_tensor(torch, arrays[name], device, element) for name in "abc")
            views[key] = (_turned(a, layout[0]), _turned(b, layout[1]), c)
        a, b, c = views[key]
        torch.mm(a, b, out=c)

    return run


def _tensor(torch: Any, array: Any, device: str, element: Any) -> Any:
    """A torch view of a CuPy array; bf16 goes as bits through int16, which both know."""
    if array.dtype == np.uint16:
        array = array.view(np.int16)
    return torch.as_tensor(array, device=device).view(element)


def _turned(matrix: Any, letter: str) -> Any:
    return matrix if letter == "n" else matrix.T
