"""How long a kernel takes: blocks of calls until the time for it is spent, every sample kept."""

from __future__ import annotations

import time

from ...cache.records import Measurement
from .device import Kernel
from .workload import Workload

MIN_CALLS = 5
"""Calls of one block: the first of a block meets sleeping threads, and a median of five forgives it."""

MAX_SAMPLES = 1000


def block_calls(estimate_us: float, block_s: float, sets: int) -> int:
    """Calls of one block: at least five, as many as fit `block_s`, and no more than a few rounds over the sets."""
    fitting = int(block_s * 1e6 / max(estimate_us, 0.1))
    return max(MIN_CALLS, min(fitting, max(4 * sets, 20)))


def estimate_us(workload: Workload, kernel: Kernel) -> float:
    """A first, rough time of one call, launch included."""
    device = workload.device
    start_ns = time.perf_counter_ns()
    kernel(workload.sets[-1])
    device.finish()
    return (time.perf_counter_ns() - start_ns) / 1e3


def measure(workload: Workload, kernel: Kernel, time_s: float) -> Measurement:
    """Times of a kernel over the workload's sets, until `time_s` is spent; at least two blocks.

    A pause comes first: the threads of whoever ran before (the reference's BLAS) may still be spinning.
    """
    time.sleep(workload.device.pause_s)
    one_us = estimate_us(workload, kernel)
    calls = block_calls(one_us, time_s / 2, len(workload.sets))
    timer = workload.device.timer(kernel, workload.sets, calls, workload.policy)
    samples: list[float] = []
    deadline_s = time.monotonic() + time_s
    blocks = 0
    while blocks < 2 or time.monotonic() < deadline_s:
        samples += timer()
        blocks += 1
        if len(samples) >= MAX_SAMPLES:
            break
    return Measurement(tuple(round(sample, 3) for sample in samples))
