"""Which Library an array is of; arrays of other packages are looked at through one of ours, without a copy."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ...spaces.errors import DeviceError, ProblemError

if TYPE_CHECKING:
    from .arrays import Array, Library

_CPU = (1, 3)
"""kDLCPU and kDLCUDAHost of DLPack: memory a processor works on."""

_made: dict[str, Library] = {}


def library_of(kind: type) -> Library | None:
    """The library whose arrays are of this type, or None."""
    for base in kind.__mro__:
        name = base.__module__.partition(".")[0]
        if name in _MAKERS and (name, base.__name__) in _NAMES:
            return _library(name)
    return None


def adopted(arrays: Mapping[str, Array]) -> tuple[Library, dict[str, Array]]:
    """The arrays of a call, all of one library. Raises: ProblemError.

    What is of none of ours comes through DLPack or `__cuda_array_interface__` to the library of the others, or of the
    one that is installed.
    """
    found = {name: library_of(type(array)) for name, array in arrays.items()}
    ours = {library.name: library for library in found.values() if library is not None}
    if len(ours) > 1:
        said = ", ".join(f"{name} of {library.name}" for name, library in found.items() if library is not None)
        raise ProblemError(f"arrays of several libraries ({said}). Convert them: a call has arrays of one.")
    library = next(iter(ours.values()), None) or _library(_best_for(next(iter(arrays.items()))))
    return library, {
        name: array if found[name] is not None else _through(library.name, name, array)
        for name, array in arrays.items()
    }


def _library(name: str) -> Library:
    if name not in _made:
        _made[name] = _MAKERS[name]()
    return _made[name]


def _torch() -> Library:
    from .torch_arrays import TorchLibrary

    return TorchLibrary()


def _numpy() -> Library:
    from .plain_arrays import NumpyLibrary

    return NumpyLibrary()


def _cupy() -> Library:
    from .plain_arrays import CupyLibrary

    return CupyLibrary()


_MAKERS: Mapping[str, Callable[[], Library]] = {"torch": _torch, "numpy": _numpy, "cupy": _cupy}
_NAMES = {("torch", "Tensor"), ("numpy", "ndarray"), ("cupy", "ndarray")}


def _best_for(named: tuple[str, Array]) -> str:
    """Which library is to look at a foreign array."""
    name, array = named
    on_gpu = hasattr(array, "__cuda_array_interface__")
    if not on_gpu and not hasattr(array, "__dlpack__"):
        raise ProblemError(
            f"{name} is a {type(array).__name__}. Pass arrays of torch, CuPy or NumPy, or of a package that "
            "speaks DLPack."
        )
    if not on_gpu and array.__dlpack_device__()[0] in _CPU:
        return "numpy"
    for candidate in ("torch", "cupy"):
        if candidate in sys.modules:
            return candidate
    for candidate in ("torch", "cupy"):
        try:
            __import__(candidate)
        except ImportError:
            continue
        return candidate
    raise DeviceError(f"{name} lies on a GPU, and neither torch nor CuPy is installed to look at it.")


def _through(library: str, name: str, array: Array) -> Array:
    """A foreign array as one of the library, in the same memory."""
    package: Any = sys.modules[library]
    try:
        if hasattr(array, "__dlpack__"):
            return package.from_dlpack(array)
        if hasattr(array, "__cuda_array_interface__"):
            return package.as_tensor(array, device="cuda") if library == "torch" else package.asarray(array)
    except (TypeError, ValueError, RuntimeError, BufferError) as error:
        raise ProblemError(f"{name}, a {type(array).__name__}, does not become a {library} array: {error}.") from None
    raise ProblemError(f"{name} is a {type(array).__name__}, and the other arrays are of {library}. Convert it.")
