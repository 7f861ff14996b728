"""The space of cuda_skinny: how the long side and K are shared out, and how weights come in."""

from __future__ import annotations

from ...spaces.expressions import Expr, Symbol
from ...spaces.functions import ceil_div, in_, max_, min_, where
from ...spaces.parameters import choice, pow2
from ...spaces.space import Space
from ...spaces.symbols import problem, target
from ..limits import FULL_WAVES, WARP_THREADS, covers_at_most_twice, registers_a_thread_may_have
from .layouts import along_k

WITH_TMA = ("sm_90", "sm_100", "sm_103", "sm_110", "sm_120", "sm_121")
"""Chips with bulk copies and clusters. Source: PTX ISA, cp.async.bulk and barrier.cluster."""

TMA_ROWS = 256
"""In a box. Source: cuTensorMapEncodeTiled."""

UNIT_BYTES, LINE_BYTES, STEP_BYTES = 64, 128, 32
"""Of a row of weights: what four lanes load at once, what a row of a tile holds, what one mma takes."""

TAIL_BYTES, BOX_ALIGNMENT = 256, 1024
"""Behind the tiles: barriers of up to 12 stages and a flag. And what a box swizzled by 128 bytes is aligned to."""

OTHER_REGISTERS = 44
"""Of a thread, beside sums, loads and fragments: bases, counters, masks."""

MOST_COPIES = 16
"""Of 16 bytes, that one thread starts for a stage: more addresses fill its registers."""

SPLITS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 16, 18, 20, 22, 24, 28, 32)
STAGES = (1, 2, 3, 4, 5, 6, 8, 10, 12)


def space() -> Space:
    """Parameters and constraints, for any problem; what does not fit a template is refused elsewhere."""
    s = Space("cuda_skinny")
    _sides(s)
    side, tokens, token_tiles = Symbol("long_side"), Symbol("token_count"), Symbol("token_tiles")
    loads = s.add(choice("LOADS", "direct", "tma", "async"))
    s.require((loads != "tma") | in_(target.arch, *WITH_TMA), "TMA came with sm_90")
    tiles, warps_l, warps_k = s.add(pow2("TILES", 1, 8), pow2("WARPS_L", 1, 16), pow2("WARPS_K", 1, 16))
    warps = warps_l * warps_k
    s.require((warps >= 2) & (warps <= 16), "a block has 2 to 16 warps that multiply")
    rows = s.derive("rows", tiles * warps_l * 16)
    s.require(covers_at_most_twice(rows, side, 32), "a strip of twice the rows computes padding")
    s.require((loads != "tma") | (rows <= TMA_ROWS), "a box has at most 256 rows")
    s.derive("threads", warps * WARP_THREADS + where(loads == "tma", WARP_THREADS, 0))

    split = s.add(choice("SPLIT", *SPLITS))
    strips = s.derive("strips", ceil_div(side, rows))
    s.require(
        (split == 1) | (strips * split <= target.sm_count * FULL_WAVES), "more blocks do not fill the chip better"
    )
    s.require(
        (split == 1) | (tokens * split * 8 <= problem.k * problem.b_bytes),
        "partial sums, written and read again, are fewer bytes than the weights",
    )
    reduce, order = s.add(choice("REDUCE", "grid", "cluster"), choice("ORDER", "k", "l"))
    s.when(split > 1, reduce)
    s.when((split > 1) & (reduce == "grid") & (strips > 1), order)
    s.require(
        (reduce == "grid") | in_(target.arch, *WITH_TMA) & in_(split, 2, 4, 8),
        "clusters have 2, 4 or 8 blocks, from sm_90 on",
    )

    stages, block_k = s.add(choice("STAGES", *STAGES), pow2("BLOCK_K", 64, 256))
    s.when(loads != "direct", block_k)
    _depth(s, loads, warps_k, split, stages, block_k)
    tokens_in = s.add(choice("TOKENS", "shared", "global"))  # memory that the short side is read from
    s.require(
        (tokens_in == "shared") | (loads == "direct") & Symbol("tokens_along_k") & (token_tiles <= 2),
        "tokens can stay in global memory where they are few, contiguous along K, and weights go straight to registers",
    )
    s.add(choice("L2_FETCH", 0, 128, 256), choice("EVICT", "normal", "first"))

    sums = tiles * token_tiles * 4
    near = where(tokens_in == "global", stages * token_tiles * 4, token_tiles * 4)
    # Registers are allotted to four warps at a time: the one that fetches costs as much as four.
    allotted = ceil_div(warps + where(loads == "tma", 1, 0), 4) * 4
    held = where(loads == "direct", stages * tiles * 8 + near, tiles * 4 + token_tiles * 2)
    s.require(
        sums + held + OTHER_REGISTERS <= registers_a_thread_may_have(allotted, target.registers_per_sm),
        "sums and loads in flight must fit a thread's registers",
    )
    _memory(s, loads, warps_k, split, stages, block_k, tokens_in)
    return s


def _sides(s: Space) -> None:
    """Which operand is the weights, and how both lie."""
    swapped = problem.m > problem.n
    s.derive("swapped", swapped)
    s.derive("long_side", max_(problem.m, problem.n))
    tokens = s.derive("token_count", min_(problem.m, problem.n))
    s.derive("token_tiles", where(tokens <= 8, 1, where(tokens <= 16, 2, where(tokens <= 32, 4, 8))))
    s.derive("weights_along_k", where(swapped, along_k("a"), along_k("b")))
    # A single token is contiguous either way.
    s.derive("tokens_along_k", where(swapped, along_k("b"), along_k("a")) | (tokens == 1))


def _depth(s: Space, loads: Symbol, warps_k: Symbol, split: Symbol, stages: Symbol, block_k: Symbol) -> None:
    """How K is gone through: units of 64 bytes a warp, or stages of BLOCK_K a block."""
    units = ceil_div(problem.k * problem.b_bytes, UNIT_BYTES)
    most = s.derive("most_units", ceil_div(units, split))
    together = warps_k * stages
    reach = s.derive("reach_units", ceil_div(most, together) * together)
    s.require(split <= units, "each share has something of K")
    s.require(
        (loads != "direct") | (reach * 4 <= most * 5) | (together == 1), "rounds that reach past a share load nothing"
    )
    s.require((loads != "direct") | (stages <= 8), "a thread holds no more loads")
    s.require((loads == "direct") | (stages >= 2), "a ring has two stages")
    tile = (Symbol("rows") + Symbol("token_tiles") * 8) * block_k * problem.b_bytes
    s.require(
        (loads != "async") | (tile <= Symbol("threads") * 16 * MOST_COPIES), "a thread copies few pieces of a stage"
    )
    s.require(block_k * problem.b_bytes >= LINE_BYTES, "a row of a tile is 128 bytes")
    s.require(block_k * problem.b_bytes >= STEP_BYTES * warps_k, "each warp has a product in a stage")
    s.require((stages == 2) | (block_k * (stages - 1) < ceil_div(problem.k, split)), "stages past the end stay empty")
    s.require(split <= ceil_div(problem.k, block_k), "each share has a stage")


def _memory(
    s: Space, loads: Symbol, warps_k: Symbol, split: Symbol, stages: Symbol, block_k: Symbol, tokens_in: Symbol
) -> None:
    """Shared memory: tiles first, then the sums of all warps in their place, and barriers behind both."""
    swapped, rows, tokens = Symbol("swapped"), Symbol("rows"), Symbol("token_count")
    token_rows = Symbol("token_tiles") * 8
    pitch = where(swapped, token_rows + where(token_rows == 8, 0, 8), rows + 4)
    sums: Expr = warps_k * where(swapped, rows, tokens) * pitch * 4
    staged = where(Symbol("tokens_along_k"), tokens, token_rows) * (Symbol("reach_units") + 1) * UNIT_BYTES
    direct = s.derive("direct_bytes", max_(sums, where(tokens_in == "global", 0, staged)))
    ring = s.derive("ring_bytes", max_(sums, stages * (rows + token_rows) * block_k * problem.b_bytes))
    most = target.smem_per_block_bytes - TAIL_BYTES - BOX_ALIGNMENT
    s.require((loads != "direct") | (direct <= most), "tokens of a share, and sums, must fit a block's shared memory")
    s.require(ring <= most, "the stages, and sums, must fit a block's shared memory")
    groups = where(swapped, rows * ceil_div(tokens, 4), tokens * rows // 4)
    s.derive("partial_bytes", Symbol("strips") * split * groups * 16)
