"""A cubin as a Kernel: loaded and launched by the driver, with neither Triton nor its launcher."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...templates.template import Argument
from ..backends.artifact import Artifact
from .device import Arrays, Faulted, Kernel, LaunchError

_MAX_DYNAMIC_SMEM = 8
"""CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES (cuda.h)."""

_NO_OPT_IN_BYTES = 48 * 1024
"""Dynamic shared memory every block may have unasked. Source: CUDA C++ Programming Guide, shared memory."""

_SCRATCH_POINTERS = {"triton": 2}
"""Pointers a backend's kernels take after their own arguments: Triton's global and profile scratch, both unused."""

_NUMBERS: Mapping[str, type[np.generic]] = {"i32": np.int32, "i64": np.int64, "f32": np.float32}
"""Types of the numbers a kernel takes."""

_BROKEN_CONTEXT = frozenset({700, 702, 710, 714, 715, 716, 717, 718, 719, 999})
"""CUresult of a kernel that faulted earlier: illegal address, time-out, assert, … (cuda.h)."""


def load(cupy: Any, artifact: Artifact) -> Kernel:
    """The kernel of an artifact, with those that run before it and their workspace. Raises: LaunchError."""
    kernels = [_load(cupy, part) for part in (*artifact.before, artifact)]
    if len(kernels) == 1 and not artifact.launch.workspace:
        return kernels[0]
    workspace = {name: cupy.empty(size, np.uint8) for name, size in artifact.launch.workspace.items()}

    def run(arrays: Arrays) -> None:
        for kernel in kernels:
            kernel({**arrays, **workspace})

    return run


def _load(cupy: Any, artifact: Artifact) -> Kernel:
    """One kernel on the current device."""
    driver_error = cupy.cuda.driver.CUDADriverError
    module = cupy.cuda.function.Module()
    try:
        module.load_file(str(artifact.path))
        function = module.get_function(artifact.launch.entry)
        if artifact.smem_bytes > _NO_OPT_IN_BYTES:
            cupy.cuda.driver.funcSetAttribute(function.ptr, _MAX_DYNAMIC_SMEM, artifact.smem_bytes)
    except driver_error as error:
        raise _fault(error, "the driver refuses the kernel") from None
    grid, block = artifact.launch.grid, artifact.launch.block or (artifact.threads_per_block, 1, 1)
    scratch = (np.uint64(0),) * _SCRATCH_POINTERS.get(artifact.backend, 0)
    given = [(argument.name, number(argument)) for argument in artifact.launch.arguments]

    def run(arrays: Arrays) -> None:
        own = (arrays[name] if value is None else value for name, value in given)
        try:
            function(grid, block, (*own, *scratch), shared_mem=artifact.smem_bytes)
        except driver_error as error:
            raise _fault(error, "the driver refuses the launch") from None

    return run


def number(argument: Argument) -> np.generic | None:
    """A number as the kernel takes it; None for an array. Raises: LaunchError for a type or size it cannot have."""
    if argument.value is None:
        return None
    if argument.type not in _NUMBERS:
        raise LaunchError(f"{argument.name} has type {argument.type}: numbers are {', '.join(_NUMBERS)}")
    try:
        return _NUMBERS[argument.type](argument.value)
    except OverflowError:
        raise LaunchError(f"{argument.name} = {argument.value:,} does not fit {argument.type}") from None


def _fault(error: Any, what: str) -> LaunchError | Faulted:
    """What a failed driver call means: a refusal, or the news that an earlier kernel broke the context."""
    return Faulted(str(error)) if error.status in _BROKEN_CONTEXT else LaunchError(f"{what}: {error}")
