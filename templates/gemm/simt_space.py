"""What a config of cuda_simt is: its level, its tiles, and what each level adds."""

from __future__ import annotations

from ...spaces.expressions import Expr, Operand, Symbol, as_expr
from ...spaces.functions import ceil_div, in_, max_, min_, where
from ...spaces.parameters import choice, int_range, pow2
from ...spaces.space import Space
from ...spaces.symbols import problem, target
from ..chips import SYSTEM_SMEM_BYTES
from ..limits import (
    ADDRESSING_REGISTERS,
    FULL_WAVES,
    MAX_REGISTERS_PER_THREAD,
    MAX_THREADS_PER_BLOCK,
    MOST_SPLIT_WAVES,
    STATIC_SMEM_BYTES,
    WARP_THREADS,
    WIDE_INDEX_ELEMENTS,
    covers_at_most_twice,
    registers_a_thread_may_have,
    tile_count,
)
from .layouts import largest_array

LEVELS = ("double_buffered", "warp_tile", "vectorised", "registers", "shared", "coalesced", "naive")
"""From the highest down."""

MOST_FOR_SMALL_TILES = 32 * 32
"""Elements of C that a block of one thread an element can have."""

LEAST_TURNS = 4
"""Of a part of K, or its first and last tile are most of it."""

MOST_HELD = 32
"""Floats that a thread waits for at once: they need registers."""


def space() -> Space:
    """For any problem of fp32."""
    s = Space("cuda_simt")
    level = s.add(choice("LEVEL", *LEVELS))
    block_m, block_n = s.add(pow2("BLOCK_M", 1, 256), pow2("BLOCK_N", 1, 256))
    s.require(covers_at_most_twice(block_m, problem.m, 1), "a tile of twice the rows computes padding")
    s.require(covers_at_most_twice(block_n, problem.n, 1), "a tile of twice the columns computes padding")
    s.require((level != "naive") | ((block_m > 1) & (block_n > 1)), "a tile of one row or column has one way to go")
    thread_m, thread_n = s.add(pow2("TM", 1, 16), pow2("TN", 1, 16))  # sums of one thread
    threads = _add_threads(s, level, block_m, block_n, thread_m, thread_n)
    _add_staging(s, level, block_m, block_n, threads)
    _add_warps(s, level, block_m, block_n, thread_m, thread_n)
    _add_buffers(s, level, thread_m, thread_n, threads)
    s.derive("wide_index", largest_array() >= WIDE_INDEX_ELEMENTS)  # of one batch
    return s


def may_split(tiles: Operand, turns: Operand, sm_count: Operand) -> Expr:
    """Whether two blocks or more may share the products of a tile."""
    few = as_expr(tiles) * 2 <= as_expr(sm_count) * MOST_SPLIT_WAVES
    return few & (as_expr(turns) >= 2 * LEAST_TURNS)


def _add_threads(s: Space, level: Expr, block_m: Expr, block_n: Expr, thread_m: Expr, thread_n: Expr) -> Expr:
    several = in_(level, *LEVELS[:4])
    vectors = in_(level, *LEVELS[:3])
    s.require((thread_m <= block_m) & (thread_n <= block_n), "a thread's tile lies in its block's")
    s.require((thread_m * thread_n > 1) == several, "threads of several sums are what level registers is")
    s.require(~vectors | ((thread_m >= 4) & (thread_n >= 4)), "loads of 16 bytes are of four rows or columns")
    threads = s.derive("threads", block_m * block_n // (thread_m * thread_n))
    s.require(threads <= MAX_THREADS_PER_BLOCK, "a block has no more threads")
    elements = as_expr(problem.m) * problem.n
    s.require((threads >= WARP_THREADS) | (elements < WARP_THREADS * WARP_THREADS), "a block fills a warp")
    s.require(
        several | (block_m * block_n >= 64) | (elements < MOST_FOR_SMALL_TILES),
        "blocks of one warp leave half of a multiprocessor idle",
    )
    tiles = tile_count(problem.m, problem.n, block_m, block_n) * problem.batch
    s.require(
        ~several | (block_m * block_n >= 64 * 64) | (tiles <= target.sm_count * FULL_WAVES),
        "small tiles read more than they compute, and so many are not needed to fill the chip",
    )
    s.require(
        thread_m * thread_n + thread_m + thread_n + ADDRESSING_REGISTERS
        <= registers_a_thread_may_have(max_(threads // WARP_THREADS, 1), target.registers_per_sm),
        "a thread's sums, operands and addresses must fit its registers",
    )
    return threads


def _add_staging(s: Space, level: Expr, block_m: Expr, block_n: Expr, threads: Expr) -> None:
    """Tiles of A and B in shared memory, their order, and parts of K; or how far the loop over K is unrolled."""
    vectors = in_(level, *LEVELS[:3])
    block_k, pad, group, split, unroll = s.add(
        pow2("BLOCK_K", 4, 64, default=16),
        choice("PAD", 0, 4),  # floats between the rows of a staged tile: other banks, and still aligned to 16 bytes
        pow2("GROUP", 1, 8),  # rows of tiles that share B in L2
        pow2("SPLIT_K", 1, 16),  # blocks that share the products of a tile
        pow2("UNROLL", 1, 8),  # turns of the loop over K
    )
    staged = in_(level, *LEVELS[:5])
    s.when(staged, [block_k, pad, group])
    tiles = tile_count(problem.m, problem.n, block_m, block_n) * problem.batch
    turns = ceil_div(problem.k, block_k)
    s.when(staged & may_split(tiles, turns, target.sm_count), split)
    s.when(~staged, unroll)
    s.require(covers_at_most_twice(block_k, problem.k, 4), "a tile of twice the depth computes padding")
    turned = in_(problem.layout, "nn", "nt", "tt")
    s.require(~vectors | ((pad == 4) == turned), "rows apart are for what is turned: without, its stores meet in banks")
    s.require((unroll == 1) | (unroll <= problem.k), "unrolling deeper than K does nothing")
    s.require((group == 1) | (group <= tile_count(problem.m, 1, block_m, 1)), "a group is no higher than the grid")
    s.require((group == 1) | (problem.n > block_n), "a single column of tiles has one order")
    s.require(
        (split == 1) | (tiles * split <= target.sm_count * MOST_SPLIT_WAVES),
        "so many parts are not needed to fill the chip",
    )
    s.require((split == 1) | (split * LEAST_TURNS <= turns), "each part of K has a few turns")
    loads = (block_m + block_n) * block_k
    s.require(loads >= threads, "most threads would load nothing")
    s.require(loads <= threads * MOST_HELD, "so many loads of one thread wait in its registers")
    tile_bytes = s.derive("tile_bytes", (block_m + block_n + 2 * pad) * block_k * 4)
    s.require(tile_bytes <= STATIC_SMEM_BYTES, "tiles declared in the source must fit what every block may have")


def _add_warps(s: Space, level: Expr, block_m: Expr, block_n: Expr, thread_m: Expr, thread_n: Expr) -> None:
    """Lanes of a warp along M; the other side has the rest of the 32."""
    lanes_m = s.add(choice("LANES_M", 8, 4, 16, 2))
    s.when(in_(level, *LEVELS[:2]), lanes_m)
    s.require(lanes_m * thread_m <= block_m, "a warp's rows lie in its block's")
    s.require(WARP_THREADS // lanes_m * thread_n <= block_n, "a warp's columns lie in its block's")
    rows, columns = lanes_m * thread_m, WARP_THREADS // lanes_m * thread_n
    s.require((rows <= columns * 4) & (columns <= rows * 4), "a long warp tile reads more than a square one")


def _add_buffers(s: Space, level: Expr, thread_m: Expr, thread_n: Expr, threads: Expr) -> None:
    """How the next tile comes, how many are on their way, and blocks that a multiprocessor is to hold."""
    copy, stages, blocks = s.add(
        choice("COPY", "registers", "async"), int_range("STAGES", 2, 5), pow2("BLOCKS_PER_SM", 1, 4)
    )
    s.when(level == "double_buffered", [copy, stages, blocks])
    s.require((copy == "async") | (stages == 2), "what waits in registers has one tile to go to")
    s.require((copy == "registers") | (target.arch != "sm_75"), "asynchronous copies came with sm_80")
    block_k, tile_bytes = Symbol("BLOCK_K"), Symbol("tile_bytes")
    s.require(
        (block_k >= 8) | (as_expr(problem.k) <= 4), "a turn of four steps waits at its barrier more than it computes"
    )
    s.require((stages == 2) | (stages <= ceil_div(problem.k, block_k)), "stages past the end of K stay empty")
    smem = s.derive("stages_bytes", tile_bytes * stages)
    s.require(
        (smem + SYSTEM_SMEM_BYTES) * blocks <= target.smem_per_block_bytes + SYSTEM_SMEM_BYTES,
        "the stages of all blocks must fit shared memory",
    )
    held = where(copy == "registers", tile_bytes // (threads * 4), 0)
    s.require(
        thread_m * thread_n + 2 * (thread_m + thread_n) + held + ADDRESSING_REGISTERS
        <= min_(MAX_REGISTERS_PER_THREAD, target.registers_per_sm // (max_(threads, WARP_THREADS) * blocks)),
        "sums, operands of two steps, what waits and addresses must fit a thread's registers",
    )
    s.require((blocks == 1) | (threads * blocks <= 1024), "so many warps have too few registers each")
    s.require(
        (threads * blocks >= 128) | (as_expr(problem.m) * problem.n < 64 * 64),
        "each of the four schedulers of a multiprocessor needs a warp",
    )
