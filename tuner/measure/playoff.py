"""The playoff: the best few, the default and the vendor library's ways, interleaved in one run, round by round."""

from __future__ import annotations

import itertools
import random
import statistics
import time
from collections.abc import Mapping

from ..winner import ratio, told_apart
from .device import Kernel
from .timing import block_calls, estimate_us, rotating
from .workload import Workload

MIN_ROUNDS = 3
"""Rounds whatever they cost."""

ENOUGH_ROUNDS = 6
"""Rounds, where there is time: the fewest that bound a median with 95 % confidence."""

MAX_ROUNDS = 60

SETTLING = 1 / 6
"""Part of the time in which rounds are run and not counted; where a device rests before each block, it is one round."""

RATIO_KNOWN_WITHIN = 0.01
"""How far the 95 % interval of the speedup over the vendor may reach to either side."""

BLOCK_S, REPLAY_S = 0.03, 0.001
"""Timed seconds of one block of calls, and of one of a graph's replays, of which a block has a few."""

MAX_REPLAY_CALLS = 4000

VENDOR = "vendor:"
"""How names of contenders begin that can be beaten and cannot win: the vendor library's ways."""

Rounds = list[list[float]]
"""Samples of one contender in µs, round by round, equally many in each."""


def playoff(
    workload: Workload, kernels: Mapping[str, Kernel], time_s: float, wanted: int | None = None
) -> dict[str, Rounds]:
    """Times of each contender, by name.

    Each round every contender runs one block of at least five calls, after a pause, a rest and a call not timed. The
    order is another one each round, so that nobody always follows the same rival. All are treated alike.
    Rounds end when it is settled who is tied with the fastest, who is beaten and how they compare with the vendor, or
    where another would end after `time_s`, estimates and all; where so many are `wanted`, with the last of those,
    however settled it was before.
    """
    device, start_s = workload.device, time.monotonic()
    turns = itertools.count()
    turning = {name: rotating(kernel, workload.sets, turns) for name, kernel in kernels.items()}
    timers = {}
    for name, kernel in turning.items():
        time.sleep(device.pause_s)
        estimate_us(workload, kernel)  # the first call pays for pages and lazy loading
        calls = _calls(workload, estimate_us(workload, kernel))
        timers[name] = device.timer(kernel, workload.sets, calls, workload.policy)
    rounds: dict[str, Rounds] = {name: [] for name in timers}
    order = list(timers)
    rounds_s = round_s = time.monotonic()
    turn = 0
    while not _is_over(rounds, _next_end_s(round_s) > start_s + time_s, wanted):
        round_s, taken = time.monotonic(), {}
        for name in random.Random(turn).sample(order, len(order)):
            time.sleep(device.pause_s)
            turning[name](workload.sets[0])
            device.finish()
            taken[name] = [round(sample, 3) for sample in device.rest.block(timers[name])]
        if turn if device.rest.rest_s else time.monotonic() - rounds_s >= SETTLING * time_s:
            for name, samples in taken.items():
                rounds[name].append(samples)
        turn += 1
    return rounds


def _next_end_s(round_s: float) -> float:
    """When another round would end, if it takes as long as the last one, which began then."""
    now_s = time.monotonic()
    return now_s + (now_s - round_s)


def _calls(workload: Workload, estimate: float) -> int:
    """Calls of one block, or of one replay."""
    if workload.policy.launch == "eager":
        return block_calls(estimate, BLOCK_S, len(workload.sets))
    return max(1, min(MAX_REPLAY_CALLS, int(REPLAY_S * 1e6 / estimate)))


def _is_over(rounds: Mapping[str, Rounds], time_is_spent: bool, wanted: int | None) -> bool:
    count, most = min(map(len, rounds.values())), wanted or MAX_ROUNDS
    if count < MIN_ROUNDS or count >= most:
        return count >= max(most, MIN_ROUNDS)
    return time_is_spent or (wanted is None and count >= ENOUGH_ROUNDS and _is_settled(rounds))


def _is_settled(rounds: Mapping[str, Rounds]) -> bool:
    """Whether the winner is settled, and how it compares with the fastest way of the vendor's."""
    medians = {name: [statistics.median(samples) for samples in taken] for name, taken in rounds.items()}
    vendors = [medians.pop(name) for name in list(medians) if name.startswith(VENDOR)]
    if not told_apart(medians):
        return False
    if not vendors:
        return True
    fastest, rival = (min(those, key=statistics.median) for those in (medians.values(), vendors))
    found = ratio(rival, fastest)
    return found.interval is not None and all(
        abs(end - found.median) <= RATIO_KNOWN_WITHIN * found.median for end in found.interval
    )
