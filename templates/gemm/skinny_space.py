"""The configs of triton_skinny: strips of the streamed operand, how they are multiplied, and who shares one."""

from __future__ import annotations

from ...spaces.expressions import Expr
from ...spaces.functions import ceil_div, in_, max_, min_, where
from ...spaces.parameters import choice, int_range, pow2
from ...spaces.space import Space
from ...spaces.symbols import problem, target
from ..limits import (
    ADDRESSING_REGISTERS,
    MIN_SUMS_PER_WARP,
    WARP_THREADS,
    WIDE_INDEX_ELEMENTS,
    WITHOUT_TMA,
    staged_smem_bytes,
    sums_per_thread,
)
from ..tensor_map import ALIGNED_BYTES, MAX_BOX_DIM
from . import layouts
from .epilogue import SCALED_BLOCK

MOST_THIN = 64
"""Rows or columns up to which a product costs what the other operand's bytes cost."""

MOST_VECTORS = 8
"""Up to which the ordinary cores keep up with memory: 8 multiplications for each element that is streamed."""

MOST_ELEMENTS = 160
"""Of a thread that multiplies vectors: elements of its tile, and sums of them, in 32-bit registers."""

MOST_LOOSE = 64
"""Elements of a turn that a thread holds in a register each: with 128 of 8 bits it spilled 800 bytes and more (Triton
3.6.0 for sm_90, 2026-11-23, from ptxas)."""

MOST_WAVES, MOST_VECTOR_WAVES = 8, 16
"""Programs a multiprocessor past which K needs no more parts."""

SPLITS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 16, 20, 22, 24, 28, 32, 33, 44, 48, 64, 66)
"""Powers of two, and what fills 108, 132 or 148 multiprocessors with a few strips."""

BARRIER_BYTES = 2048
"""Shared memory at most, beside the stages: barriers, and where a descriptor's tiles are aligned."""


def space() -> Space:
    """Of any problem the template supports."""
    s = Space("triton_skinny")
    of_n = problem.m <= problem.n  # the streamed operand is B
    wide, thin = where(of_n, problem.n, problem.m), min_(problem.m, problem.n)
    along_k = where(of_n, layouts.along_k("b"), layouts.along_k("a"))
    # What a dot multiplies: the strip from the left, 64 rows by four warps, or from the right; or no dot at all.
    product = s.add(choice("PRODUCT", "wide", "thin", "vector"))
    vector = product == "vector"
    s.require(~vector | (thin <= MOST_VECTORS), "more rows than the ordinary cores multiply as fast as memory reads")
    s.require(~vector | (problem.scales != "block128"), "scales of blocks belong to turns of a dot")
    # fp32 in full has no tensor core, which alone needs a power of two.
    padded = where(thin <= 8, 8, where(thin <= 16, 16, where(thin <= 32, 32, 64)))
    thin_block = s.derive("thin_block", where(vector, thin, where(product == "thin", max_(padded, 16), padded)))

    block_w, block_k, num_warps = s.add(
        pow2("BLOCK_W", 1, 256, default=64), pow2("BLOCK_K", 16, 4096, default=128), pow2("num_warps", 1, 16, default=4)
    )
    num_stages = s.add(int_range("num_stages", 1, 8, default=4))
    smallest_w = where(vector, 1, 16)
    s.require(block_w >= smallest_w, "a dot takes 16 rows or columns at least")
    s.require((block_w == smallest_w) | (block_w < wide * 2), "a strip of twice the width is padding")
    smallest_k = where(problem.a_bytes == 1, 32, 16)
    s.require(block_k >= smallest_k, "a dot takes 32 bytes of K at least")
    s.require((block_k == smallest_k) | (block_k < problem.k * 2), "a tile of twice the depth is padding")
    row_bytes = where(along_k, block_k, block_w) * problem.a_bytes  # of a tile of the strip, as it lies in memory
    row = where(along_k, problem.k, wide) * problem.a_bytes
    s.require((row_bytes >= 32) | (row_bytes >= row), "memory reads 32 bytes at a time")
    turns = ceil_div(problem.k, block_k)

    split = _add_split(s, vector, wide, block_w, turns, thin_block)
    s.require(num_stages <= ceil_div(turns, split), "stages past the end of a part of K stay empty")
    _require_room(s, vector, product, block_w, block_k, num_warps, num_stages, thin_block, ceil_div(turns, split))
    _add_loads(s, vector, of_n, along_k, row, block_w, block_k, thin_block, num_warps, num_stages)
    s.derive("wide_index", layouts.largest_array() * problem.batch >= WIDE_INDEX_ELEMENTS)
    return s


def _add_split(s: Space, vector: Expr, wide: Expr, block_w: Expr, turns: Expr, thin_block: Expr) -> Expr:
    """Parts of K, and the order of programs: all strips' first parts first, or all parts of a strip."""
    split, order = s.add(choice("SPLIT", *SPLITS), choice("ORDER", "tiles", "parts"))
    s.when(turns > 1, split)
    strips = ceil_div(wide, block_w)
    s.when((split > 1) & (strips > 1), order)
    s.require(split <= turns, "each part is a turn of the loop over K at least")
    waves = where(vector, MOST_VECTOR_WAVES, MOST_WAVES)
    s.require(
        (split == 1) | (strips * problem.batch * split <= target.sm_count * waves),
        "so many parts are not needed to fill the chip",
    )
    s.require(
        (split == 1) | (split * thin_block * 16 <= problem.k * problem.a_bytes),
        "partial sums, written and read, must be fewer bytes than half of what is streamed",
    )
    return split


def _require_room(
    s: Space,
    vector: Expr,
    product: Expr,
    block_w: Expr,
    block_k: Expr,
    num_warps: Expr,
    num_stages: Expr,
    thin_block: Expr,
    turns: Expr,
) -> None:
    """What a thread's registers and a block's shared memory hold; `turns` are those of one part."""
    summed = s.add(choice("SUMMED", "end", "turn"))  # along K: what a thread added up, at the end; or each turn's tile
    s.when(vector & (turns > 1), summed)
    each = ceil_div(block_w * block_k, num_warps * WARP_THREADS)  # elements of a thread
    s.require(
        ~vector | (block_w * block_k >= num_warps * WARP_THREADS) | ((num_warps == 1) & (block_w == 1)),
        "a thread without an element does nothing",
    )
    s.require(
        ~vector | (each * (1 + where(summed == "end", thin_block, 2)) <= MOST_ELEMENTS),
        "a thread's elements and sums must fit its registers",
    )
    s.require(vector | (block_k <= 1024), "a dot of a deeper tile is a long program")
    sums = sums_per_thread(block_w, thin_block, num_warps)
    s.require(vector | (sums + ADDRESSING_REGISTERS <= 160), "a thread's sums and addresses must fit its registers")
    s.require(
        vector | (block_w * thin_block >= num_warps * MIN_SUMS_PER_WARP // 2) | ((num_warps <= 4) & (block_w >= 64)),
        "a warp needs a tensor-core tile of work at least",
    )
    s.require(
        vector | (problem.scales != "block128") | (block_k <= SCALED_BLOCK), "a turn multiplies what shares a scale"
    )
    staged = staged_smem_bytes(block_w, thin_block, block_k, num_stages, num_stages, problem.a_bytes)
    smem = s.derive("smem_bytes", where(vector & (num_stages == 1), 0, staged + BARRIER_BYTES))
    s.require(smem <= target.smem_per_block_bytes, "the stages of A and B must fit a block's shared memory")
    s.require(vector | (num_stages >= 2) | (turns == 1), "loads of a dot wait for each other without stages")


def _add_loads(
    s: Space,
    vector: Expr,
    of_n: Expr,
    along_k: Expr,
    row: Expr,
    block_w: Expr,
    block_k: Expr,
    thin_block: Expr,
    num_warps: Expr,
    num_stages: Expr,
) -> None:
    """Descriptors of both operands, of the streamed one, or pointers; and what caches keep of it."""
    loads, eviction = s.add(choice("LOADS", "tma", "mixed", "pointer"), choice("EVICTION", "none", "first"))
    by_tma = s.derive("by_tma", loads != "pointer")
    s.when(vector & (num_stages == 1), eviction)  # asynchronous copies have no such hint: PTX of Triton 3.6
    s.require(~vector | (loads != "tma"), "a vector is loaded by pointers, beside whatever tile")
    thin_along_k = where(of_n, layouts.along_k("a"), layouts.along_k("b"))
    thin_row = where(thin_along_k, problem.k, min_(problem.m, problem.n)) * problem.a_bytes
    least = 2 * ALIGNED_BYTES
    s.require(~by_tma | ~in_(target.arch, *WITHOUT_TMA), "TMA came with sm_90")
    s.require(~by_tma | (row % ALIGNED_BYTES == 0), "TMA takes rows of whole 16 bytes")
    s.require(
        ~by_tma | (where(along_k, block_k, block_w) * problem.a_bytes >= least),
        "a tile's rows are at least the 32 bytes that TMA swizzles",
    )
    s.require(
        (loads != "tma")
        | (thin_row % ALIGNED_BYTES == 0) & (where(thin_along_k, block_k, thin_block) * problem.a_bytes >= least),
        "TMA takes rows of whole 16 bytes",
    )
    s.require(~by_tma | (num_stages >= 2), "descriptors are for loads that run ahead")
    s.require(~by_tma | along_k | (block_k <= MAX_BOX_DIM), "a box of TMA has 256 rows at most")
    # What no asynchronous copy brings goes through registers; so does what lies across K and ldmatrix cannot turn.
    loose = (loads != "tma") & (thin_row % ALIGNED_BYTES != 0) | ~by_tma & (row % ALIGNED_BYTES != 0)
    across = (problem.a_bytes != 2) & ~(along_k & thin_along_k)
    each = ceil_div((block_w + thin_block) * block_k, num_warps * WARP_THREADS)
    s.require(vector | ~(loose | across) | (each <= MOST_LOOSE), "a turn's elements, one a register, must fit them")
    s.require(vector | (num_stages > 1) | (each * problem.a_bytes <= 256), "a turn's elements must fit the registers")
