"""How long a kernel takes: blocks of calls until its median is known, every sample kept. Losers stop early."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Sequence

from ...cache.records import Measurement
from ..intervals import median_error, median_interval
from .device import Arrays, Kernel
from .workload import Workload

MIN_CALLS = 5
"""Calls of one block: the first of a block meets sleeping threads, and a median of five forgives it."""

BLOCK_S = 0.001
"""Timed seconds of one block (of one replay of a graph): a thousandfold of what an event can tell (0.5 µs)."""

MIN_SAMPLES, MAX_SAMPLES = 10, 1000

KNOWN_WITHIN = 0.005
"""The median is known when its 95 % interval reaches no further to either side, as a part of it."""

RACE_FACTOR = 1.15
"""Slower than the best by this much, a config is out: the search's order is off by up to 10 % where a GPU runs into its
power limit (docs/measured_facts.md), and what lies within that must get its full measure."""

RACE_ERRORS = 3.0
"""Standard errors of the median that must lie between it and the race's limit."""

HOPELESS_FACTOR = 3.0
"""From here on the host's clock is good enough to tell, and no graph is captured."""

HOST_SLACK_US = 1000.0
"""What a call may seem to take longer by the host's clock: launch, wake-up of threads, one scheduling."""


def block_calls(estimate_us: float, block_s: float, sets: int, least: int = MIN_CALLS) -> int:
    """Calls of one block: at least `least`, as many as fit `block_s`, and no more than a few rounds over the sets."""
    fitting = int(block_s * 1e6 / max(estimate_us, 0.1))
    return max(least, min(fitting, max(4 * sets, 20)))


def estimate_us(workload: Workload, kernel: Kernel, turn: int = -1) -> float:
    """A first, rough time of one call, launch included."""
    device = workload.device
    start_ns = time.perf_counter_ns()
    kernel(workload.sets[turn % len(workload.sets)])
    device.finish()
    return (time.perf_counter_ns() - start_ns) / 1e3


def is_known(samples: Sequence[float]) -> bool:
    """Whether the 95 % interval of the median is narrow enough."""
    if len(samples) < MIN_SAMPLES:
        return False
    low, high = median_interval(samples)
    middle = statistics.median(samples)
    return max(high - middle, middle - low) <= KNOWN_WITHIN * middle


def is_raced_out(samples: Sequence[float], incumbent_us: float | None) -> bool:
    """Whether these samples leave no hope of coming near the incumbent.

    Not its luckiest call did, and the median less three standard errors does not either. The first guards against an
    error told from a handful of samples that happen to agree.
    """
    if incumbent_us is None:
        return False
    limit_us = RACE_FACTOR * incumbent_us
    return min(samples) > limit_us and statistics.median(samples) - RACE_ERRORS * median_error(samples) > limit_us


def is_hopeless(estimate: float, incumbent_us: float | None) -> bool:
    """Whether one call by the host's clock says enough."""
    if incumbent_us is None:
        return False
    return estimate > max(HOPELESS_FACTOR * incumbent_us, incumbent_us + HOST_SLACK_US)


def measure(workload: Workload, kernel: Kernel, time_s: float, incumbent_us: float | None = None) -> Measurement:
    """Times of a kernel over the workload's sets.

    Ends when the median is known, when the kernel is clearly slower than `incumbent_us`, or when `time_s` is spent; at
    least ten samples, but for a kernel that is raced out. A pause comes first: the threads of whoever ran before (the
    reference's BLAS) may still be spinning. A device that needs rests gets one before each block that counts.
    """
    time.sleep(workload.device.pause_s)
    glances = [estimate_us(workload, kernel)]
    while is_hopeless(glances[-1], incumbent_us):
        if len(glances) == 3:
            return _measurement(glances, raced_out=True)
        glances.append(estimate_us(workload, kernel, -1 - len(glances)))
    least = MIN_CALLS if workload.policy.launch == "eager" else 1
    calls = block_calls(glances[-1], BLOCK_S, len(workload.sets), least)
    timer = workload.device.timer(kernel, workload.sets, calls, workload.policy)
    rest = workload.device.rest
    samples = rest.first(timer, lambda block, factor: is_raced_out(block, incumbent_us and factor * incumbent_us))
    deadline_s = time.monotonic() + time_s
    look_at = 0  # at every block first, then less and less often: a look sorts all samples
    while not is_raced_out(samples, incumbent_us):
        if len(samples) >= MIN_SAMPLES and (time.monotonic() >= deadline_s or len(samples) >= MAX_SAMPLES):
            return _measurement(samples)
        if len(samples) >= look_at:
            if is_known(samples):
                return _measurement(samples)
            look_at = len(samples) + len(samples) // 4
        samples += rest.block(timer)
    return _measurement(samples, raced_out=True)


def rotating(kernel: Kernel, sets: Sequence[Arrays], turns: itertools.count[int]) -> Kernel:
    """The kernel on the next set of a rotation that contenders share, whatever set it is called with.

    Contenders that each began at set 0 would meet what a rival has just left in the cache.
    """
    return lambda arrays: kernel(sets[next(turns) % len(sets)])


def _measurement(samples: Sequence[float], *, raced_out: bool = False) -> Measurement:
    return Measurement(tuple(round(sample, 3) for sample in samples), raced_out=raced_out)
