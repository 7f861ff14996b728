"""What the results of the attention suite come to: means over cuDNN and flash, and the targets that were set. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attention_suite_problems import DECODE_QUERIES
from suite_report import Result, geometric_mean

OVER_FLASH, OVER_CUDNN, LEAST_OVER_CUDNN = 1.6, 0.9, 0.75
"""Targets of prefill: two means, and what no problem should fall below."""

DECODE, DECODE_OVER_FLASH = 0.97, 1.2
"""Targets of decoding: each within its interval against the faster of the two, and the mean over flash."""


def summary(results: Sequence[Result]) -> dict[str, Any]:
    """By part. Problems without a ratio are counted and left out."""
    parts = {
        "prefill": [result for result in results if result["s"] > DECODE_QUERIES],
        "decode": [result for result in results if result["s"] <= DECODE_QUERIES],
    }
    return {part: _part(part, found) for part, found in parts.items() if found}


def _part(part: str, results: Sequence[Result]) -> dict[str, Any]:
    compared = [result for result in results if result.get("ratio") is not None]
    told: dict[str, Any] = {"problems": len(results), "compared": len(compared)}
    if not compared:
        return told
    flash, cudnn = ({r["problem"]: over(r, name) for r in compared} for name in ("flash", "cudnn"))
    for name, ratios in (("flash", flash), ("cudnn", cudnn)):
        known = [ratio for ratio in ratios.values() if ratio is not None]
        if known:
            told[f"over_{name}"] = {"geometric_mean": round(geometric_mean(known), 4), "minimum": min(known)}
    told["above_cudnn"] = [problem for problem, ratio in cudnn.items() if ratio is not None and ratio > 1.0]
    means = {name: told.get(f"over_{name}", {}).get("geometric_mean", 0.0) for name in ("flash", "cudnn")}
    if part == "decode":
        near = all((result["interval"] or [0, result["ratio"]])[1] >= DECODE for result in compared)
        ahead = means["flash"] >= DECODE_OVER_FLASH
        return told | {"targets": {f"each >= {DECODE} of the fastest": near, f"flash >= {DECODE_OVER_FLASH}": ahead}}
    least = min((ratio for ratio in cudnn.values() if ratio is not None), default=0.0)
    return told | {
        "targets": {
            f"flash >= {OVER_FLASH}": means["flash"] >= OVER_FLASH,
            f"cudnn >= {OVER_CUDNN}": means["cudnn"] >= OVER_CUDNN,
            f"none < {LEAST_OVER_CUDNN} of cudnn": least >= LEAST_OVER_CUDNN,
        }
    }


def over(result: Result, backend: str) -> float | None:
    """Times as fast as one of torch's backends; None where that did not run."""
    found = [way["speedup"] for way in result["vendors"] if f"({backend})" in way["name"]]
    return found[0] if found else None
