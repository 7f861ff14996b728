"""Nearness: how far another problem, device or toolchain is from this one, as far as a search may learn from it.

One step is what one doubling of a small dim is worth. The weights of words are judgements; only their order matters
much, for what is near is tried on the device before it is believed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from ..cache.records import RecordKey
from ..spaces.problems import Problem
from ..spaces.targets import Target

FILLING = 1024
"""Dims from about which on a device is busy. Gemm bf16 nt on an H200, 2026-11-23, seven shapes, 300 random configs
each: log times of the same configs correlate by .98 and more among shapes whose dims are all at least 1024, by .76 to
.85 with m = 256 and m = 64."""

BEYOND = 0.2
"""Steps of a doubling far beyond that."""

DTYPE = 2.0
"""Other dtypes are other instructions and other bytes; out_dtype and acc_dtype mostly follow and count with it once."""

WORD = 1.0
"""A layout, an epilogue, a flag, another policy."""

TOOLS = 0.25
"""The same device with other tools, or another power limit."""

SIBLING, STRANGER = 2.0, 4.0
"""Another device: of the same architecture, or of another."""


def distance(here: RecordKey, there: RecordKey) -> float | None:
    """Steps between two keys; None where nothing is learned: another op, or another kind of device."""
    if here.problem.op != there.problem.op or here.target.kind != there.target.kind:
        return None
    policies = sum(WORD for name, word in here.policy.as_dict().items() if there.policy.as_dict()[name] != word)
    return _of_problems(here.problem, there.problem) + _of_targets(here.target, there.target) + policies


def _of_problems(here: Problem, there: Problem) -> float:
    """Numbers by the length of their differences together, so that three halved dims are no farther than one eighth."""
    one, other = dict(here.fields), dict(there.fields)
    both = [(name, one.get(name), other.get(name)) for name in {**one, **other}]
    steps = [_height(a) - _height(b) for _, a, b in both if isinstance(a, int) and isinstance(b, int)]
    differing = {_group(name) for name, a, b in both if a != b and not (isinstance(a, int) and isinstance(b, int))}
    return math.hypot(*steps) + sum(DTYPE if group == "dtype" else WORD for group in differing)


def _height(count: int) -> float:
    """Doublings up to a count: whole ones where it is small, a part of each where it is large."""
    return math.log2((1 + count) / (1 + count + FILLING)) + BEYOND * math.log2(1 + count)


def _of_targets(here: Target, there: Target) -> float:
    differences = here.compare(there)
    tools = TOOLS if differences.soft else 0.0
    if not differences.hard:
        return tools
    one, other = here.fields(), there.fields()
    return tools + (SIBLING if _architecture(one) == _architecture(other) else STRANGER)


def _architecture(fields: Mapping[str, object]) -> object:
    """What instructions there are: `sm_90`, or the sets of a processor."""
    return fields.get("arch", fields.get("isa"))


def _group(name: str) -> str:
    return "dtype" if name.endswith("dtype") else name
