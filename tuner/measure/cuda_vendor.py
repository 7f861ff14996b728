"""The vendor library on a GPU, as people reach it: torch where it is installed, else cupy.matmul."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Any

from ...spaces.problems import Problem
from ...templates.op import Array
from .device import Arrays, Kernel
from .torch_vendor import WAYS, torch_kernels


def vendors(cupy: Any, stream: Any, index: int, problem: Problem) -> Mapping[str, Kernel]:
    """Ways of the vendor's to compute the problem on the device, in this stream, by name."""
    if problem.op not in WAYS:
        return {}
    if importlib.util.find_spec("torch") is not None:
        import torch

        if torch.cuda.is_available():
            torch.cuda.set_stream(torch.cuda.ExternalStream(stream.ptr, device=index))
            return torch_kernels(torch, cupy, f"cuda:{index}", problem)
    if problem.op != "gemm":
        return {}
    plain = (problem["epilogue"], problem["scales"], problem["out_dtype"]) == ("none", "none", problem["dtype"])
    if not plain or problem["dtype"] not in ("fp16", "fp32"):  # CuPy has no bf16
        return {}
    return {"cupy.matmul": _cupy_matmul(cupy, str(problem["layout"]))}


def _cupy_matmul(cupy: Any, layout: str) -> Kernel:
    def turned(array: Array, letter: str) -> Array:
        return array if letter == "n" else array.swapaxes(-1, -2)

    def run(arrays: Arrays) -> None:
        cupy.matmul(turned(arrays["a"], layout[0]), turned(arrays["b"], layout[1]), out=arrays["c"])

    return run
