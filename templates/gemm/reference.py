"""What C must be, in float64 from the inputs as they are rounded, and how far a kernel may be from it."""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping
from typing import Any

from ...spaces.problems import Problem
from ..op import Array, Tolerance
from .epilogue import SCALED_BLOCK

FULL_CHECK_FLOPS = 2 * 2048**3
"""Up to here a processor checks every element: 0.3 s of float64 work on 2 cores; above, rows and projections."""

CHECKED_ROWS = 64

LARGEST_SCALES = 16
"""About the largest product of two scale factors, which are drawn as inputs are: it stretches what its sum is off."""

LARGEST = {"fp8e4m3": 448.0, "fp8e5m2": 57344.0}
"""What larger values are stored as. Source: Micikevicius et al., FP8 Formats for Deep Learning, 2022."""


def evidence(problem: Problem, arrays: Mapping[str, Array], xp: Any, rng: Any) -> tuple[Array, Array]:
    """C and what it should be, in float64; of a large plain product on a processor some rows and two projections.

    The projections are random ±1 combinations of all rows, scaled to the size of one row: a wrong element anywhere
    shows in them (Freivalds, 1977), at the price of a matrix-vector product.
    """
    layout = str(problem["layout"])
    a, b, c = _turned(arrays["a"], layout[0]), _turned(arrays["b"], layout[1]), arrays["c"]
    m = problem.dim("m")
    plain = problem["scales"] == "none" and problem["epilogue"] == "none" and problem["batch"] == 1
    on_gpu = xp.__name__ != "numpy"
    if not plain or problem.dim("flops") <= FULL_CHECK_FLOPS or on_gpu or m <= 2 * CHECKED_ROWS:
        return c.astype(xp.float64), _expected(problem, {**arrays, "a": a, "b": b}, xp)
    b = b.astype(xp.float64)
    rows = _checked_rows(m, rng)
    signs = rng.choice([-1.0, 1.0], (2, m)) / m**0.5
    picked_a = xp.concatenate([a[rows].astype(xp.float64), signs @ a])
    picked_c = xp.concatenate([c[rows].astype(xp.float64), signs @ c])
    return picked_c, picked_a @ b


def tolerance(problem: Problem) -> Tolerance:
    """Bounds for N(0,1) inputs.

    `frobenius` by dtype: seen errors are 1e-7·sqrt(K)/10 (fp32), 2.1e-4 (fp16 output rounding) and 1.65e-3 (bf16);
    the bound is 4-5 of those; of 8 bits, rounding alone is 2 and 4 %. `atol`: K additions in fp32, each off by half an
    ulp of a partial sum of about sqrt(K), add up to 0.7·K·2^-24 (one sigma): 8 of them for fp32 units, 32 where tensor
    cores truncate instead of rounding, and as much again for each factor that N(0,1) scales can be (4 each).
    """
    k = problem.dim("k")
    dtype, out = str(problem["dtype"]), str(problem["out_dtype"])
    if dtype == "int8" and out == "int32":
        return Tolerance(0.0, 0.0, 0.0)
    by_output = {
        "fp32": (1e-5, 2.0**-22),
        "fp16": (1e-3, 2.0**-10),
        "bf16": (6e-3, 2.0**-7),
        "fp8e4m3": (4e-2, 2.0**-3),
        "fp8e5m2": (8e-2, 2.0**-2),
    }
    by_input = {"tf32": 1e-3, "fp8e4m3": 5e-3, "fp8e5m2": 5e-3}
    frobenius, rtol = by_output.get(out, (5e-3, 2.0**-2))
    largest = 1 if problem["scales"] == "none" else LARGEST_SCALES
    atol = largest * ((8 if dtype == "fp32" else 32) * k * 2.0**-24 + _products_off(dtype, k))
    return Tolerance(max(frobenius, by_input.get(dtype, 0.0)), rtol, atol)


def _products_off(dtype: str, k: int) -> float:
    """What products that are not exact add: tf32 has factors of 11 bits; sums of fp8 products keep 14.

    One sigma of K products of factors that are cut off is sqrt(K) · 2^-10.3 (H200, 2026-11-23, K = 512); six of them.
    Source of the 14 bits: DeepSeek-V3 Technical Report, 2024, 3.3.2. Sums are cut off and not rounded, so what each of
    K / 32 additions takes off adds up: half a unit, of a sum as large as three sigma of its terms (measured_facts.md);
    where they are few, chance has the larger part.
    """
    if dtype == "tf32":
        return 6.0 * math.sqrt(k) * math.exp2(-10.3)
    if dtype.startswith("fp8"):
        steps = k / 32
        return math.sqrt(k) * max(6.0 * math.sqrt(steps) * math.exp2(-13), 3.0 * steps * math.exp2(-14))
    return 0.0


def _expected(problem: Problem, arrays: Mapping[str, Array], xp: Any) -> Array:
    a, b = (arrays[name].astype(xp.float64) for name in "ab")
    scales = problem["scales"]
    if scales == "block128":
        a = a * _spread(arrays["a_scale"], a.shape, (1, SCALED_BLOCK), xp)
        b = b * _spread(arrays["b_scale"], b.shape, (SCALED_BLOCK, SCALED_BLOCK), xp)
    sums = xp.matmul(a, b)
    if scales == "tensor":
        sums *= (arrays["a_scale"].astype(xp.float64) * arrays["b_scale"])[..., None]
    if scales == "row":
        sums *= arrays["a_scale"].astype(xp.float64)[..., :, None] * arrays["b_scale"][..., None, :]
    if problem["has_bias"]:
        sums += arrays["bias"]
    sums = _activated(str(problem["activation"]), sums, xp)
    if problem["has_residual"]:
        sums += arrays["residual"]
    most = LARGEST.get(str(problem["out_dtype"]))
    return sums if most is None else xp.clip(sums, -most, most)


def _spread(scale: Array, shape: tuple[int, ...], block: tuple[int, int], xp: Any) -> Array:
    """A scale for each element of a matrix: those of its blocks, repeated."""
    high = xp.repeat(scale, block[0], axis=-2)[..., : shape[-2], :]
    return xp.repeat(high, block[1], axis=-1)[..., : shape[-1]]


def _activated(name: str, x: Array, xp: Any) -> Array:
    if name == "relu":
        return xp.maximum(x, 0.0)
    if name == "gelu":
        special = importlib.import_module("scipy.special" if xp.__name__ == "numpy" else "cupyx.scipy.special")
        return 0.5 * x * (1.0 + special.erf(x * 0.5**0.5))
    if name == "silu":
        return x / (1.0 + xp.exp(-x))
    return x


def _turned(matrix: Array, letter: str) -> Array:
    return matrix if letter == "n" else matrix.swapaxes(-1, -2)


def _checked_rows(m: int, rng: Any) -> list[int]:
    """Rows looked at element by element: the ends, the edges of the first and last tiles, and random ones.

    Tiles of 3 · 2^n and 7 · 2^n rows too: c_tiled has them.
    """
    heights = [height for height in (6, 8, 12, 14, 16, 24, 32, 48, 64, 96, 128, 192, 256) if height < m]
    edges = {edge for height in heights for edge in (height, m - 1 - (m - 1) % height)}
    known = {row for edge in (0, m - 1, *edges) for row in (edge - 1, edge, edge + 1) if 0 <= row < m}
    return sorted(known | {int(row) for row in rng.choice(m, CHECKED_ROWS, replace=False)})
