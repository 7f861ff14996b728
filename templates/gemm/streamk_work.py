"""What a config of triton_streamk does: the analytic model's part for tiles of which the last ones are shared out.

Each program does the same number of turns; a few add up the partial sums of a tile. Nothing of that was fitted: no
times of this template are known yet.
"""

from __future__ import annotations

import numpy as np

from ...spaces.problems import Problem
from ...spaces.targets import Gpu, Target
from ..columns import Columns
from ..roofline import SHARED_BYTES_A_CLOCK, Work
from .splitk_work import ARRIVAL_CLOCKS, whole_tiles


def work(problem: Problem, target: Target, of: Columns) -> Work:
    """Of many configs."""
    assert isinstance(target.device, Gpu)
    tiled = whole_tiles(problem, target, of)
    programs, streamed = of["programs"].astype(np.float64), of["streamed"].astype(np.float64)
    tile_bytes = of["BLOCK_M"] * of["BLOCK_N"] * 4.0
    # A streamed tile's sums come from as many programs as its turns reach into; each writes two such parts at most.
    parts = np.minimum(2 * programs, programs + streamed)
    met = parts / streamed
    stored = 2 * tile_bytes / SHARED_BYTES_A_CLOCK["gpu"]
    adding = ARRIVAL_CLOCKS + met * tile_bytes / SHARED_BYTES_A_CLOCK["gpu"]
    share = tiled.blocks / programs  # tiles a program does in all
    return Work(
        blocks=programs,
        resident=of["PER_SM"].astype(np.float64),
        core_clocks=tiled.core_clocks * share + (stored + adding) / 2,
        wait_clocks=tiled.wait_clocks * share + stored + adding,
        shared_bytes=tiled.shared_bytes + 2 * parts * tile_bytes,
        dram_bytes=tiled.dram_bytes,
        before_us=tiled.before_us,
    )
