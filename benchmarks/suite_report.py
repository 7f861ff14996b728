"""What results of any suite come to: means, intervals, the roofline, and a table. Pure."""

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


def roofline_us(device: str, dtype: str, flops: int, moved_bytes: int, bandwidth_gbs: float) -> float | None:
    """The least that a product takes: what the units can do, or what memory can bring; None for a device not known."""
    peak = PEAK_TFLOPS.get(device, {}).get(dtype)
    return None if peak is None else max(flops / peak / 1e6, moved_bytes / bandwidth_gbs / 1e3)


def geometric_mean(ratios: Sequence[float]) -> float:
    """Of ratios, of which there is at least one."""
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


def reaches(result: Result, least: float) -> bool:
    """Whether the ratio may be that high: the upper end of its interval is."""
    interval = result["interval"]
    return bool((interval[1] if interval else result["ratio"]) >= least)


def low(result: Result) -> float:
    """What the ratio surely reaches."""
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
