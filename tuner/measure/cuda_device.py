"""An NVIDIA GPU as a Device: CuPy arrays, cubins loaded by the driver, CUDA graphs, torch as the vendor."""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ...cache.records import Policy
from ...spaces.errors import DeviceError
from ...spaces.problems import Problem
from ...templates.op import Array, Buffer
from ..backends.artifact import Artifact
from . import cuda_kernels, cuda_vendor
from .cuda_pages import MappedSet, Unmappable
from .cuda_random import BF16_NAN, FP8_NAN, CudaRandom, fp8_values, random_bytes, storage_dtype
from .device import Arrays, Faulted, Kernel, Timer
from .guards import BandedSet, GuardedSet
from .resting import Resting

REPLAYS = 5
"""Timed replays of a graph in one block, queued behind one that is not timed: the queue never runs dry."""

REST_S = 0.02
"""After blocks of some ms and such rests the clock is at its highest, 1,980 MHz, and times repeat to 0.1 % (H200,
2026-11-23)."""


class CudaDevice:
    """See Device. All work goes to one stream, which is CuPy's current one in this process."""

    pause_s = 0.0  # nothing spins on a GPU between kernels

    def __init__(self, index: int) -> None:
        if importlib.util.find_spec("cupy") is None:
            raise DeviceError("cupy-cuda13x is not installed: pip install 'kerntune[gpu]'.")
        import cupy

        self.xp: Any = cupy
        try:
            device = cupy.cuda.Device(index)
            device.use()
            self.cache_bytes = int(device.attributes["L2CacheSize"])
            self._stream = cupy.cuda.Stream(non_blocking=True)
        except cupy.cuda.runtime.CUDARuntimeError as error:
            raise DeviceError(f"cuda:{index} cannot be opened: {error}. See nvidia-smi.") from None
        self._stream.use()
        self._index = index
        self.rest = Resting(REST_S)
        self._random = CudaRandom(cupy)

    def random(self, buffer: Buffer, seed: int) -> Array:
        array = self.empty(buffer)
        if buffer.values:
            array.set(np.array(buffer.values, array.dtype).reshape(buffer.shape))
            return array
        self._random.fill(array, seed, buffer.dtype)
        return array

    def empty(self, buffer: Buffer) -> Array:
        return self.xp.empty(buffer.shape, storage_dtype(buffer.dtype))

    def poison(self, array: Array) -> None:
        if array.dtype == np.uint16:
            array.fill(BF16_NAN)
        elif array.dtype == np.uint8:
            array.fill(FP8_NAN)
        else:
            array.fill(np.nan if array.dtype.kind == "f" else np.iinfo(array.dtype).min)

    def widen(self, array: Array, dtype: str) -> Array:
        if dtype.startswith("fp8"):
            return self.xp.asarray(fp8_values(dtype))[array]
        if dtype != "bf16":
            return array
        return (array.astype(np.uint32) << 16).view(np.float32)

    def guarded(self, buffers: Sequence[Buffer]) -> GuardedSet:
        dtypes = [storage_dtype(buffer.dtype) for buffer in buffers]
        with contextlib.suppress(Unmappable):
            return MappedSet(self.xp, self._index, buffers, dtypes)
        return BandedSet(self.xp, buffers, dtypes)  # here, where the memory of half a MappedSet is free again

    def prove(self) -> None:
        """Random bytes made by the GPU, against the same made by the processor."""
        made = self.xp.empty(65536, np.int8)
        try:
            self._random.fill(made, 1)
            right = bool((made.get() == random_bytes(made.size, 1)).all())
        except (self.xp.cuda.runtime.CUDARuntimeError, self.xp.cuda.driver.CUDADriverError) as error:
            raise DeviceError(f"cuda:{self._index} does not run a first kernel: {error}. See nvidia-smi.") from None
        if not right:
            raise DeviceError(f"cuda:{self._index} computes wrongly: no answer of it can be believed. See nvidia-smi.")

    def load(self, artifact: Artifact) -> Kernel:
        return cuda_kernels.load(self.xp, artifact)

    def vendors(self, problem: Problem) -> Mapping[str, Kernel]:
        return cuda_vendor.vendors(self.xp, self._stream, self._index, problem)

    def timer(self, kernel: Kernel, sets: Sequence[Arrays], calls: int, policy: Policy) -> Timer:
        for arrays in sets:  # nothing may be loaded, allocated or converted for the first time inside a capture
            kernel(arrays)
        self.finish()
        if policy.launch == "eager":
            return self._eager(kernel, sets, calls)
        # Whole rounds over the sets: replays that met only the first few would find them in the cache.
        return self._graph(kernel, sets, -(-calls // len(sets)) * len(sets))

    def finish(self) -> None:
        self._checked(self._stream.synchronize)

    def _graph(self, kernel: Kernel, sets: Sequence[Arrays], calls: int) -> Timer:
        self._stream.begin_capture()
        try:
            for turn in range(calls):
                kernel(sets[turn % len(sets)])
        finally:
            graph = self._stream.end_capture()

        def block() -> list[float]:
            graph.launch(self._stream)
            marks = [self._mark()]
            for _ in range(REPLAYS):
                graph.launch(self._stream)
                marks.append(self._mark())
            return [us / calls for us in self._between(marks)]

        return lambda: self._checked(block)

    def _eager(self, kernel: Kernel, sets: Sequence[Arrays], calls: int) -> Timer:
        turn = 0

        def block() -> list[float]:
            nonlocal turn
            marks = [self._mark()]
            for _ in range(calls):
                kernel(sets[turn % len(sets)])
                marks.append(self._mark())
                turn += 1
            return self._between(marks)

        return lambda: self._checked(block)

    def _mark(self) -> Any:
        event = self.xp.cuda.Event()
        event.record(self._stream)
        return event

    def _between(self, marks: Sequence[Any]) -> list[float]:
        """µs from each mark to the next."""
        marks[-1].synchronize()
        elapsed_ms = self.xp.cuda.get_elapsed_time
        return [1e3 * elapsed_ms(start, end) for start, end in itertools.pairwise(marks)]

    def _checked(self, work: Callable[[], Any]) -> Any:
        """What the work gives. Raises: Faulted where CUDA says that something before or in it failed."""
        try:
            return work()
        except (self.xp.cuda.runtime.CUDARuntimeError, self.xp.cuda.driver.CUDADriverError) as error:
            raise Faulted(str(error)) from None
