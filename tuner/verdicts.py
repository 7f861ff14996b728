"""What a playoff's result says of its contenders: who won, and how each compares with the vendor library. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from ..cache.records import Baseline, Verdict
from ..spaces.config import Config
from .engine.engine import PlayoffResult
from .winner import ratio, winner


def judge(result: PlayoffResult, configs: Mapping[str, tuple[Config, str]]) -> tuple[str, Verdict]:
    """The winner's name and the verdict on it; `configs`: each contender's config and template digest."""
    digests = {name: configs[name][0].digest + configs[name][1] for name in result.rounds_us}
    won = winner(result.rounds_us, digests)
    medians = {name: measurement.median_us for name, measurement in result.measurements.items()}
    fastest_other = min((us for name, us in medians.items() if name != won.name), default=math.inf)
    verdict = Verdict(
        ranked_us=min(medians[won.name], math.nextafter(fastest_other, 0.0)),
        confidence=won.confidence,
        rounds=len(result.rounds_us[won.name]),
        tied_with=tuple(configs[name][0].digest for name in won.tied_with),
    )
    return won.name, verdict


def baseline_of(result: PlayoffResult, name: str) -> Baseline | None:
    """The vendor library's times, with the contender's speedup over it by paired rounds."""
    if result.baseline is None:
        return None
    found = ratio(result.baseline_rounds_us, result.rounds_us[name])
    return replace(result.baseline, speedup=found.median, speedup_interval=found.interval)
