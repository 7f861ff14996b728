"""gemm: C[M,N] = A · B, what its fields mean and what its answer must be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...spaces.problems import DTYPE_BYTES, FieldValue, Problem
from ...spaces.targets import DeviceKind
from ..op import DTYPES, Array, Buffer, Field, Op, Tolerance

_ACTIVATIONS = ("none", "bias", "relu", "gelu", "silu", "bias+relu", "bias+gelu", "bias+silu")
EPILOGUES = _ACTIVATIONS + tuple(f"{name}+residual" for name in _ACTIVATIONS if name != "none") + ("residual",)

FULL_CHECK_FLOPS = 2 * 2048**3
"""Up to here a processor checks every element: 0.3 s of float64 work on 2 cores; above, rows and projections."""

CHECKED_ROWS = 64


def _complete(chosen: dict[str, FieldValue], device_kind: DeviceKind) -> None:
    chosen.setdefault("dtype", "fp32" if device_kind == "cpu" else "bf16")
    dtype = str(chosen["dtype"])
    chosen.setdefault("out_dtype", "fp32" if dtype.startswith("tf32") else dtype)
    chosen.setdefault("acc_dtype", "int32" if dtype == "int8" else "fp32")


def _facts(chosen: Mapping[str, FieldValue]) -> dict[str, FieldValue]:
    m, n, k, batch = (int(chosen[name]) for name in ("m", "n", "k", "batch"))
    element, out = DTYPE_BYTES[str(chosen["dtype"])], DTYPE_BYTES[str(chosen["out_dtype"])]
    return {
        "a_bytes": element,  # of one element
        "b_bytes": element,
        "c_bytes": out,
        "flops": 2 * m * n * k * batch,
        "bytes": batch * ((m * k + k * n) * element + m * n * out),  # each input read once, the output written once
    }


def _buffers(problem: Problem) -> tuple[Buffer, ...]:
    m, n, k = (problem.dim(letter) for letter in "mnk")
    layout, dtype = str(problem["layout"]), str(problem["dtype"])
    return (
        Buffer("a", (m, k) if layout[0] == "n" else (k, m), dtype, "input"),
        Buffer("b", (k, n) if layout[1] == "n" else (n, k), dtype, "input"),
        Buffer("c", (m, n), str(problem["out_dtype"]), "output"),
    )


def _evidence(problem: Problem, arrays: Mapping[str, Array], xp: Any, rng: Any) -> tuple[Array, Array]:
    """C and what it should be, in float64; of a large product on a processor only some rows and two projections.

    The projections are random ±1 combinations of all rows, scaled to the size of one row: a wrong element anywhere
    shows in them (Freivalds, 1977), at the price of a matrix-vector product.
    """
    layout = str(problem["layout"])
    a = arrays["a"] if layout[0] == "n" else arrays["a"].T
    b = (arrays["b"] if layout[1] == "n" else arrays["b"].T).astype(xp.float64)
    c = arrays["c"]
    m = problem.dim("m")
    if problem.dim("flops") <= FULL_CHECK_FLOPS or xp.__name__ != "numpy" or m <= 2 * CHECKED_ROWS:
        return c.astype(xp.float64), a.astype(xp.float64) @ b
    rows = _checked_rows(m, rng)
    signs = rng.choice([-1.0, 1.0], (2, m)) / m**0.5
    picked_a = xp.concatenate([a[rows].astype(xp.float64), signs @ a])
    picked_c = xp.concatenate([c[rows].astype(xp.float64), signs @ c])
    return picked_c, picked_a @ b


def _checked_rows(m: int, rng: Any) -> list[int]:
    """Rows looked at element by element: the ends, the edges of the first and last tiles, and random ones.

    Tiles of 3 · 2^n and 7 · 2^n rows too: c_tiled has them.
    """
    heights = [height for height in (6, 8, 12, 14, 16, 24, 32, 48, 64, 96, 128, 192, 256) if height < m]
    edges = {edge for height in heights for edge in (height, m - 1 - (m - 1) % height)}
    known = {row for edge in (0, m - 1, *edges) for row in (edge - 1, edge, edge + 1) if 0 <= row < m}
    return sorted(known | {int(row) for row in rng.choice(m, CHECKED_ROWS, replace=False)})


def _tolerance(problem: Problem) -> Tolerance:
    """Bounds for N(0,1) inputs.

    `frobenius` by dtype: seen errors are 1e-7·sqrt(K)/10 (fp32), 2.1e-4 (fp16 output rounding) and 1.65e-3 (bf16);
    the bound is 4-5 of those. `atol`: K additions in fp32, each off by half an ulp of a partial sum of about sqrt(K),
    add up to 0.7·K·2^-24 (one sigma): 8 of them for fp32 units, 32 where tensor cores truncate instead of rounding.
    """
    k = problem.dim("k")
    dtype, out = str(problem["dtype"]), str(problem["out_dtype"])
    if dtype == "int8":
        return Tolerance(0.0, 0.0, 0.0)
    by_output = {"fp32": (1e-5, 2.0**-22), "fp16": (1e-3, 2.0**-10), "bf16": (6e-3, 2.0**-7)}
    by_input = {"tf32": 1e-3, "fp8e4m3": 5e-3, "fp8e5m2": 5e-3}
    frobenius, rtol = by_output.get(out, (5e-3, 2.0**-2))
    return Tolerance(max(frobenius, by_input.get(dtype, 0.0)), rtol, (8 if dtype == "fp32" else 32) * k * 2.0**-24)


OP = Op(
    name="gemm",
    summary="C[M,N] = A · B",
    letters=("m", "n", "k"),
    example="4096x4096x4096",
    fields=(
        Field("dtype", None, "type of A and B; fp32 on a CPU, bf16 on a GPU where left out", DTYPES),
        Field("out_dtype", None, "type of C; as dtype where left out", DTYPES),
        Field("acc_dtype", None, "type sums are kept in; follows from dtype where left out", ("fp32", "int32", "fp16")),
        Field("layout", "nn", "A then B, n or t as in BLAS: nt is A[M,K] · B[N,K]ᵀ", ("nn", "nt", "tn", "tt")),
        Field("batch", 1, "products of this shape side by side"),
        Field("epilogue", "none", "what is done to C before it is stored", EPILOGUES),
        Field("scales", "none", "scale factors of quantised inputs", ("none", "tensor", "row", "block128")),
    ),
    complete=_complete,
    facts=_facts,
    buffers=_buffers,
    evidence=_evidence,
    tolerance=_tolerance,
)


def plain_only(problem: Problem) -> str | None:
    """Why a template that does nothing but C = A · B cannot compute the problem, or None."""
    for name, plain in (("batch", 1), ("epilogue", "none"), ("scales", "none")):
        if problem[name] != plain:
            return f"it computes {name}={plain} only, not {problem[name]}"
    return None
