"""CudaKernel: a tuned kernel on one GPU, launched on the caller's stream in a few microseconds.

All that a launch needs but the stream is packed once for each set of addresses (a Frame) and kept: programs call a
kernel on the same arrays again and again, and a caching allocator gives the same addresses. A Frame never changes, so
several threads may launch it at once.
"""

from __future__ import annotations

import contextlib
import ctypes
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...spaces.errors import DeviceError
from ..backends.artifact import Artifact
from ..measure.cuda_kernels import parameters
from ..measure.device import LaunchError
from .arrays import Library
from .cuda_driver import CudaDriver
from .workspaces import Workspaces

FRAMES_KEPT = 4096
"""Sets of addresses of one kernel: some kB each."""

NO_OPT_IN_BYTES = 48 * 1024
"""Dynamic shared memory every block may have unasked. Source: CUDA C++ Programming Guide, shared memory."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One launch on given addresses."""

    head: tuple[Any, ...]  # of cuLaunchKernel's arguments: what stands before the stream
    pointers: Any  # to each parameter
    kept: tuple[Any, ...]  # what those point to


class CudaKernel:
    """The kernels of an artifact, in order, with their workspace. Safe for several threads."""

    def __init__(self, driver: CudaDriver, artifact: Artifact, index: int, sizes: dict[str, int]) -> None:
        """Load it; `sizes`: bytes of each buffer in the order in which addresses come. Raises: DeviceError."""
        self._driver, self._index = driver, index
        self._context = driver.primary_context(index)
        self._sizes = {**sizes, **artifact.launch.workspace}
        self._workspaces = Workspaces(driver, artifact.launch.workspace, index) if artifact.launch.workspace else None
        with driver.entered(self._context), driver.relaxed():
            self._parts = [self._loaded(part) for part in (*artifact.before, artifact)]
        self._frames: dict[tuple[int, ...], tuple[Frame, ...]] = {}
        self._turn = threading.Lock()

    def launch(self, addresses: tuple[int, ...], stream: int, library: Library) -> None:
        """Run on the arrays at these addresses, in a stream. Raises: DeviceError."""
        if not self._driver.is_current(self._context):  # another device's, or a thread that never called CUDA
            with self._driver.entered(self._context):
                self._launch(addresses, stream, library)
            return
        self._launch(addresses, stream, library)

    def _launch(self, addresses: tuple[int, ...], stream: int, library: Library) -> None:
        if self._workspaces is None:
            self._enqueue(addresses, stream)
            return
        with self._turn:  # another thread's kernels, in the same stream, must not come between these
            self._enqueue(addresses + self._workspaces.addresses(stream, library), stream)

    def _enqueue(self, addresses: tuple[int, ...], stream: int) -> None:
        frames = self._frames.get(addresses)
        if frames is None:
            frames = self._framed(addresses)
        for frame in frames:
            status = self._driver.launch(*frame.head, stream, frame.pointers, None)
            if status != 0:
                raise self._driver.refused(status, "a launch")

    def _framed(self, addresses: tuple[int, ...]) -> tuple[Frame, ...]:
        named = zip(self._sizes.items(), addresses, strict=True)
        arrays = {name: _Addressed(address, size) for (name, size), address in named}
        try:
            frames = tuple(_frame(head, given(arrays)) for head, given in self._parts)
        except LaunchError as error:
            raise DeviceError(f"the kernel cannot be given its arrays: {error}.") from None
        while len(self._frames) >= FRAMES_KEPT:
            with contextlib.suppress(KeyError, RuntimeError):  # another thread was first
                del self._frames[next(iter(self._frames))]
        self._frames[addresses] = frames
        return frames

    def _loaded(self, part: Artifact) -> tuple[tuple[Any, ...], Any]:
        opt_in = part.smem_bytes if part.smem_bytes > NO_OPT_IN_BYTES else 0
        function = self._driver.function(part.path.read_bytes(), part.launch.entry, opt_in)
        block = part.launch.block or (part.threads_per_block, 1, 1)
        try:
            return (function, *part.launch.grid, *block, part.smem_bytes), parameters(part)
        except LaunchError as error:
            raise DeviceError(f"the kernel cannot be launched: {error}.") from None


def _frame(head: tuple[Any, ...], values: Sequence[Any]) -> Frame:
    pairs = [_parameter(value) for value in values]
    pointers = (ctypes.c_void_p * max(1, len(pairs)))(*(address for _, address in pairs))
    return Frame(head, pointers, tuple(kept for kept, _ in pairs))


def _parameter(value: Any) -> tuple[Any, int]:
    """A parameter in memory of its own, and where: an address, a number, or a CUtensorMap, which is aligned already."""
    if isinstance(value, np.ndarray):
        return value, value.ctypes.data
    kept = ctypes.create_string_buffer(value.tobytes()) if isinstance(value, np.generic) else ctypes.c_uint64(value.ptr)
    return kept, ctypes.addressof(kept)


class _Addressed:
    """An array as the loader looks at it: `data.ptr` and `nbytes`."""

    __slots__ = ("nbytes", "ptr")

    def __init__(self, address: int, size: int) -> None:
        self.ptr, self.nbytes = address, size

    @property
    def data(self) -> _Addressed:
        return self
