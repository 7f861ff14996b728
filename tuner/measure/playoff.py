"""The playoff: the best few, the default and the vendor library, interleaved in one run."""

from __future__ import annotations

import time
from collections.abc import Mapping

from ...cache.records import Measurement
from .device import Kernel
from .timing import block_calls, estimate_us
from .workload import Workload

MIN_ROUNDS = 3
MAX_ROUNDS = 15


def playoff(workload: Workload, kernels: Mapping[str, Kernel], time_s: float) -> dict[str, Measurement]:
    """Times of each contender, by name.

    Each round every contender runs one block of at least five calls, after a pause and one call that is not timed;
    the order turns by one each round, so that nobody always follows the same rival. Every contender is treated alike.
    """
    device = workload.device
    timers = {}
    for name, kernel in kernels.items():
        time.sleep(device.pause_s)
        estimate_us(workload, kernel)  # the first call pays for pages and lazy loading
        calls = block_calls(estimate_us(workload, kernel), 0.03, len(workload.sets))
        timers[name] = device.timer(kernel, workload.sets, calls, workload.policy)
    samples: dict[str, list[float]] = {name: [] for name in timers}
    order = list(timers)
    deadline_s = time.monotonic() + time_s
    for turn in range(MAX_ROUNDS):
        if turn >= MIN_ROUNDS and time.monotonic() > deadline_s:
            break
        for name in order[turn % len(order) :] + order[: turn % len(order)]:
            time.sleep(device.pause_s)
            kernels[name](workload.sets[-1])
            device.finish()
            samples[name] += timers[name]()
    return {name: Measurement(tuple(round(s, 3) for s in taken)) for name, taken in samples.items()}
