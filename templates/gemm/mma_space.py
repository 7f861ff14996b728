"""The space of cuda_mma: tiles, warps, the pipeline, shares of K, and what each needs of a multiprocessor."""

from __future__ import annotations

from ...spaces.expressions import Expr, Operand, Symbol, as_expr
from ...spaces.functions import max_, where
from ...spaces.parameters import choice, int_range, pow2
from ...spaces.space import Space
from ...spaces.symbols import problem, target
from ..chips import SYSTEM_SMEM_BYTES
from ..limits import (
    ADDRESSING_REGISTERS,
    MAX_REGISTERS_PER_THREAD,
    MOST_PARTIAL_BYTES,
    MOST_SPLIT_WAVES,
    WARP_THREADS,
    registers_a_thread_may_have,
    staged_smem_bytes,
)
from .layouts import along_k, row_bytes, unaligned
from .tile_space import add_order, require_large

CHUNK_BYTES, LINE_BYTES = 16, 128
"""What one cp.async moves at most; and a line of memory."""

STEP_BYTES = 32
"""Of K, that one mma multiplies, whatever the type. Source: PTX ISA, mma.m16n8k8 of tf32, k16 and k32."""

SHARES = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64)
"""Of K, that blocks of one tile of C take."""

COPY_THREADS, COPY_TURNS = 256, 4
"""Of a block that copies rows: words of 4 bytes, independent in one thread."""


def space() -> Space:
    """For every problem and target; what depends on either is said in symbols."""
    s = Space("cuda_mma")
    sizes = (16, 32, 64, 96, 128, 192, 256)
    block_m, block_n = s.add(choice("BLOCK_M", *sizes, default=128), choice("BLOCK_N", *sizes, default=128))
    a_rows, b_rows = where(_dealt("a"), 32, 16), where(_dealt("b"), 32, 16)  # that are loaded together
    s.require((block_m == a_rows) | (block_m < problem.m * 2), "a tile of twice the rows computes padding")
    s.require((block_n == b_rows) | (block_n < problem.n * 2), "a tile of twice the columns computes padding")
    rows, columns = -(-problem.m // block_m), -(-problem.n // block_n)
    tiles = rows * columns * problem.batch
    require_large(s, block_m * block_n, tiles)
    warps_m, warps_n = s.add(pow2("WARPS_M", 1, 8, default=2), pow2("WARPS_N", 1, 8, default=2))
    warps = warps_m * warps_n
    s.require(block_m % (warps_m * a_rows) == 0, "a warp has whole products of 16 rows, or pairs of them")
    s.require(block_n % (warps_n * b_rows) == 0, "a warp has 16 columns, or 32, as they are loaded")
    s.require(warps <= 16, "more warps than 16 leave each too few registers")
    threads = s.derive("threads", warps * WARP_THREADS)
    block_k, stages = s.add(pow2("BLOCK_K", 8, 256, default=32), int_range("STAGES", 2, 6, default=3))
    k_bytes = block_k * problem.a_bytes
    s.require((k_bytes >= STEP_BYTES) & (k_bytes <= 2 * LINE_BYTES), "a turn multiplies 32 bytes of K at a time")
    s.require((k_bytes == STEP_BYTES) | (block_k < problem.k * 2), "a tile of twice the depth computes padding")
    a_row, b_row = row_bytes("a", block_m, block_k), row_bytes("b", block_n, block_k)
    for row in (a_row, b_row):
        s.require(threads * CHUNK_BYTES % row == 0, "the threads copy whole rows of a tile at a time")
    s.require((block_m + block_n) * k_bytes >= threads * CHUNK_BYTES, "most threads would copy nothing")
    # How far fragments are loaded ahead; and blocks for which a multiprocessor has registers and shared memory.
    fragments, resident = s.add(choice("FRAGMENTS", "single", "double", "across"), int_range("RESIDENT", 1, 4))
    s.require((fragments == "single") | (k_bytes > STEP_BYTES), "a single step has no next one to load meanwhile")
    s.require(
        (resident == 1) | (threads * resident * MAX_REGISTERS_PER_THREAD > target.registers_per_sm),
        "so many blocks fit with all the registers that a thread can name",
    )
    _limit_registers(s, block_m // warps_m, block_n // warps_n, warps, fragments, resident)
    turns = -(-problem.k // block_k)
    s.require((stages == 2) | (stages <= turns), "stages past the end of K stay empty")
    sum_up = _add_split(s, tiles, turns, block_m * block_n)
    smem = _add_store(s, sum_up, block_m, block_n, block_k, stages)
    s.require(
        (smem + SYSTEM_SMEM_BYTES) * resident <= target.smem_per_block_bytes + SYSTEM_SMEM_BYTES,
        "the stages of A and B, and C, must fit shared memory",
    )
    add_order(s, rows, columns)
    way = s.add(choice("UNALIGNED", "copy", "direct"))
    s.when(unaligned("a") | unaligned("b"), way)
    s.derive("COPY_THREADS", COPY_THREADS)
    s.derive("COPY_TURNS", COPY_TURNS)
    return s


def _dealt(name: str) -> Expr:
    """Whether an operand is loaded as it lies, since ldmatrix turns elements of 16 bits only: 32 rows at a time."""
    return ~along_k(name) & (problem.a_bytes != 2)


def _limit_registers(
    s: Space, rows: Operand, columns: Operand, warps: Operand, fragments: Symbol, resident: Symbol
) -> None:
    """Of a thread of `resident` blocks of `warps`, each with `rows` x `columns` of C.

    It has sums, and fragments of 4 registers for 16 rows and 2 for 8 columns.
    """
    rows, columns = as_expr(rows), as_expr(columns)
    sums = rows * columns // WARP_THREADS
    parts = (rows + columns) // 4 * where(fragments == "single", 1, 2)
    split = where(problem.dtype == "tf32x3", (rows + columns) // 4, 0)  # halves of numbers; and 8 bits as fp16
    unpacked = where((problem.a_bytes == 1) & (problem.dtype != "int8") & (target.arch == "sm_90"), columns // 2 + 8, 0)
    needed = sums + parts + split + unpacked + ADDRESSING_REGISTERS * where(resident == 1, 1, 2)  # or they would spill
    s.require(
        needed <= registers_a_thread_may_have(as_expr(warps) * resident, target.registers_per_sm),
        "a thread's sums, fragments and addresses must fit its registers",
    )
    s.require(sums >= 8, "a warp needs at least two products a step")


def _add_split(s: Space, tiles: Expr, turns: Expr, tile: Expr) -> Symbol:
    split, sum_up = s.add(choice("SPLIT_K", *SHARES), choice("SUM_UP", "last", "kernel"))
    s.when(split > 1, sum_up)
    s.require((split - 1) * -(-turns // split) < turns, "each share of K has a turn")
    s.require(
        (split == 1) | (tiles * split <= target.sm_count * MOST_SPLIT_WAVES),
        "so many shares are not needed to fill the chip",
    )
    s.require(
        (split == 1) | (tiles * tile * split * 4 <= MOST_PARTIAL_BYTES), "partial sums must stay near the L2 cache"
    )
    return sum_up


def _add_store(s: Space, sum_up: Symbol, block_m: Symbol, block_n: Symbol, block_k: Symbol, stages: Symbol) -> Symbol:
    """Straight from the registers, or through shared memory in whole lines."""
    store = s.add(choice("STORE", "direct", "staged"))
    s.require((sum_up == "last") | (store == "direct"), "the kernel that adds up has no tile in shared memory")
    s.require(
        (store == "direct") | (problem.n * problem.c_bytes % CHUNK_BYTES == 0),
        "rows of C begin at multiples of 16 bytes where they are stored in whole lines",
    )
    pad = where(problem.c_bytes == 4, 32, 16)
    inputs = staged_smem_bytes(block_m, block_n, block_k, stages, stages, problem.a_bytes)
    smem = s.derive(
        "smem_bytes", max_(inputs, where(store == "staged", block_m * (block_n * problem.c_bytes + pad), 0))
    )
    return smem
