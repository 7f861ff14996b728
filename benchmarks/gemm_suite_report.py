"""What the results of the GEMM suite come to: means, counts, the targets that were set, and a table. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

Result = Mapping[str, Any]

PEAK_TFLOPS: Mapping[str, Mapping[str, float]] = {
    "NVIDIA H200": {
        **{"bf16": 989.4, "fp16": 989.4, "tf32": 494.7, "tf32x3": 164.9, "fp32": 66.9},
        **{"int8": 1978.9, "fp8e4m3": 1978.9, "fp8e5m2": 1978.9},
    }
}
"""Dense, by device and dtype. Source: NVIDIA H200 Tensor Core GPU data sheet; tf32x3 is three products of tf32."""

WEIGHTS_TBS = 4.3
"""What reading memory reached on an H200, of 4.8 on the data sheet (2026-11-22)."""

GEOMETRIC_MEAN, LEAST, LARGE_SQUARES, STREAMING = 1.20, 0.97, 1.03, 0.85
"""Targets: of the mean, of the worst, of large squares, and the share of WEIGHTS_TBS that decoding should draw."""

MAY_FALL_SHORT = 4 / 38
"""Share of the problems that may be behind the vendor beyond doubt."""

OTHER_TARGETS = {"fp32": 0.95, "tf32": 1.0, "int8": 1.3, "fp8e4m3": 1.0}

LARGE, DECODE_ROWS = 2048, 64


def roofline_us(device: str, dtype: str, flops: int, moved_bytes: int, bandwidth_gbs: float) -> float | None:
    """The least that a product takes: what the units can do, or what memory can bring; None for a device not known."""
    peak = PEAK_TFLOPS.get(device, {}).get(dtype)
    return None if peak is None else max(flops / peak / 1e6, moved_bytes / bandwidth_gbs / 1e3)


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
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
    not_behind = sum(reaches(result, 1.0) for result in compared)
    told |= {
        "geometric_mean": round(mean, 4),
        "median_at_least_1": sum(ratio >= 1.0 for ratio in ratios),
        "interval_reaches_1": not_behind,
        "interval_above_1": sum(_low(result) > 1.0 for result in compared),
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


def reaches(result: Result, least: float) -> bool:
    """Whether the ratio may be that high: the upper end of its interval is."""
    interval = result["interval"]
    return bool((interval[1] if interval else result["ratio"]) >= least)


def _low(result: Result) -> float:
    return float((result["interval"] or [result["ratio"]])[0])


COLUMNS = ("problem", "template", "µs", "vendor", "µs", "ratio (95 %)", "roofline", "TB/s", "trials", "s")


def table(results: Sequence[Result]) -> str:
    """A row for each problem, as Markdown."""
    rows = [COLUMNS, tuple(":-" if name in ("problem", "template", "vendor") else "-:" for name in COLUMNS)]
    rows += [_row(result) for result in results]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in rows)


def _row(result: Result) -> tuple[str, ...]:
    if "error" in result:
        return (result["problem"], result["error"].partition(". ")[0][:80], *("",) * (len(COLUMNS) - 2))
    vendor = ("none", "")
    ratio = "-"
    if result["ratio"] is not None:
        off = "" if result["vendors"][0]["fault"] is None else " (off)"
        vendor = (result["vendor"] + off, f"{result['vendor_us']:.2f}")
        low, high = result["interval"] or (math.nan, math.nan)
        ratio = f"{result['ratio']:.3f} ({low:.3f} … {high:.3f})"
    share = "-" if result["roofline"] is None else f"{result['roofline']:.0%}"
    spent = f"{result['seconds']['tune'] + result['seconds']['final']:.0f}"
    time = f"{result['us']:.2f} ± {result['spread_us']:.2f}"
    trials = str(sum(result["trials"].values()))
    return (result["problem"], result["template"], time, *vendor, ratio, share, f"{result['tbs']:.2f}", trials, spent)
