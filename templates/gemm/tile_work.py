"""What tiles of C on a GPU have in common: the analytic model's numbers of a multiprocessor, and what L2 saves.

Clocks were fitted to 2,002 times of triton_tiled on an H200 (seven shapes of bf16 nt, 300 random configs each, of which
98 failed; cold caches, CUDA graphs, 2026-11-22), with the clock taken for chips.CLOCK_MHZ.
"""

from __future__ import annotations

import numpy as np

from ...spaces.problems import DTYPE_BYTES, Problem
from ...spaces.targets import Gpu
from ..chips import Floats
from ..columns import Columns

LOAD_CLOCKS = 1450.0
"""From a load of a tile to its data, while all others load too."""

TURN_CLOCKS = 25.0
"""That a turn of the loop over K takes beside loads and products: barriers, addresses."""

START_CLOCKS = 800.0
"""That a block takes beside its loop: its start, the store of its sums."""

START_SHARE = 0.25
"""Of these, for which it keeps others from computing."""

LAUNCH_US = 2.0
"""From the call of a kernel to its first block, and from its last to its end."""

SHARE_OF_L2 = 0.5
"""That inputs may take up and still be read from memory once."""


def read_bytes(problem: Problem, device: Gpu, of: Columns, together: Floats) -> Floats:
    """Bytes of A and B that come from memory: once where both stay in L2, else once for each wave that meets them.

    `together` is how many blocks a wave has. They go along ORDER (m where there is none) GROUP tiles high: a wave reads
    as many rows of A and columns of B as its tiles span. Source: the super-grouping of Triton's matmul tutorial.
    """
    m, n, k = (problem.dim(letter) for letter in "mnk")
    element = DTYPE_BYTES[str(problem["dtype"])]
    once = float((m * k + k * n) * element)
    if once <= SHARE_OF_L2 * device.l2_bytes:
        return np.full(len(together), once)
    rows, columns = np.ceil(m / of["BLOCK_M"]), np.ceil(n / of["BLOCK_N"])
    along_m = of["ORDER"] == "m" if "ORDER" in of else np.full(len(together), True)
    wave = np.minimum(together, rows * columns)
    group = np.minimum(of["GROUP"], np.where(along_m, rows, columns))
    other = np.minimum(np.ceil(wave / group), np.where(along_m, columns, rows))
    high, wide = np.where(along_m, group, other), np.where(along_m, other, group)
    each = (high * of["BLOCK_M"] + wide * of["BLOCK_N"]) * k * element
    often: Floats = rows * columns / wave * each
    return np.maximum(often, once)
