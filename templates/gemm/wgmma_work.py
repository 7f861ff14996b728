"""What a config of cuda_wgmma does: the analytic model's part for tiles that warpgroups multiply from shared memory.

Numbers that are called fitted: to 3,164 times of 39 problems on an H200 (2026-11-23). Of the best config known, the
first by this model reached .904, the best of its first three .966; .799 and .859 with what clusters promise on paper.
"""

from __future__ import annotations

import numpy as np

from ...spaces.problems import DTYPE_BYTES, Problem
from ...spaces.targets import Gpu, Target
from ..chips import SMEM_BYTES_A_CLOCK, multiprocessor
from ..columns import Columns
from ..roofline import Work
from .operands import LINE_BYTES, copies_bytes, operands
from .tile_work import LAUNCH_US, LOAD_CLOCKS, START_CLOCKS, START_SHARE, TURN_CLOCKS, read_bytes

ROOM_FOR_CLUSTERS = (1.0, 1.0, 0.886, 0.909, 0.833, 0.773, 0.795, 0.909)
"""Share of the multiprocessors that clusters of 1 to 8 blocks find room on: not all of a chip's groups have as many.
Source: cuOccupancyMaxActiveClusters on an H200 (132, 66, 39, 30, 22, 17, 15, 15 clusters), 2026-11-23."""

CLUSTER_CLOCKS = 4000.0
"""Of two barriers of a cluster and what its blocks send each other. Fitted."""

MULTICAST_SAVES = 0.3
"""Of the loads that blocks of a cluster have in common; most of what is to be saved L2 saves without. Fitted."""

TURN_IN_PAIRS, TURN_IN_FOURS = 1.08, 1.53
"""How much longer a turn takes where so many blocks wait for each other. Fitted."""

SUM_CLOCKS, DIRECT_SUM_CLOCKS = 10.0, 40.0
"""To store a column of 64 rows: through shared memory, and from registers. Fitted."""

UNALIGNED_LOADS = 0.9
"""So much more a load costs whose rows do not begin at whole lines. Fitted."""


def work(problem: Problem, target: Target, of: Columns) -> Work:
    """Of many configs."""
    assert isinstance(target.device, Gpu)
    device = target.device
    element, out = DTYPE_BYTES[str(problem["dtype"])], DTYPE_BYTES[str(problem["out_dtype"])]
    names = ("BLOCK_M", "BLOCK_N", "BLOCK_K", "STAGES", "CLUSTER_M", "CLUSTER_N", "RESIDENT", "depth", "splits", "ROWS")
    bm, bn, bk, stages, cm, cn, resident, depth, splits, rows = (of[name].astype(np.float64) for name in names)
    clusters, pingpong = of["clusters"].astype(np.float64), of["SCHEDULE"] == "pingpong"
    blocks = clusters * cm * cn * splits
    cluster = (cm * cn * of["CLUSTER_K"]).astype(int)
    resident = resident * np.array(ROOM_FOR_CLUSTERS)[cluster - 1]
    turns = np.ceil(depth / splits)
    rate = multiprocessor(device).tensor_flops * 2.0 / element
    products = 2 * bm * bn * bk / rate
    read = (bm + bn * bm / 64) * bk * element / SMEM_BYTES_A_CLOCK  # each 64 rows read all columns again
    pace = np.array([1.0, TURN_IN_PAIRS, TURN_IN_FOURS, TURN_IN_FOURS])[(cm * cn).astype(int) - 1]
    turn = (np.maximum(products, read) + TURN_CLOCKS / 2) * pace
    loads = (bm * (1 - MULTICAST_SAVES * (1 - 1 / cn)) + bn * (1 - MULTICAST_SAVES * (1 - 1 / cm))) * bk * element
    loads *= 1.0 + UNALIGNED_LOADS * np.mean([x.row_bytes % LINE_BYTES != 0 for x in operands(problem)])
    # A block that stays loads its next tile while it stores; with pingpong it multiplies too.
    stays = np.ceil(blocks / (device.sm_count * resident)) > 1
    a_sum = np.where(of["STORE"] == "direct", DIRECT_SUM_CLOCKS, SUM_CLOCKS)
    ends = START_CLOCKS * np.where(stays & pingpong, START_SHARE, 1.0) + a_sum * rows * bn
    shared = np.where(splits > 1, CLUSTER_CLOCKS, 0.0)
    paced = np.maximum((LOAD_CLOCKS + turn) / stages, turn)
    stored = blocks * bm * bn * out
    partial = np.where(of["SPLIT_K"] > 1, 2.0 * blocks * bm * bn * 4, 0.0)
    square = {**of, "BLOCK_M": bm * cm, "BLOCK_N": bn * cn}
    inputs = read_bytes(problem, device, square, np.maximum(device.sm_count * resident / (cm * cn), 1.0))
    copied = sum(copies_bytes(*operands(problem, aligned=True)).values())
    return Work(
        blocks=blocks,
        resident=resident,
        core_clocks=turns * turn + ends * START_SHARE + shared,
        wait_clocks=ends + LOAD_CLOCKS + turns * paced + shared,
        shared_bytes=blocks * turns * loads + stored + partial,
        dram_bytes=inputs + stored,
        before_us=np.full(len(blocks), LAUNCH_US + 2.0 * copied / (device.bandwidth_gbs * 1e3)),
    )
