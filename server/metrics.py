"""Metrics: what a process of the server has answered, as Prometheus reads it."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from itertools import accumulate

from ..cache.counts import Counts
from .hot import HotAnswers

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

BOUNDS_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)

ROUTES = frozenset({"configs", "lookup", "records", "incidents", "targets", "jobs", "misses", "generations"})
HEALTH = frozenset({"/healthz", "/readyz"})

_Labels = Mapping[str, object]
_Sample = tuple[str, _Labels, float]


class Metrics:
    """Counts of one process and one event loop; nothing in it waits."""

    def __init__(self) -> None:
        self.requests: dict[tuple[str, int], int] = {}  # by route class and status
        self.seconds: dict[str, float] = {}  # by route class
        self._buckets: dict[str, list[int]] = {}

    def count(self, path: str, status: int, seconds: float) -> None:
        """A request that has been answered."""
        route = route_class(path)
        answered = route, status
        self.requests[answered] = self.requests.get(answered, 0) + 1
        buckets = self._buckets.get(route)
        if buckets is None:
            buckets = self._buckets[route] = [0] * (len(BOUNDS_S) + 1)
            self.seconds[route] = 0.0
        buckets[bisect_left(BOUNDS_S, seconds)] += 1
        self.seconds[route] += seconds

    def text(self, hot: HotAnswers | None, counts: Counts | None, has_store: bool = True) -> str:
        """All that is known now; where there is a store, it is down without counts."""
        process = {"worker": os.getpid()}
        lines = _family("kerntune_requests_total", "counter", "Requests answered", self._requests(process))
        lines += _family("kerntune_request_seconds", "histogram", "Time to answer", self._histogram(process))
        if hot is not None:
            hits = [("", {"outcome": "hit", **process}, hot.hits), ("", {"outcome": "miss", **process}, hot.misses)]
            lines += _family("kerntune_hot_answers_total", "counter", "Look-ups answered from memory, or not", hits)
        if has_store:
            lines += _family("kerntune_store_up", "gauge", "1: the database answers", [("", {}, counts is not None)])
        if counts is not None:
            states: list[_Sample] = [("", {"state": state}, n) for state, n in sorted(counts.jobs.items())]
            lines += _family("kerntune_jobs", "gauge", "Jobs by state", states)
            lines += _family("kerntune_records", "gauge", "Records kept", [("", {}, counts.records)])
            lines += _family("kerntune_misses", "gauge", "Look-ups that found nothing", [("", {}, counts.misses)])
            lines += _family("kerntune_missed_keys", "gauge", "Keys that were missed", [("", {}, counts.missed_keys)])
        return "\n".join(lines) + "\n"

    def _requests(self, process: _Labels) -> list[_Sample]:
        answered = sorted(self.requests.items())
        return [("", {"route": route, "status": status, **process}, count) for (route, status), count in answered]

    def _histogram(self, process: _Labels) -> list[_Sample]:
        samples: list[_Sample] = []
        for route, buckets in sorted(self._buckets.items()):
            labels = {"route": route, **process}
            for bound, count in zip((*BOUNDS_S, "+Inf"), accumulate(buckets), strict=True):
                samples.append(("_bucket", {**labels, "le": bound}, count))
            samples += [("_sum", labels, self.seconds[route]), ("_count", labels, sum(buckets))]
        return samples


def route_class(path: str) -> str:
    """Few words for many paths: nobody makes a series by asking for a path that is not there."""
    if path.startswith("/v1/"):
        name = path[4:].partition("/")[0]
        if name in ROUTES:
            return "events" if name == "jobs" and path.endswith("/events") else name
    return "health" if path in HEALTH else "other"


def _family(name: str, kind: str, said: str, samples: Iterable[_Sample]) -> list[str]:
    return [f"# HELP {name} {said}.", f"# TYPE {name} {kind}", *(_line(name, *sample) for sample in samples)]


def _line(name: str, suffix: str, labels: _Labels, value: float) -> str:
    # Every label value is a word of ours or a number: nothing in it needs an escape.
    said = ",".join(f'{label}="{word}"' for label, word in labels.items())
    shown = repr(value) if isinstance(value, float) else int(value)
    return f"{name}{suffix}{{{said}}} {shown}" if said else f"{name}{suffix} {shown}"
