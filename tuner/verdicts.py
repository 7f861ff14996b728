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
    """The times of the vendor's fastest way, with the others; the contender's speedup over each is by paired rounds."""
    ways = []
    for vendor in result.vendors:
        found = ratio(vendor.rounds_us, result.rounds_us[name])
        ways.append(Baseline(vendor.name, vendor.samples_us, found.median, found.interval, vendor.fault))
    return replace(ways[0], others=tuple(ways[1:])) if ways else None
