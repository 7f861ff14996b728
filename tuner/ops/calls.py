"""What users call: a product by the best known kernel, and which kernel that is."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from typing import Any

from .arrays import Array, Library
from .execution import Call
from .plan import Plan
from .planned import calls, libraries, plan
from .request import Words


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
    library = libraries.get(type(a))
    if library is not None:
        signature = library.signature
        try:
            words = ("gemm", layout, epilogue, scales, out_dtype, dtype)
            if bias is None and residual is None and a_scale is None and b_scale is None:
                arrays: tuple[Array, ...] = (a, b)
                key: Hashable = (*words, signature(a), signature(b), None, None, None, None)
            else:
                given = (a, b, a_scale, b_scale, bias, residual)
                arrays = tuple(array for array in given if array is not None)
                key = (*words, *(None if array is None else signature(array) for array in given))
            if out is not None:
                key = (key, signature(out))
            call = calls.get(key)
        except (AttributeError, TypeError, RuntimeError):  # not all of this library, or no plain arrays: said below
            call = None
        if call is not None:
            return call.run(arrays, out)
    named = {"a": a, "b": b, "a_scale": a_scale, "b_scale": b_scale, "bias": bias, "residual": residual, "out": out}
    call, arrays, written = _planned(Words(layout, epilogue, scales, out_dtype, dtype), named)
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
    named = {"a": a, "b": b, "a_scale": a_scale, "b_scale": b_scale, "bias": bias, "residual": residual, "out": out}
    return _planned(Words(layout, epilogue, scales, out_dtype, dtype), named)[0].plan


def _planned(words: Words, named: dict[str, Array | None]) -> tuple[Call, tuple[Array, ...], Array | None]:
    """The call for arguments; the dtype of C may be said as the library says it."""

    def asked(library: Library) -> Words:
        out_dtype: Any = words.out_dtype
        if out_dtype is None or isinstance(out_dtype, str):
            return words
        return replace(words, out_dtype=library.dtype_named(out_dtype) or str(out_dtype))

    said = (words.layout, words.epilogue, words.scales, words.out_dtype, words.dtype)
    return plan("gemm", said, asked, named)
