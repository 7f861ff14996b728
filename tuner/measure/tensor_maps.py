"""CUtensorMaps: the 128 bytes that a kernel takes for a TensorMap, made by the driver when the address is known.

libcuda is called directly: cuda.bindings' own CUtensorMap objects are not aligned as the driver needs them (13.5.0: 32
bytes off, always).
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from ...templates.op import Array
from ...templates.tensor_map import ALIGNED_BYTES, FILLS, PROMOTIONS, SWIZZLES, TensorMap
from .device import LaunchError

MAP_BYTES = 128

MAP_ALIGNED_BYTES = 128
"""64 is what cuTensorMapEncodeTiled asks for, 128 how the cuda.h of CUDA 13 declares a CUtensorMap."""

KEPT = 4096
"""Maps of one tensor that are kept: of all sets of arrays of a cold measurement (workload.py) and of the check."""

_TYPES: Mapping[str, int] = {
    **dict.fromkeys(("int8", "fp8e4m3", "fp8e5m2"), 0),  # UINT8
    "int32": 3,
    "fp16": 6,
    **dict.fromkeys(("fp32", "tf32x3"), 7),
    "bf16": 9,
    "tf32": 11,
}
"""CUtensorMapDataType (cuda.h). tf32 is fp32 in memory and rounded to nearest on the way: tensor cores cut it off."""

_NO_INTERLEAVE = 0
"""CU_TENSOR_MAP_INTERLEAVE_NONE."""

Map = np.ndarray[Any, np.dtype[np.void]]
"""One element of 128 bytes: CuPy passes a NumPy array of one element by value."""


class EncodedMaps:
    """The maps of one tensor over the arrays that it is asked for; the same arrays come back in every timed call."""

    def __init__(self, tensor: TensorMap) -> None:
        """Raises: LaunchError, with the rule of TMA that the tensor breaks."""
        refusal = tensor.refusal or (None if tensor.box else "it has no box")
        if refusal:
            raise LaunchError(f"the tensor map of {tensor.buffer} cannot be: {refusal}")
        self._tensor = tensor
        self._kept: dict[int, Map] = {}

    def of(self, array: Array) -> Map:
        """The map over an array of the current device. Raises: LaunchError."""
        address = array.data.ptr
        found = self._kept.get(address)
        if found is None:
            self._check(address, array.nbytes)
            if len(self._kept) >= KEPT:
                self._kept.clear()
            found = self._kept[address] = encode(self._tensor, address)
        return found

    def _check(self, address: int, size: int) -> None:
        name, reach = self._tensor.buffer, self._tensor.reach_bytes
        if address % ALIGNED_BYTES:
            raise LaunchError(f"{name} starts at {address:#x}: TMA takes multiples of {ALIGNED_BYTES} bytes")
        if reach > size:
            raise LaunchError(f"the tensor map of {name} reaches {reach:,} bytes, and {name} has {size:,}")


def encode(tensor: TensorMap, address: int) -> Map:
    """What the driver makes of a tensor at an address. Raises: LaunchError if it refuses."""
    driver = _driver()
    memory = np.zeros(MAP_BYTES + MAP_ALIGNED_BYTES, np.uint8)
    start = -memory.ctypes.data % MAP_ALIGNED_BYTES
    made = memory[start : start + MAP_BYTES]
    rank = len(tensor.shape)
    status = driver.cuTensorMapEncodeTiled(
        ctypes.c_void_p(made.ctypes.data),
        _TYPES[tensor.dtype],
        ctypes.c_uint32(rank),
        ctypes.c_void_p(address),
        _innermost_first(ctypes.c_uint64, tensor.shape),
        _innermost_first(ctypes.c_uint64, tensor.strides_bytes),
        _innermost_first(ctypes.c_uint32, tensor.box),
        _innermost_first(ctypes.c_uint32, (1,) * rank),
        _NO_INTERLEAVE,
        SWIZZLES.index(tensor.swizzle),
        PROMOTIONS.index(tensor.l2_promotion),
        FILLS.index(tensor.fill),
    )
    if status != 0:
        where = f"{tensor} at {address:#x}"
        raise LaunchError(f"the driver refuses the tensor map of {tensor.buffer}: {_name(driver, status)} ({where})")
    return made.view(f"V{MAP_BYTES}")


@cache
def _driver() -> Any:
    """Raises: LaunchError where no driver is, or one from before CUDA 12."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
        driver.cuTensorMapEncodeTiled  # noqa: B018 -- looked up here
    except (OSError, AttributeError) as error:
        raise LaunchError(f"this CUDA driver makes no tensor maps (CUDA 12 and later do): {error}") from None
    return driver


def _innermost_first(kind: Any, values: Sequence[int]) -> Any:
    """The driver counts dims from the contiguous one."""
    return (kind * len(values))(*reversed(values))


def _name(driver: Any, status: int) -> str:
    said = ctypes.c_char_p()
    driver.cuGetErrorName(status, ctypes.byref(said))
    return said.value.decode() if said.value else f"CUresult {status}"
