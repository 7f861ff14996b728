"""What users call: a product by the best known kernel, and which kernel that is."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Mapping
from typing import Any

from ...spaces.errors import ProblemError
from .arrays import Array, Library
from .execution import Call
from .libraries import adopted, library_of
from .plan import Plan
from .planning import Planner
from .request import Words

KEPT = 8192
"""Calls that are remembered, by shapes, strides and dtypes; the oldest is planned anew when it comes back."""

READ = ("a", "b", "a_scale", "b_scale", "bias", "residual")
"""Arrays that are read, in the order of the op's buffers."""

_calls: dict[Hashable, Call] = {}
_libraries: dict[type, Library] = {}
_planner = Planner()
_planning = threading.RLock()


def gemm(
    a: Array,
    b: Array,
    layout: str = "nn",
    epilogue: str = "none",
    bias: Array | None = None,
    residual: Array | None = None,
    a_scale: Array | None = None,
    b_scale: Array | None = None,
    scales: str = "none",
    out: Array | None = None,
    out_dtype: Any = None,
    dtype: str | None = None,
) -> Array:
    """C = act(scales · op(A) op(B) + bias) + residual, by the fastest kernel known for these shapes on this device.

    `a` and `b` are matrices, or batches of them, of torch, CuPy or NumPy (or of a package that speaks DLPack); C is an
    array of the same library, made in the caller's current stream, or `out`. Layout letters are BLAS's: `nt` takes `b`
    as [N,K]. `dtype` says how fp32 is multiplied (fp32, tf32, tf32x3), or what 16 or 8 bits mean that a library has
    no type for. Where nothing is tuned the vendor library computes it (docs/ops.md).

    Raises: UsageError for what does not go together, NoAnswer where neither a kernel nor a vendor can compute it,
    DeviceError where a launch fails.
    """
    library = _libraries.get(type(a))
    if library is not None:
        signature = library.signature
        try:
            if bias is None and residual is None and a_scale is None and b_scale is None:
                arrays: tuple[Array, ...] = (a, b)
                key: Hashable = (layout, epilogue, scales, out_dtype, dtype, signature(a), signature(b))
            else:
                given = (a, b, a_scale, b_scale, bias, residual)
                arrays = tuple(array for array in given if array is not None)
                signatures = [None if array is None else signature(array) for array in given]
                key = (layout, epilogue, scales, out_dtype, dtype, *signatures)
            if out is not None:
                key = (key, signature(out))
            call = _calls.get(key)
        except (AttributeError, TypeError, RuntimeError):  # not all of this library, or no plain arrays: said below
            call = None
        if call is not None:
            return call.run(arrays, out)
    words = (layout, epilogue, scales, out_dtype, dtype)
    named = dict(zip((*READ, "out"), (a, b, a_scale, b_scale, bias, residual, out), strict=True))
    call, arrays, written = _planned(words, named)
    made = call.run(arrays, written)
    return made if out is None else out


def gemm_plan(
    a: Array,
    b: Array,
    layout: str = "nn",
    epilogue: str = "none",
    bias: Array | None = None,
    residual: Array | None = None,
    a_scale: Array | None = None,
    b_scale: Array | None = None,
    scales: str = "none",
    out: Array | None = None,
    out_dtype: Any = None,
    dtype: str | None = None,
) -> Plan:
    """Which kernel `gemm` with the same arguments runs, and why. It computes nothing, but makes the kernel ready.

    Raises: as gemm.
    """
    words = (layout, epilogue, scales, out_dtype, dtype)
    named = dict(zip((*READ, "out"), (a, b, a_scale, b_scale, bias, residual, out), strict=True))
    return _planned(words, named)[0].plan


def forget() -> None:
    """Plan every call anew: for what was tuned since, or a changed environment. Captured graphs stay valid."""
    with _planning:
        _calls.clear()
        _planner.close()


def _planned(words: tuple[Any, ...], named: dict[str, Array | None]) -> tuple[Call, tuple[Array, ...], Array | None]:
    """The call for arguments, remembered for the next; with them as arrays of its library."""
    library, arrays = adopted({name: array for name, array in named.items() if array is not None})
    read = tuple(arrays[name] for name in READ if name in arrays)
    with _planning:
        key = _key(library, words, arrays)
        call = _calls.get(key)
        if call is None:
            layout, epilogue, scales, out_dtype, dtype = words
            if not (out_dtype is None or isinstance(out_dtype, str)):
                out_dtype = library.dtype_named(out_dtype) or str(out_dtype)
            call = _planner.call(library, arrays, Words(layout, epilogue, scales, out_dtype, dtype))
            while len(_calls) >= KEPT:
                del _calls[next(iter(_calls))]
            _calls[key] = call
        kind = type(arrays["a"])
        if library_of(kind) is library:
            _libraries[kind] = library
    return call, read, arrays.get("out")


def _key(library: Library, words: tuple[Any, ...], arrays: Mapping[str, Array]) -> Hashable:
    """As gemm makes it. Raises: ProblemError for an array that cannot be looked at."""
    try:
        signatures = [library.signature(arrays[name]) if name in arrays else None for name in READ]
        key: Hashable = (*words, *(signatures[:2] if signatures[2:] == [None] * 4 else signatures))
        key = (key, library.signature(arrays["out"])) if "out" in arrays else key
        hash(key)
    except (AttributeError, TypeError, RuntimeError) as error:
        for name, array in arrays.items():
            library.view(name, array)  # says what is wrong with which
        raise ProblemError(f"gemm: its arguments cannot be told apart from others: {error}.") from None
    return key
