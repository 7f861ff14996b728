"""The space of cuda_wgmma: which tiles, rings of stages, clusters and shares of the depth a Hopper takes."""

from __future__ import annotations

from ...spaces.expressions import Expr
from ...spaces.functions import ceil_div, in_, max_, min_, where
from ...spaces.parameters import choice, flag, int_range
from ...spaces.space import Space
from ...spaces.symbols import problem, target
from ..limits import MAX_REGISTERS_PER_THREAD
from .layouts import along_k
from .tile_space import add_order

LINE_BYTES = 128
"""Bytes of depth in one swizzled line of shared memory. Source: PTX ISA, 128-byte swizzling."""

SPARE_REGISTERS = 32
"""That a multiplying thread needs beside its sums: addresses, barriers, the loop. From ptxas: 128 sums took 150-160."""

OPERAND_REGISTERS = 26
"""Registers that ptxas 13.0 wants beside the sums of one wgmma, of those at the kernel's start: C7602 otherwise."""

PRODUCER_REGISTERS = 40
"""Of a thread that loads: with 24, the places of tiles in clusters spill."""

WAVES_OF_PARTS = 2
"""Blocks per multiprocessor past which a depth need not be shared out: there are enough without."""

SWAPPED_ROWS = 256
"""Rows of A up to which C may be computed transposed, where nothing else asks for it."""

FRAGMENT_REGISTERS = 16
"""Of two steps of P and two times 64 rows, where it goes through registers; 8 more, whatever their count, keep ptxas
13.0 from spilling."""


def _registers(warpgroups: Expr, resident: Expr) -> tuple[Expr, Expr]:
    """32-bit registers of a thread: as all start, and of those that multiply once the loading ones gave theirs up.

    Both are multiples of 8. Source: PTX ISA, setmaxnreg.
    """
    at_start = target.registers_per_sm // (128 * (warpgroups + 1) * resident) // 8 * 8
    given = (at_start * (warpgroups + 1) - PRODUCER_REGISTERS) // warpgroups // 8 * 8
    return at_start, min_(given, 240)


def wgmma_space() -> Space:
    """All that a config of cuda_wgmma chooses, and why some choices do not go together."""
    s = Space("cuda_wgmma")
    schedule = s.add(choice("SCHEDULE", "cooperative", "pingpong"))
    warpgroups, rows = s.add(choice("WARPGROUPS", 2, 1, 3), choice("ROWS", 1, 2))  # rows: 64s of a warpgroup
    s.require((schedule == "cooperative") | (warpgroups == 2), "two warpgroups take turns")
    widths = (8, 16, 24, 32, 48, 64, 80, 96, 112, *range(128, 257, 8))
    block_n = s.add(choice("BLOCK_N", *widths, default=128))
    swap = s.add(flag("SWAP"))
    p_along_k = where(swap, along_k("b"), along_k("a"))
    in_registers = s.derive("P_IN_REGISTERS", (problem.a_bytes == 4) & ~p_along_k)
    s.require(~swap | in_registers | (problem.m <= SWAPPED_ROWS), "few rows are what transposing C is for")
    block_m = s.derive("BLOCK_M", where(schedule == "pingpong", 64 * rows, 64 * rows * warpgroups))
    s.require(block_m <= 256, "TMA loads no more rows at once")
    high, wide = where(swap, problem.n, problem.m), where(swap, problem.m, problem.n)
    s.require((block_m == 64) | (block_m < 2 * high), "a tile of twice the rows computes padding")
    s.require((block_n == 8) | (block_n < wide + where(wide < 128, 16, 128)), "a wider tile computes padding")
    s.require(
        (problem.dtype != "int8") | (block_n % 16 == 0) | in_(block_n, 8, 24), "an integer wgmma is no such width"
    )

    # 16-bit operands may lie either way round in shared memory, others only along K; tf32's P may come from registers.
    q_along_k = where(swap, along_k("a"), along_k("b"))
    s.require((problem.a_bytes != 4) | q_along_k, "columns of tf32 are read along K: C is to be transposed, or not")
    s.require(q_along_k | (block_n % 16 == 0), "columns come in lines of 32 bytes at least")
    s.derive("Q_LINE_BYTES", where(q_along_k | (block_n % 64 == 0), 128, where(block_n % 32 == 0, 64, 32)))

    block_k, stages = s.add(choice("BLOCK_K", 64, 128, 32, 256), int_range("STAGES", 2, 10, default=4))
    s.require(
        in_(block_k * problem.a_bytes, LINE_BYTES, 2 * LINE_BYTES), "a stage is one or two lines of 128 bytes deep"
    )
    depth = s.derive("depth", ceil_div(problem.k, block_k))
    s.require((stages == 2) | (stages <= depth + 2), "more stages than there are turns stay empty")

    cluster_m, cluster_n = s.add(choice("CLUSTER_M", 1, 2, 4), choice("CLUSTER_N", 1, 2))
    cluster_k, split_k = s.add(int_range("CLUSTER_K", 1, 8), choice("SPLIT_K", 1, 2, 3, 4, 6, 8, 11, 16, 22, 33))
    splits = s.derive("splits", cluster_k * split_k)
    s.require((cluster_k == 1) | (cluster_m * cluster_n == 1), "a cluster shares what it loads or its depth, not both")
    s.require(cluster_m * cluster_n <= 4, "larger clusters find no room")
    s.require((splits == 1) | (schedule == "cooperative"), "blocks that share a tile work on one at a time")
    s.require(
        (cluster_m == 1) | (ceil_div(high, block_m) >= cluster_m), "a cluster is no higher than the grid of tiles"
    )
    s.require((cluster_n == 1) | (ceil_div(wide, block_n) >= cluster_n), "a cluster is no wider than the grid of tiles")
    s.require(~q_along_k | (block_n // cluster_m % 8 == 0), "each block of a cluster loads whole lines of eight rows")
    s.require(splits * 2 <= max_(depth, 2), "a share of the depth is two turns or more")
    clusters = s.derive(
        "clusters", ceil_div(high, block_m * cluster_m) * ceil_div(wide, block_n * cluster_n) * problem.batch
    )
    resident = s.add(choice("RESIDENT", 1, 2, 3))
    s.require(
        (splits == 1) | (clusters * splits <= target.sm_count * resident * WAVES_OF_PARTS),
        "there are enough tiles to fill the chip without sharing out the depth",
    )

    overlap = s.add(flag("OVERLAP", default=True))  # the next products begin before the last ones are done

    at_start, given = _registers(warpgroups, resident)
    sums = rows * block_n // 2
    fragments = where(in_registers, where(overlap, 2, block_k // 16) * FRAGMENT_REGISTERS * rows // 2 + 8, 0)
    s.derive("SETMAXNREG", at_start < MAX_REGISTERS_PER_THREAD - 7)
    s.derive("CONSUMER_REGISTERS", given)
    s.derive("PRODUCER_REGISTERS", PRODUCER_REGISTERS)
    s.require(
        sums + fragments + SPARE_REGISTERS
        <= where(at_start < MAX_REGISTERS_PER_THREAD - 7, given, MAX_REGISTERS_PER_THREAD),
        "a thread's sums, fragments and addresses must fit its registers",
    )
    s.require(
        block_n // 2 + OPERAND_REGISTERS <= at_start,
        "one wgmma's sums must fit the registers that a thread starts with",
    )
    s.require((resident == 1) | (warpgroups + 1) * resident <= 9, "so many threads leave each too few registers")

    store, parts = s.add(choice("STORE", "tma", "reuse", "rows", "direct"), choice("PARTS", 1, 2, 4))
    s.require(
        (store == "direct") | (problem.c_bytes == 2) & ~swap & (cluster_k == 1) & (block_n % (16 * parts) == 0),
        "16-bit tiles go through shared memory, in parts of 16 columns",
    )
    s.require(
        ~in_(store, "tma", "reuse") | (problem.n % 8 == 0) & (split_k == 1), "TMA stores whole tiles of aligned rows"
    )
    s.require((store != "rows") | (problem.n % 8 != 0), "rows that are aligned are left to TMA")
    s.require(in_(store, "tma", "rows") | (parts == 1), "only what waits for its own room is stored in parts")
    s.require(
        (store != "reuse") | (clusters * cluster_m * cluster_n <= target.sm_count * resident),
        "the lines of A are free for C only where a block has one tile",
    )
    stored = s.derive("stored", where(store == "direct", 0, block_n // parts))
    c_line = s.derive("C_LINE_BYTES", where(stored % 64 == 0, 128, where(stored % 32 == 0, 64, 32)))
    s.require(
        (store != "reuse") | (stored * 2 // c_line <= stages * block_k * problem.a_bytes // LINE_BYTES),
        "each line of C takes the room of one of A",
    )
    loaded = s.derive("stage_bytes", (block_m + block_n) * block_k * problem.a_bytes)
    c_row = where(store == "tma", 2 * stored, where(store == "rows", 2 * stored + 16, 0))
    staged = 64 * rows * warpgroups * c_row
    smem = s.derive("smem_bytes", stages * (loaded + 16) + staged + 1024 + 16)
    s.require(smem <= target.smem_per_block_bytes, "the stages of A and B and the part of C must fit shared memory")
    s.require(
        (resident == 1) | ((smem + 1024) * resident <= target.smem_per_block_bytes + 1024),
        "the blocks of a multiprocessor must fit its shared memory",
    )
    received = (cluster_k - 1) * rows * ceil_div(block_n // 8, cluster_k) * 128 * warpgroups * 16
    s.require(received <= stages * loaded, "sums of the cluster's other blocks must fit where tiles were")

    tall, broad = ceil_div(high, block_m * cluster_m), ceil_div(wide, block_n * cluster_n)
    order, group = add_order(s, tall, broad)
    serpentine = s.add(flag("SERPENTINE"))
    # Rules and not conditions: what every count heeds would be two rules over ten parameters each.
    s.require(
        ~serpentine | where(order == "m", (tall > group) & (broad > 1), (broad > group) & (tall > 1)),
        "a single group has nothing to turn back from",
    )
    programs = s.add(choice("PROGRAMS", "all", "eighths", "tiles"))
    s.require(
        (programs == "all") | (splits == 1) & (clusters * cluster_m * cluster_n > target.sm_count * resident),
        "all blocks are there at once: how many stay changes nothing",
    )
    return s
