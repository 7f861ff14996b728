"""What is remembered: measurements, failures, incidents, and the answers made of them."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Literal, cast, get_args

from ..spaces.canonical import digest
from ..spaces.config import Config
from ..spaces.errors import UnknownName
from ..spaces.problems import Problem
from ..spaces.targets import Target

CacheState = Literal["cold", "warm"]
LaunchMode = Literal["graph", "eager"]
FailureKind = Literal["constraints", "compile", "launch", "runtime", "timeout", "incorrect"]
Phase = Literal["search", "playoff"]
Match = Literal["exact", "stale", "near", "model"]


@dataclass(frozen=True, slots=True)
class Policy:
    """How a time was taken; part of every key."""

    cache: CacheState = "cold"  # cold: inputs rotated past the last cache
    launch: LaunchMode = "graph"  # graph: replayed from a CUDA graph; eager: called from the host

    @staticmethod
    def default_for(device_kind: str, cache: CacheState = "cold") -> Policy:
        return Policy(cache, "eager" if device_kind == "cpu" else "graph")

    @staticmethod
    def named(device_kind: str, name: str) -> Policy:
        """The policy `--policy cold|warm` means on a kind of device. Raises: UnknownName."""
        if name not in get_args(CacheState):
            raise UnknownName(name, "a policy", get_args(CacheState), "--policy")
        return Policy.default_for(device_kind, cast("CacheState", name))

    def as_dict(self) -> dict[str, str]:
        return {"cache": self.cache, "launch": self.launch}


@dataclass(frozen=True, slots=True)
class Measurement:
    """Times of one config, in the order in which they were taken, and what is known of how they came about."""

    samples_us: tuple[float, ...]  # one entry per timed call (eager) or per replay divided by its calls (graph)
    deterministic: bool | None = None  # the same bits from the same inputs; None: not looked at
    raced_out: bool = False  # given up early, clearly slower than the best by then: no winner, no finalist
    readings: Mapping[str, Any] | None = field(default=None, hash=False)  # of the device meanwhile; plain JSON values
    uses: Mapping[str, Any] | None = field(default=None, hash=False)  # what the kernel is made of: Artifact.uses

    def __post_init__(self) -> None:
        if not self.samples_us or not all(0 < sample < float("inf") for sample in self.samples_us):
            raise ValueError("a measurement holds at least one sample, each positive and finite, in µs")

    @property
    def median_us(self) -> float:
        return statistics.median(self.samples_us)

    @property
    def spread_us(self) -> float:
        """Half of the interquartile range: half of the samples lie about this close to the median."""
        if len(self.samples_us) < 2:
            return 0.0
        low, _, high = statistics.quantiles(self.samples_us, n=4, method="inclusive")
        return round((high - low) / 2, 6)


@dataclass(frozen=True, slots=True)
class Failure:
    """The config's own fault, with the reason."""

    kind: FailureKind
    reason: str


@dataclass(frozen=True, slots=True)
class Incident:
    """The machine's fault (disk full, memory killer, device lost): never blamed on a config."""

    kind: str
    reason: str


@dataclass(frozen=True, slots=True)
class Baseline:
    """The vendor library, timed in the same playoff: the fastest of its ways, with the others."""

    name: str
    samples_us: tuple[float, ...]
    speedup: float | None = None  # of the record's config over it: median of the ratios of paired rounds
    speedup_interval: tuple[float, float] | None = None  # which holds that median with 95 % confidence
    fault: str | None = None  # what is wrong with its numbers, by the tolerance that our own are held to
    others: tuple[Baseline, ...] = ()  # its slower ways, fastest first; they have no others

    @property
    def median_us(self) -> float:
        return statistics.median(self.samples_us)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a playoff decided of its winner."""

    ranked_us: float  # no more than the time of anybody it met: a tie is not decided by the median
    confidence: float  # that nobody but those it is tied with is faster
    rounds: int  # so many blocks, of equally many samples each, in the order of `samples_us`
    tied_with: tuple[str, ...] = ()  # config digests


@dataclass(frozen=True)
class RecordKey:
    """What a time belongs to: problem, target, policy."""

    problem: Problem
    target: Target
    policy: Policy

    def fields(self) -> dict[str, Any]:
        """Every identity field by name."""
        policy = {f"policy_{name}": value for name, value in self.policy.as_dict().items()}
        return {**self.problem.as_dict(), **self.target.fields(), **policy}

    @cached_property
    def digest(self) -> str:
        return digest({"problem": self.problem.digest, "target": self.target.digest, "policy": self.policy.as_dict()})

    def explain_difference(self, stored: RecordKey) -> list[str]:
        """Why `stored` is no hit for this key: `driver: 550.54 here, 560.28 stored`; empty where it is one."""
        problem = _differences(self.problem.as_dict(), stored.problem.as_dict())
        policy = _differences(self.policy.as_dict(), stored.policy.as_dict(), prefix="policy ")
        targets = self.target.compare(stored.target)
        return [*problem, *targets.hard, *targets.soft, *policy]


@dataclass(frozen=True)
class Record:
    """One result: what was run, where, how, what came of it, when (UTC) and by whom."""

    key: RecordKey
    template: str
    template_digest: str
    space_digest: str
    config: Config
    outcome: Measurement | Failure
    recorded_at: datetime
    recorded_by: str
    phase: Phase = "search"
    baseline: Baseline | None = None  # of the same playoff
    verdict: Verdict | None = None  # of the winner of a playoff

    @property
    def measurement(self) -> Measurement | None:
        return self.outcome if isinstance(self.outcome, Measurement) else None

    @property
    def ranked_us(self) -> float | None:
        """The time by which it is compared with others; None for what cannot win: a failure, a config raced out."""
        if self.verdict is not None:
            return self.verdict.ranked_us
        measurement = self.measurement
        return None if measurement is None or measurement.raced_out else measurement.median_us


@dataclass(frozen=True)
class Answer:
    """What a lookup returns: a config, how near it is, and the evidence."""

    config: Config
    template: str
    match: Match
    problem: Problem
    target: Target
    policy: Policy
    median_us: float
    spread_us: float
    samples: int
    recorded_at: datetime
    recorded_by: str
    baseline_name: str | None = None
    baseline_us: float | None = None
    differences: tuple[str, ...] = ()  # why the match is not exact, field by field
    expected_slowdown: float | None = 1.0  # of this config here, against where it was measured; None: not known
    generation: int | None = None

    @property
    def digest(self) -> str:
        return self.config.digest

    @property
    def speedup(self) -> float | None:
        """Baseline ÷ ours, from one interleaved run; None where there was no baseline."""
        return None if self.baseline_us is None else self.baseline_us / self.median_us


def _differences(here: Mapping[str, Any], there: Mapping[str, Any], prefix: str = "") -> list[str]:
    return [
        f"{prefix}{name}: {here.get(name)} here, {there.get(name)} stored"
        for name in {**here, **there}
        if here.get(name) != there.get(name)
    ]
