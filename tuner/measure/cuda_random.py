"""Random data made on the GPU, and how each dtype lies in its memory: as bits where CuPy has no type for it."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...spaces.errors import DeviceError

BF16_NAN = 0x7FFF

FP8_NAN = 0x7F
"""Of both formats. Source: Micikevicius et al., FP8 Formats for Deep Learning, 2022."""

_STORAGE: dict[str, Any] = {
    "fp32": np.float32,
    "tf32": np.float32,
    "tf32x3": np.float32,
    "fp16": np.float16,
    "bf16": np.uint16,
    "int8": np.int8,
    "int32": np.int32,
    "fp8e4m3": np.uint8,
    "fp8e5m2": np.uint8,
}

_BITS = """
unsigned long long z = seed + (unsigned long long)i * 0x9E3779B97F4A7C15ULL;
z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
z ^= z >> 31;
"""
"""64 random bits per element. Source: SplitMix64 (Steele, Lea, Flood: Fast splittable generators, 2014)."""

_NORMAL = f"""{_BITS}
float radius = sqrtf(-2.0f * logf(((unsigned)(z >> 40) + 1u) * 5.9604644775390625e-8f));
float normal = radius * cospif((unsigned)(z & 0xFFFFFFu) * 1.1920928955078125e-7f);
"""
"""One N(0,1) number per element. Source: Box and Muller, 1958; 24 random bits each for radius and angle."""

_TO_BF16 = """
unsigned int bits = __float_as_uint(normal);
out = (unsigned short)((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16);
"""
"""Round to nearest, ties to even."""

_FP8_FORMATS = {"fp8e4m3": (7, 3), "fp8e5m2": (15, 2)}
"""Bias of the exponent and bits of the mantissa."""

_TO_FP8 = """
float size = fabsf(normal);
int dropped = 23 - {mantissa};
unsigned int bits = __float_as_uint(size), code;
if (size < ldexpf(1.0f, 1 - {bias}))
    code = (unsigned int)rintf(ldexpf(size, {bias} - 1 + {mantissa}));
else
    code = ((bits + (1u << (dropped - 1)) - 1u + ((bits >> dropped) & 1u)) >> dropped)
        - ((127u - {bias}u) << {mantissa});
out = (unsigned char)(code | (normal < 0.0f ? 0x80u : 0u));
"""
"""Round to nearest, ties to even; N(0,1) numbers of 24 random bits are below 6 and never too large."""


def storage_dtype(dtype: str) -> Any:
    """The numpy dtype an array of this dtype is kept in. Raises: DeviceError for one no template of ours computes."""
    if dtype not in _STORAGE:
        raise DeviceError(f"{dtype} arrays cannot be made on a GPU yet: known are {', '.join(_STORAGE)}.")
    return _STORAGE[dtype]


class CudaRandom:
    """Fills arrays; the same seed and size give the same numbers."""

    def __init__(self, cupy: Any) -> None:
        self._kernels = {
            **{name: _fp8_kernel(cupy, name) for name in _FP8_FORMATS},
            "f": cupy.ElementwiseKernel("uint64 seed", "T out", f"{_NORMAL} out = (T)normal;", "kerntune_normal"),
            "u": cupy.ElementwiseKernel("uint64 seed", "uint16 out", _NORMAL + _TO_BF16, "kerntune_normal_bf16"),
            "i": cupy.ElementwiseKernel(
                "uint64 seed", "T out", f"{_BITS} out = (T)((int)(z >> 56) - 128);", "kerntune_bytes"
            ),
        }

    def fill(self, array: Any, seed: int, dtype: str = "") -> None:
        """N(0,1) numbers, or integers from -128 to 127; bits of 8-bit floats where `dtype` names them."""
        kernel = self._kernels.get(dtype) or self._kernels[array.dtype.kind]
        kernel(_start(seed), array)


def _fp8_kernel(cupy: Any, dtype: str) -> Any:
    bias, mantissa = _FP8_FORMATS[dtype]
    body = _NORMAL + _TO_FP8.format(bias=bias, mantissa=mantissa)
    return cupy.ElementwiseKernel("uint64 seed", "uint8 out", body, f"kerntune_normal_{dtype}")


def fp8_values(dtype: str) -> np.ndarray[Any, Any]:
    """What each of the 256 codes of an 8-bit float stands for, in fp32; infinities of e5m2 as such."""
    bias, mantissa = _FP8_FORMATS[dtype]
    code = np.arange(256)
    exponent, fraction = code >> mantissa & (0xFF >> (mantissa + 1)), code & ((1 << mantissa) - 1)
    normal = np.ldexp(1.0 + fraction / (1 << mantissa), exponent - bias)
    value = np.where(exponent > 0, normal, np.ldexp(fraction / (1 << mantissa), 1 - bias))
    top = (exponent == exponent.max()) & ((fraction == fraction.max()) if dtype == "fp8e4m3" else (fraction > 0))
    value[top] = np.nan
    if dtype == "fp8e5m2":
        value[(exponent == exponent.max()) & (fraction == 0)] = np.inf
    return np.where(code & 0x80, -value, value).astype(np.float32)


def random_bytes(count: int, seed: int) -> np.ndarray[Any, Any]:
    """What `CudaRandom.fill` puts into an int8 array of this size, computed here."""
    z = _start(seed) + np.arange(count, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return ((z >> np.uint64(56)).astype(np.int16) - 128).astype(np.int8)


def _start(seed: int) -> np.uint64:
    return np.uint64(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0])
