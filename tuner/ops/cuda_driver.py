"""The CUDA driver as the ops need it: libcuda through ctypes, with neither CuPy nor torch between."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Iterator
from functools import cache
from typing import Any

from ...spaces.errors import DeviceError

_MAX_DYNAMIC_SMEM = 8
"""CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES (cuda.h)."""

_RELAXED = 2
"""CU_STREAM_CAPTURE_MODE_RELAXED (cuda.h)."""

_CAPTURING = 1
"""CU_STREAM_CAPTURE_STATUS_ACTIVE (cuda.h)."""

LEGACY_STREAM, PER_THREAD_STREAM = 1, 2
"""CU_STREAM_LEGACY, also written 0, and CU_STREAM_PER_THREAD, another stream in each thread (cuda.h)."""


class CudaDriver:
    """Calls of the driver; DeviceError where one fails."""

    def __init__(self, library: Any) -> None:
        self._library = library
        pointer, number = ctypes.c_void_p, ctypes.c_uint
        library.cuLaunchKernel.argtypes = [pointer, *[number] * 7, pointer, pointer, pointer]
        self.launch = library.cuLaunchKernel
        """As cuda.h has it; its status is the caller's to look at, for microseconds count there."""

    def primary_context(self, index: int) -> int:
        """The context that torch and the CUDA runtime use on a device, kept for the life of the process."""
        device, context = ctypes.c_int(), ctypes.c_void_p()
        self._call("cuInit", 0)
        self._call("cuDeviceGet", ctypes.byref(device), index)
        self._call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
        return int(context.value or 0)

    def is_current(self, context: int) -> bool:
        """Whether a context is this thread's."""
        found = ctypes.c_void_p()
        self._library.cuCtxGetCurrent(ctypes.byref(found))
        return found.value == context

    @contextlib.contextmanager
    def entered(self, context: int) -> Iterator[None]:
        """Make a context this thread's, and the old one again."""
        self._call("cuCtxPushCurrent_v2", ctypes.c_void_p(context))
        try:
            yield
        finally:
            self._call("cuCtxPopCurrent_v2", ctypes.byref(ctypes.c_void_p()))

    @contextlib.contextmanager
    def relaxed(self) -> Iterator[None]:
        """Let this thread load and allocate while a stream is captured: what it does so is no part of the graph."""
        mode = ctypes.c_int(_RELAXED)
        self._call("cuThreadExchangeStreamCaptureMode", ctypes.byref(mode))
        try:
            yield
        finally:
            self._call("cuThreadExchangeStreamCaptureMode", ctypes.byref(mode))

    def function(self, cubin: bytes, entry: str, smem_bytes: int) -> int:
        """A kernel in the current context; `smem_bytes` where its blocks must be allowed so much, else 0.

        Its module is never unloaded: a graph may hold the kernel.
        """
        module, function = ctypes.c_void_p(), ctypes.c_void_p()
        self._call("cuModuleLoadData", ctypes.byref(module), cubin)
        self._call("cuModuleGetFunction", ctypes.byref(function), module, entry.encode())
        if smem_bytes:
            self._call("cuFuncSetAttribute", function, _MAX_DYNAMIC_SMEM, smem_bytes)
        return int(function.value or 0)

    def capture_of(self, stream: int) -> int | None:
        """What tells the capture a stream takes part in from every other; None where it is in none."""
        if stream in (0, LEGACY_STREAM):
            return None  # the legacy stream cannot be captured
        status, number = ctypes.c_int(), ctypes.c_uint64()
        nothing = [ctypes.c_void_p()] * 3
        self._call(
            *("cuStreamGetCaptureInfo_v2", ctypes.c_void_p(stream)),
            *(ctypes.byref(status), ctypes.byref(number), *nothing),
        )
        return number.value if status.value == _CAPTURING else None

    def stream_id(self, stream: int) -> int:
        """What no other stream has had or will have: a handle may be another stream's tomorrow."""
        if not hasattr(self._library, "cuStreamGetId"):  # before CUDA 12
            return stream
        number = ctypes.c_uint64()
        self._call("cuStreamGetId", ctypes.c_void_p(stream), ctypes.byref(number))
        return number.value

    def zero(self, address: int, size: int, stream: int) -> None:
        """Fill with zeros, in a stream."""
        self._call(
            "cuMemsetD8Async",
            ctypes.c_uint64(address),
            ctypes.c_ubyte(0),
            ctypes.c_size_t(size),
            ctypes.c_void_p(stream),
        )

    def refused(self, status: int, what: str) -> DeviceError:
        """The error of a status that is not 0."""
        said = ctypes.c_char_p()
        self._library.cuGetErrorName(status, ctypes.byref(said))
        name = said.value.decode() if said.value else f"CUresult {status}"
        return DeviceError(
            f"the CUDA driver answered {what} with {name}. After a kernel that faulted nothing runs in this process "
            "any more; KERNTUNE_DISABLE=1 has ops run the vendor library, which tells whose kernel it was."
        )

    def _call(self, name: str, *arguments: Any) -> None:
        status = getattr(self._library, name)(*arguments)
        if status != 0:
            raise self.refused(status, name)


@cache
def cuda_driver() -> CudaDriver:
    """Raises: DeviceError where there is no driver."""
    try:
        return CudaDriver(ctypes.CDLL("libcuda.so.1"))
    except OSError as error:
        raise DeviceError(f"there is no CUDA driver: {error}. See nvidia-smi.") from None
