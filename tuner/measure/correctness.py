"""Whether a kernel computes what it should, and nothing else: against a float64 reference of the rounded inputs.

It runs once in each stand of a GuardedSet (guards.py): twice, or three times where the second cannot guard both ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...cache.records import Failure
from ...templates.op import Array
from .device import Arrays, Device, Kernel, Strayed
from .workload import Workload


@dataclass(frozen=True, slots=True)
class Right:
    """Every run was right."""

    deterministic: bool  # two runs on the same inputs, equally aligned, gave the same bits


def check(workload: Workload, kernel: Kernel, seed: int) -> Right | Failure:
    """Run on fresh random inputs into a NaN-filled output, each time with guards around every array.

    Raises: Strayed if it wrote outside its arrays, and whatever the kernel raises.
    """
    device = workload.device
    guarded = workload.guarded(seed)
    inputs = {name: guarded.arrays[name].copy() for name in workload.names("input")}
    first: dict[str, Array] = {}
    deterministic = True
    for stand in guarded.stands:
        guarded.place(stand)
        arrays = guarded.arrays
        for name in workload.names("output"):
            device.poison(arrays[name])
        with guarded.shut():
            kernel(arrays)
            device.finish()
        stray = guarded.stray()
        if stray is not None:
            raise Strayed(stray)
        fault = _changed(device, inputs, arrays)
        same = bool(first) and all(_same_bits(device, made, arrays[name]) for name, made in first.items())
        if fault is None and not same:  # a kernel with a race may be right once and wrong the next time
            fault = wrong(workload, arrays, seed)
        if fault is not None:
            return Failure("incorrect", fault)
        if not first:
            first = {name: arrays[name].copy() for name in workload.names("output")}
        elif stand != "end":  # otherwise aligned, a kernel may rightly add up in another order
            deterministic = deterministic and same
    return Right(deterministic)


def _bits(array: Array) -> Array:
    """Elements as integers: NaNs differ from themselves."""
    return array.view(f"u{array.dtype.itemsize}")


def _same_bits(device: Device, one: Array, other: Array) -> bool:
    return bool((_bits(one) == _bits(other)).all())


def _changed(device: Device, inputs: Mapping[str, Array], arrays: Arrays) -> str | None:
    for name, before in inputs.items():
        if not _same_bits(device, before, arrays[name]):
            changed = _bits(before) != _bits(arrays[name])
            at = np.unravel_index(int(changed.argmax()), changed.shape)
            return f"wrote its input {name}: {int(changed.sum()):,} elements, first {[int(i) for i in at]}"
    return None


def wrong(workload: Workload, arrays: Arrays, seed: int) -> str | None:
    """What is wrong with the output, or None if every checked element is right."""
    device, op, problem = workload.device, workload.op, workload.problem
    dtypes = {buffer.name: buffer.dtype for buffer in workload.buffers}
    wide = {name: device.widen(array, dtypes[name]) for name, array in arrays.items()}
    xp: Any = device.xp
    computed, expected = op.evidence(problem, wide, xp, np.random.default_rng(seed))
    unwritten = int((~xp.isfinite(computed)).sum())
    if unwritten:
        return (
            f"{unwritten:,} of {computed.size:,} elements are NaN or infinite: "
            "not written, or made of what lies outside the inputs?"
        )
    error = xp.abs(computed - expected)
    tolerance = op.tolerance(problem)
    excess = error - (tolerance.rtol * xp.abs(expected) + tolerance.atol)
    if float(excess.max()) > 0:
        at = tuple(int(i) for i in np.unravel_index(int(excess.argmax()), excess.shape))
        return (
            f"element {list(at)} is {float(computed[at]):.6g}, should be {float(expected[at]):.6g} "
            f"(rtol {tolerance.rtol:.1e}, atol {tolerance.atol:.1e})"
        )
    frobenius = float(xp.linalg.norm(error) / max(float(xp.linalg.norm(expected)), 1e-300))
    if frobenius > tolerance.frobenius:
        return f"relative error ‖C-R‖/‖R‖ {frobenius:.2e} > {tolerance.frobenius:.1e}"
    return None
