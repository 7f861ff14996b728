"""How long the sequences of a tuned batch are, and which query-key pairs that makes. Pure; fixed for a problem."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import accumulate

from ...spaces.problems import FieldValue

SHORTEST = 4
"""The shortest sequence that is not empty has this part of the longest."""

EMPTY_FROM = 4
"""Sequences of a batch from which on one is empty, as it happens in servers: kernels are checked with it."""

_MIX = 2654435761
"""Knuth's multiplicative hash: an order that looks like none."""


@dataclass(frozen=True, slots=True)
class Lengths:
    """Of each sequence of a batch."""

    queries: tuple[int, ...]
    keys: tuple[int, ...]


def of(chosen: Mapping[str, FieldValue]) -> Lengths:
    """All alike, but spread where they may differ: queries and keys of varlen, keys of paged."""
    b, s, kv_len = (int(chosen[name]) for name in ("b", "s", "kv_len"))
    if chosen["varlen"] == "yes":
        return Lengths(spread(b, s), spread(b, kv_len))
    return Lengths((s,) * b, (kv_len,) * b if chosen["paged"] == "no" else spread(b, kv_len))


def spread(count: int, longest: int) -> tuple[int, ...]:
    """Lengths from `longest` down to a part of it, in no order, one of them 0 where there are enough."""
    steps = max(count - 1, 1)
    sizes = [max(1, longest - longest * (SHORTEST - 1) * place // (SHORTEST * steps)) for place in range(count)]
    if count >= EMPTY_FROM:
        sizes[-1] = 0
    return tuple(sizes[place] for place in shuffled(count))


def shuffled(count: int) -> tuple[int, ...]:
    """0 to count - 1 in an order that looks like none."""
    return tuple(sorted(range(count), key=lambda place: (place + 1) * _MIX % 2**32))


def starts(counts: tuple[int, ...]) -> tuple[int, ...]:
    """Where each begins, and where the last ends."""
    return (0, *accumulate(counts))


def pairs_of(chosen: Mapping[str, FieldValue]) -> Callable[[int, int], int]:
    """Pairs that a head computes of a sequence with so many queries and keys."""
    causal, window = str(chosen["causal"]), chosen["window"]

    def count(queries: int, keys: int) -> int:
        if causal == "no" and window == "none":
            return queries * keys
        shift = keys - queries if causal == "lower_right" else 0
        # Query i sees the keys from first + i up to last + i, both cut off at the ends.
        last = shift if causal != "no" else int(window) - 1
        before = _clipped(queries, shift - int(window), keys) if window != "none" else 0
        return _clipped(queries, last, keys) - before

    return count


def _clipped(queries: int, last: int, keys: int) -> int:
    """Sum over queries i of how many keys are at or before last + i: of min(max(last + i + 1, 0), keys)."""
    low, high = last + 1, last + queries  # counts of the first and of the last query, not cut off
    ramp_low, ramp_high = max(low, 1), min(high, keys - 1)
    ramp = (ramp_low + ramp_high) * (ramp_high - ramp_low + 1) // 2 if ramp_high >= ramp_low else 0
    full = max(0, high - max(low, keys) + 1)
    return ramp + full * keys
