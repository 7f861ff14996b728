"""What the results of the GEMM suite come to: means, counts and the targets that were set. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from suite_report import Result, geometric_mean, low, reaches

WEIGHTS_TBS = 4.3
"""What reading memory reached on an H200, of 4.8 on the data sheet (2026-11-22)."""

GEOMETRIC_MEAN, LEAST, LARGE_SQUARES, STREAMING = 1.20, 0.97, 1.03, 0.85
"""Targets: of the mean, of the worst, of large squares, and the share of WEIGHTS_TBS that decoding should draw."""

MAY_FALL_SHORT = 4 / 38
"""Share of the problems that may be behind the vendor beyond doubt."""

OTHER_TARGETS = {"fp32": 0.95, "tf32": 1.0, "int8": 1.3, "fp8e4m3": 1.0}

LARGE, DECODE_ROWS = 2048, 64


def summary(results: Sequence[Result]) -> dict[str, Any]:
    """By part: bf16, and each other dtype. Problems without a ratio are counted and left out."""
    by_dtype: dict[str, list[Result]] = {}
    for result in results:
        by_dtype.setdefault(result["dtype"], []).append(result)
    return {dtype: _part(dtype, found) for dtype, found in by_dtype.items()}


def _part(dtype: str, results: Sequence[Result]) -> dict[str, Any]:
    compared = [result for result in results if result.get("ratio") is not None]
    told: dict[str, Any] = {"problems": len(results), "compared": len(compared)}
    if not compared:
        return told
    ratios = [result["ratio"] for result in compared]
    worst = min(compared, key=lambda result: result["ratio"])
    mean = geometric_mean(ratios)
    not_behind = sum(reaches(result, 1.0) for result in compared)
    told |= {
        "geometric_mean": round(mean, 4),
        "median_at_least_1": sum(ratio >= 1.0 for ratio in ratios),
        "interval_reaches_1": not_behind,
        "interval_above_1": sum(low(result) > 1.0 for result in compared),
        "minimum": {"problem": worst["problem"], "ratio": worst["ratio"], "interval": worst["interval"]},
    }
    if dtype in OTHER_TARGETS:
        return told | {"targets": {f"each >= {OTHER_TARGETS[dtype]}": min(ratios) >= OTHER_TARGETS[dtype]}}
    squares = {r["problem"]: r["ratio"] for r in compared if r["m"] == r["n"] == r["k"] and r["m"] >= LARGE}
    decoding = [_decode(result) for result in compared if result["m"] <= DECODE_ROWS]
    targets = {
        f"geometric mean >= {GEOMETRIC_MEAN}": mean >= GEOMETRIC_MEAN,
        "within the interval >= 1 but for 4 of 38": not_behind >= len(results) - MAY_FALL_SHORT * len(results),
        f"none < {LEAST}": worst["ratio"] >= LEAST,
        f"large squares >= {LARGE_SQUARES}": all(ratio >= LARGE_SQUARES for ratio in squares.values()),
        "decode": all(one["met"] for one in decoding),
    }
    return told | {"large_squares": squares, "decode": decoding, "targets": targets}


def _decode(result: Result) -> dict[str, Any]:
    """Few rows: as fast as the vendor, and weights at the rate that memory has."""
    enough = result["tbs"] >= STREAMING * WEIGHTS_TBS
    said = {name: result[name] for name in ("problem", "ratio", "tbs")}
    return said | {"streams": enough, "met": enough and reaches(result, 1.0)}
