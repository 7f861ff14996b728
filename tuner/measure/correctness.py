"""Whether a kernel computes what it should: against a float64 reference of the rounded inputs."""

from __future__ import annotations

import numpy as np

from ...cache.records import Failure
from .device import Kernel
from .workload import Workload


def check(workload: Workload, kernel: Kernel, seed: int) -> Failure | None:
    """Run once on fresh random inputs into a NaN-filled output; None if every checked element is right.

    Raises whatever the kernel raises.
    """
    device, op, problem = workload.device, workload.op, workload.problem
    arrays = workload.refresh(seed)
    kernel(arrays)
    device.finish()
    dtypes = {buffer.name: buffer.dtype for buffer in workload.buffers}
    wide = {name: device.widen(array, dtypes[name]) for name, array in arrays.items()}
    xp = device.xp
    computed, expected = op.evidence(problem, wide, xp, np.random.default_rng(seed))
    unwritten = int((~xp.isfinite(computed)).sum())
    if unwritten:
        return Failure("incorrect", f"{unwritten:,} of {computed.size:,} elements are NaN or infinite: not written?")
    error = xp.abs(computed - expected)
    tolerance = op.tolerance(problem)
    excess = error - (tolerance.rtol * xp.abs(expected) + tolerance.atol)
    if float(excess.max()) > 0:
        at = tuple(int(i) for i in np.unravel_index(int(excess.argmax()), excess.shape))
        return Failure(
            "incorrect",
            f"element {list(at)} is {float(computed[at]):.6g}, should be {float(expected[at]):.6g} "
            f"(rtol {tolerance.rtol:.1e}, atol {tolerance.atol:.1e})",
        )
    frobenius = float(xp.linalg.norm(error) / max(float(xp.linalg.norm(expected)), 1e-300))
    if frobenius > tolerance.frobenius:
        return Failure("incorrect", f"relative error ‖C-R‖/‖R‖ {frobenius:.2e} > {tolerance.frobenius:.1e}")
    return None
