"""A cubin as a Kernel: loaded and launched by the driver, with neither Triton nor its launcher."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...templates.template import Argument
from ...templates.tensor_map import TensorMap
from ..backends.artifact import Artifact
from .device import Arrays, Faulted, Kernel, LaunchError
from .tensor_maps import EncodedMaps

_MAX_DYNAMIC_SMEM = 8
"""CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES (cuda.h)."""

_NO_OPT_IN_BYTES = 48 * 1024
"""Dynamic shared memory every block may have unasked. Source: CUDA C++ Programming Guide, shared memory."""

_SCRATCH_POINTERS = {"triton": 2}
"""Pointers a backend's kernels take after their own arguments: Triton's global and profile scratch, both unused."""

_NUMBERS: Mapping[str, type[np.generic]] = {"i32": np.int32, "i64": np.int64, "f32": np.float32}
"""Types of the numbers a kernel takes."""

Parameters = Callable[[Arrays], tuple[Any, ...]]
"""What a kernel is given for one argument of its launch, in order, in a call on these arrays."""

_BROKEN_CONTEXT = frozenset({700, 702, 710, 714, 715, 716, 717, 718, 719, 999})
"""CUresult of a kernel that faulted earlier: illegal address, time-out, assert, … (cuda.h)."""


def load(cupy: Any, artifact: Artifact) -> Kernel:
    """The kernel of an artifact, with those that run before it and their workspace. Raises: LaunchError."""
    kernels = [_load(cupy, part) for part in (*artifact.before, artifact)]
    if len(kernels) == 1 and not artifact.launch.workspace:
        return kernels[0]
    workspace = {name: cupy.zeros(size, np.uint8) for name, size in artifact.launch.workspace.items()}

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
    given = parameters(artifact)

    def run(arrays: Arrays) -> None:
        values = given(arrays)
        try:
            function(grid, block, values, shared_mem=artifact.smem_bytes)
        except driver_error as error:
            raise _fault(error, "the driver refuses the launch") from None

    return run


def parameters(artifact: Artifact) -> Parameters:
    """All that the kernel of an artifact takes. Raises: LaunchError for what no kernel can be given."""
    parts = [_parameters_of(argument, artifact.backend) for argument in artifact.launch.arguments]
    scratch = (np.uint64(0),) * _SCRATCH_POINTERS.get(artifact.backend, 0)
    return lambda arrays: (*(value for part in parts for value in part(arrays)), *scratch)


def _parameters_of(argument: Argument, backend: str) -> Parameters:
    if argument.tensor is not None:
        return _descriptor(argument.tensor, backend)
    value = number(argument)
    if value is None:
        return lambda arrays: (arrays[argument.name],)
    return lambda arrays: (value,)


def _descriptor(tensor: TensorMap, backend: str) -> Parameters:
    """A CUtensorMap; Triton's kernels then take its sizes (i32) and strides (i64, of all dims), in elements.

    Where Triton made no TMA of a descriptor they take, instead of the map, the array, sizes and strides as i64 and
    whether NaN fills what is outside. Source: triton/backends/nvidia/driver.py of 3.6, and the parameters of cubins.
    """
    if backend != "triton":
        maps = EncodedMaps(tensor)
        return lambda arrays: (maps.of(arrays[tensor.buffer]),)
    sizes, strides = _numbers("i32", tensor.shape), _numbers("i64", tensor.strides)
    if not tensor.box:
        plain = (*_numbers("i64", tensor.shape), *strides, np.bool_(tensor.fill == "nan"))
        return lambda arrays: (arrays[tensor.buffer], *plain, *sizes, *strides)
    maps = EncodedMaps(tensor)
    return lambda arrays: (maps.of(arrays[tensor.buffer]), *sizes, *strides)


def _numbers(kind: str, values: tuple[int, ...]) -> list[np.generic | None]:
    return [number(Argument("a size of a descriptor", kind, value)) for value in values]


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
