"""The vendor library as the answer, where a caller allows it: taken from the playoff of our own best. Pure.

Nothing of it is stored beside that record, whose evidence it is: a lookup, and a caller that does not allow it, have
our own best as before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ..cache.records import Answer, Baseline, Measurement, Record
from ..spaces.config import Config
from .lookup import answer_from

PREFIX = "vendor:"
"""How a template's name begins that is none of ours: what follows is what to call."""


def vendor_answer(record: Record) -> Answer | None:
    """The vendor's fastest way that is clearly faster than the record's config, and right; None where there is none."""
    measurement = record.measurement
    better = next(_better(record.baseline), None) if record.baseline else None
    if measurement is None or better is None:
        return None
    times = Measurement(better.samples_us)
    return replace(
        answer_from(record, times),
        config=Config({}),
        template=PREFIX + better.name,
    )


def is_vendors(answer: Answer) -> bool:
    """Whether an answer is the vendor's, and no config of ours."""
    return answer.template.startswith(PREFIX)


def _better(baseline: Baseline) -> Iterator[Baseline]:
    """Ways that win beyond doubt, fastest first: their whole interval does, or where rounds are too few, the median."""
    for way in (baseline, *baseline.others):
        if way.fault is None and way.speedup is not None:
            most = way.speedup if way.speedup_interval is None else max(way.speedup_interval)
            if most < 1.0:
                yield way
