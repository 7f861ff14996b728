"""NumPy and CuPy arrays as Libraries: one interface in two packages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from ...spaces.errors import ProblemError
from ...spaces.problems import Problem
from .arrays import BITS, View
from .plain_attention import PlainAttention
from .plain_vendor import PlainProduct, refusal

_DTYPES = {
    **{"float32": "fp32", "float16": "fp16", "int8": "int8", "int32": "int32", "uint16": "uint16", "uint8": "uint8"},
    **{"bfloat16": "bf16", "float8_e4m3fn": "fp8e4m3", "float8_e5m2": "fp8e5m2"},  # of the package ml_dtypes
}
_STORED = {name: stored for stored, name in _DTYPES.items() if name not in BITS} | {
    "tf32": "float32",
    "tf32x3": "float32",
}
_STORED |= BITS


class PlainLibrary:
    """See Library; what NumPy and CuPy share."""

    name: str

    def __init__(self, xp: Any) -> None:
        self.xp = xp

    def view(self, name: str, array: Any) -> View:
        if any(stride % array.itemsize for stride in array.strides):
            raise ProblemError(f"{name} has strides of parts of an element: copy it.")
        strides = tuple(stride // array.itemsize for stride in array.strides)
        dtype = self.dtype_named(array.dtype) or str(array.dtype)
        return View(name, tuple(array.shape), strides, dtype, self.device(array), self.address(array))

    def device(self, array: Any) -> str:
        """Where an array lies."""
        return "cpu"

    @staticmethod
    def address(array: Any) -> int:
        address: int = array.__array_interface__["data"][0]
        return address

    def needs_grad(self, arrays: Mapping[str, Any]) -> bool:
        return False

    def dtype_named(self, dtype: Any) -> str | None:
        try:
            return _DTYPES.get(np.dtype(dtype).name)
        except TypeError:
            return None

    def empty(self, shape: tuple[int, ...], dtype: str, device: str) -> Callable[[], Any]:
        return partial(self.xp.empty, shape, _STORED[dtype])

    def dense(self, array: Any, turned: bool) -> Any:
        return array.swapaxes(-1, -2).copy("C").swapaxes(-1, -2) if turned else array.copy("C")

    def assign(self, out: Any, value: Any) -> None:
        out[...] = value

    def written(self, out: Any) -> None:
        """Nobody keeps count."""

    def swapped(self, array: Any) -> Any:
        return array.swapaxes(1, 2)

    def product(self, problem: Problem, layout: str) -> PlainProduct | str:
        return refusal(problem, self.name) or PlainProduct(problem, layout, self.xp)

    def attention(self, problem: Problem, scale: float, causal: str) -> PlainAttention | str:
        if problem["dtype"] not in ("fp32", "fp16", "tf32", "tf32x3"):
            return f"{self.name} has no {problem['dtype']}"
        return PlainAttention(problem, scale, causal, self.xp)


class NumpyLibrary(PlainLibrary):
    """Arrays of the processor."""

    name = "numpy"

    def __init__(self) -> None:
        super().__init__(np)

    @staticmethod
    def signature(array: Any) -> tuple[object, ...]:
        address = array.__array_interface__["data"][0]
        # A plan that writes into `out` must not meet one that is read-only.
        return type(array), array.shape, array.strides, array.dtype, address & 15, array.flags.writeable

    def view(self, name: str, array: Any) -> View:
        if type(array) is not np.ndarray:
            raise ProblemError(f"{name} is a {type(array).__name__}: pass a plain array, np.asarray({name}).")
        if name == "out" and not array.flags.writeable:
            raise ProblemError("out is read-only: pass an array that may be written.")
        return super().view(name, array)

    def stream(self, index: int) -> int:
        return 0

    def scratch(self, size: int, index: int, captured: bool) -> tuple[Any, int]:
        raise NotImplementedError("kernels of a processor keep their own workspace")


class CupyLibrary(PlainLibrary):
    """Arrays of a GPU."""

    name = "cupy"

    def __init__(self) -> None:
        import cupy

        super().__init__(cupy)
        self._captured: list[Any] = []

    @staticmethod
    def signature(array: Any) -> tuple[object, ...]:
        data = array.data
        return type(array), array.shape, array.strides, array.dtype, data.device_id, data.ptr & 15

    @staticmethod
    def address(array: Any) -> int:
        address: int = array.data.ptr
        return address

    def device(self, array: Any) -> str:
        return f"cuda:{array.data.device_id}"

    def empty(self, shape: tuple[int, ...], dtype: str, device: str) -> Callable[[], Any]:
        return partial(self._allocate, shape, _STORED[dtype], int(device.removeprefix("cuda:")))

    def stream(self, index: int) -> int:
        if self.xp.cuda.runtime.getDevice() == index:
            return int(self.xp.cuda.get_current_stream().ptr)
        with self.xp.cuda.Device(index):
            return int(self.xp.cuda.get_current_stream().ptr)

    def scratch(self, size: int, index: int, captured: bool) -> tuple[Any, int]:
        array = self._allocate((size,), "uint8", index)
        if captured:  # CuPy would give the memory to others while the graph lives, and nobody says when it ends
            self._captured.append(array)
        return array, int(array.data.ptr)

    def _allocate(self, shape: tuple[int, ...], stored: str, index: int) -> Any:
        if self.xp.cuda.runtime.getDevice() == index:
            return self.xp.empty(shape, stored)
        with self.xp.cuda.Device(index):
            return self.xp.empty(shape, stored)
