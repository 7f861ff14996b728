"""The processor as a Device: numpy arrays, shared objects through ctypes, numpy's BLAS as the vendor."""

from __future__ import annotations

import ctypes
import importlib.util
import itertools
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...cache.records import Policy
from ...spaces.errors import DeviceError
from ...spaces.problems import Problem
from ...templates.op import Array, Buffer
from ..backends.artifact import Artifact
from ..backends.cpu_target import this_cpu
from .device import Arrays, Kernel, LaunchError, Timer
from .guards import GuardedSet
from .protected_pages import PagedSet
from .resting import Resting
from .torch_vendor import torch_kernels

_DTYPES = {"fp32": np.float32, "fp16": np.float16, "int8": np.int8, "int32": np.int32}

C_NUMBERS: Mapping[str, Any] = {"float": ctypes.c_float, "int": ctypes.c_int}
"""Types of the numbers a kernel takes by value."""

PAUSE_S = 0.05
"""OpenBLAS's threads spin for 26 ms after a call (2^26 cycles) and libgomp's for some ms: longer than both."""


class CpuDevice:
    """See Device."""

    xp: Any = np
    pause_s = PAUSE_S

    def __init__(self) -> None:
        self.rest = Resting(0.0)
        cpu = this_cpu(None)
        self.cache_bytes = cpu.l3_bytes or cpu.l2_bytes

    def random(self, buffer: Buffer, seed: int) -> Array:
        if buffer.values:
            return np.array(buffer.values, _DTYPES[buffer.dtype]).reshape(buffer.shape)
        rng = np.random.default_rng(seed)
        if buffer.dtype in ("int8", "int32"):
            return rng.integers(-128, 128, buffer.shape).astype(_DTYPES[buffer.dtype])
        return rng.standard_normal(buffer.shape, dtype=np.float32).astype(_DTYPES[buffer.dtype], copy=False)

    def empty(self, buffer: Buffer) -> Array:
        return np.empty(buffer.shape, _DTYPES[buffer.dtype])

    def poison(self, array: Array) -> None:
        array.fill(np.nan if array.dtype.kind == "f" else np.iinfo(array.dtype).min)

    def widen(self, array: Array, dtype: str) -> Array:
        return array

    def guarded(self, buffers: Sequence[Buffer]) -> GuardedSet:
        return PagedSet(buffers, [_DTYPES[buffer.dtype] for buffer in buffers])

    def prove(self) -> None:
        """The reference trusts BLAS: a product of small integers, exact in fp32 too, against NumPy's own loops."""
        a, b = (np.arange(start, start + 96 * 96).reshape(96, 96) % 31 - 15 for start in (1, 2))
        if not (a.astype(np.float32) @ b.astype(np.float32) == a @ b).all():
            raise DeviceError(f"{_blas_name()} multiplies wrongly: no answer of this machine can be believed.")

    def load(self, artifact: Artifact) -> Kernel:
        try:
            function = ctypes.CDLL(str(artifact.path), mode=os.RTLD_NOW | os.RTLD_LOCAL)[artifact.launch.entry]
        except (OSError, AttributeError) as error:
            raise LaunchError(f"the shared object does not load: {error}") from None
        function.restype = ctypes.c_int
        arguments = artifact.launch.arguments
        function.argtypes = [ctypes.c_void_p if one.value is None else C_NUMBERS[one.type] for one in arguments]

        def run(arrays: Arrays) -> None:
            if function(*(arrays[a.name].ctypes.data if a.value is None else a.value for a in arguments)) != 0:
                raise LaunchError("the kernel found no memory for its workspace")

        return run

    def vendors(self, problem: Problem) -> Mapping[str, Kernel]:
        if problem.op == "attention":
            return _torch_attention(problem)
        plain = problem.op == "gemm" and problem["epilogue"] == "none" and problem["scales"] == "none"
        if not plain or (problem["dtype"], problem["out_dtype"]) != ("fp32", "fp32"):
            return {}
        layout = str(problem["layout"])

        def run(arrays: Arrays) -> None:
            a = arrays["a"] if layout[0] == "n" else arrays["a"].swapaxes(-1, -2)
            b = arrays["b"] if layout[1] == "n" else arrays["b"].swapaxes(-1, -2)
            np.matmul(a, b, out=arrays["c"])

        return {f"numpy {np.__version__} ({_blas_name()})": run}

    def timer(self, kernel: Kernel, sets: Sequence[Arrays], calls: int, policy: Policy) -> Timer:
        turn = itertools.cycle(sets)

        def block() -> list[float]:
            samples = []
            for _ in range(calls):
                arrays = next(turn)
                start_ns = time.perf_counter_ns()
                kernel(arrays)
                samples.append((time.perf_counter_ns() - start_ns) / 1e3)
            return samples

        return block

    def finish(self) -> None:
        """Calls return when they are done."""


def _torch_attention(problem: Problem) -> Mapping[str, Kernel]:
    """Torch's, where it is installed; numpy has none."""
    if importlib.util.find_spec("torch") is None:
        return {}
    import torch

    return torch_kernels(torch, np, "cpu", problem)


def _blas_name() -> str:
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return f"{blas.get('name', 'BLAS')} {blas.get('version', '')}".strip()
