"""torch tensors as a Library. Imported when the first tensor is met."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch

from ...spaces.errors import ProblemError
from ...spaces.problems import Problem
from .arrays import View
from .torch_attention import TorchAttention
from .torch_vendor import TorchProduct

TYPES = (torch.Tensor, torch.nn.Parameter)
"""Other subclasses may hold no memory of their own, or several."""

_DTYPES: dict[Any, str] = {
    torch.float32: "fp32",
    torch.bfloat16: "bf16",
    torch.float16: "fp16",
    torch.int8: "int8",
    torch.int32: "int32",
    torch.float8_e4m3fn: "fp8e4m3",
    torch.float8_e5m2: "fp8e5m2",
}
_STORED = {**{name: dtype for dtype, name in _DTYPES.items()}, "tf32": torch.float32, "tf32x3": torch.float32}

_raw_stream: Callable[[int], int] | None = getattr(torch._C, "_cuda_getCurrentRawStream", None)
"""0.1 µs instead of the 1 µs of torch.cuda.current_stream; only builds with CUDA have it."""

_grad_mode = torch.is_grad_enabled


class TorchLibrary:
    """See Library."""

    name = "torch"

    @staticmethod
    def signature(array: Any) -> tuple[object, ...]:
        return (
            type(array),
            array.shape,
            array.stride(),
            array.dtype,
            array.get_device(),
            array.data_ptr() & 15,
            array.requires_grad and _grad_mode(),
        )

    @staticmethod
    def address(array: Any) -> int:
        address: int = array.data_ptr()
        return address

    def view(self, name: str, array: Any) -> View:
        if type(array) not in TYPES or array.layout != torch.strided or array.device.type not in ("cpu", "cuda"):
            kind = f"{type(array).__name__}, {array.layout}, on {array.device}"
            raise ProblemError(f"{name} is a tensor that no kernel can be given ({kind}): pass a plain one.")
        dtype = self.dtype_named(array.dtype) or str(array.dtype)
        device = "cpu" if array.device.type == "cpu" else f"cuda:{array.get_device()}"
        return View(name, tuple(array.shape), tuple(array.stride()), dtype, device, array.data_ptr())

    def needs_grad(self, arrays: Mapping[str, Any]) -> bool:
        return _grad_mode() and any(array.requires_grad for array in arrays.values())

    def dtype_named(self, dtype: Any) -> str | None:
        return _DTYPES.get(dtype) if isinstance(dtype, torch.dtype) else None

    def empty(self, shape: tuple[int, ...], dtype: str, device: str) -> Callable[[], Any]:
        return partial(torch.empty, shape, dtype=_STORED[dtype], device=torch.device(device))

    def dense(self, array: Any, turned: bool) -> Any:
        array = array.detach()
        if turned:
            return array.mT.clone(memory_format=torch.contiguous_format).mT
        return array.clone(memory_format=torch.contiguous_format)

    def assign(self, out: Any, value: Any) -> None:
        out.copy_(value)

    def written(self, out: Any) -> None:
        if not out.is_inference():
            torch.autograd.graph.increment_version(out)

    def stream(self, index: int) -> int:
        if _raw_stream is not None:
            return _raw_stream(index)
        return int(torch.cuda.current_stream(index).cuda_stream)

    def scratch(self, size: int, index: int, captured: bool) -> tuple[Any, int]:
        array = torch.empty(size, dtype=torch.uint8, device=torch.device("cuda", index))
        return array, int(array.data_ptr())  # what torch allocates in a capture belongs to the graph

    def swapped(self, array: Any) -> Any:
        return array.transpose(1, 2)

    def product(self, problem: Problem, layout: str) -> TorchProduct:
        return TorchProduct(problem, layout)

    def attention(self, problem: Problem, scale: float, causal: str) -> TorchAttention:
        return TorchAttention(problem, scale, causal)
