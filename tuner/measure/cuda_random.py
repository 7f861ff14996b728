"""Random data made on the GPU, and how each dtype lies in its memory; bf16 as bits, which CuPy has no type for."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...spaces.errors import DeviceError

BF16_NAN = 0x7FFF

_STORAGE: dict[str, Any] = {
    "fp32": np.float32,
    "tf32": np.float32,
    "tf32x3": np.float32,
    "fp16": np.float16,
    "bf16": np.uint16,
    "int8": np.int8,
    "int32": np.int32,
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


def storage_dtype(dtype: str) -> Any:
    """The numpy dtype an array of this dtype is kept in. Raises: DeviceError for one no template of ours computes."""
    if dtype not in _STORAGE:
        raise DeviceError(f"{dtype} arrays cannot be made on a GPU yet: known are {', '.join(_STORAGE)}.")
    return _STORAGE[dtype]


class CudaRandom:
    """Fills arrays; the same seed and size give the same numbers."""

    def __init__(self, cupy: Any) -> None:
        self._kernels = {
            "f": cupy.ElementwiseKernel("uint64 seed", "T out", f"{_NORMAL} out = (T)normal;", "kerntune_normal"),
            "u": cupy.ElementwiseKernel("uint64 seed", "uint16 out", _NORMAL + _TO_BF16, "kerntune_normal_bf16"),
            "i": cupy.ElementwiseKernel(
                "uint64 seed", "T out", f"{_BITS} out = (T)((int)(z >> 56) - 128);", "kerntune_bytes"
            ),
        }

    def fill(self, array: Any, seed: int) -> None:
        """N(0,1) numbers, or integers from -128 to 127."""
        self._kernels[array.dtype.kind](_start(seed), array)


def random_bytes(count: int, seed: int) -> np.ndarray[Any, Any]:
    """What `CudaRandom.fill` puts into an int8 array of this size, computed here."""
    z = _start(seed) + np.arange(count, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return ((z >> np.uint64(56)).astype(np.int16) - 128).astype(np.int8)


def _start(seed: int) -> np.uint64:
    return np.uint64(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0])
