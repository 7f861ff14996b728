"""The configs of triton_tma: tiles, who computes them and in which order, how C is stored.

What a thread's registers and a block's shared memory hold was fitted to 800 compiles of random configs of all dtypes,
layouts and epilogues (Triton 3.6.0 for sm_90, 2026-11-23; registers and spills from ptxas).
"""

from __future__ import annotations

from dataclasses import dataclass

from ...spaces.expressions import Expr
from ...spaces.functions import in_, max_, where
from ...spaces.parameters import choice, int_range, pow2
from ...spaces.space import Space
from ...spaces.symbols import problem, target
from ..chips import SYSTEM_SMEM_BYTES
from ..limits import (
    ADDRESSING_REGISTERS,
    MIN_SUMS_PER_WARP,
    MOST_SUMS_BESIDE_OTHERS,
    WARP_THREADS,
    WIDE_INDEX_ELEMENTS,
    covers_at_most_twice,
    registers_a_thread_may_have,
    staged_smem_bytes,
    sums_per_thread,
    tile_count,
)
from ..tensor_map import ALIGNED_BYTES
from .copies import COPY_BLOCK
from .epilogue import SCALED_BLOCK
from .layouts import along_k, largest_array, unaligned
from .operands import LINE_BYTES
from .tile_space import require_large

WARP_ROWS = 16
"""Rows of a tile that a warp multiplies at a time. Source: PTX ISA, wgmma: 64 rows of four warps."""

REGISTERS_BESIDE_SUMS = 64
"""Of a thread, at most, where sums are only stored: 90 registers for 64 sums, 154 to 179 for 128."""

BARRIER_BYTES, SCALE_BYTES = 32, 4
"""Shared memory at most: for the barriers of a stage, and for each row and column that has a scale or a bias."""


@dataclass(frozen=True, slots=True)
class _Choices:
    """What decides on shared memory."""

    block_m: Expr
    block_n: Expr
    block_k: Expr
    num_warps: Expr
    sums: Expr
    programs: Expr
    loop: Expr
    parts: Expr
    store: Expr


def space() -> Space:
    """Of any problem the template supports."""
    s = Space("triton_tma")
    only_along_k = in_(problem.dtype, "tf32", "int8", "fp8e4m3", "fp8e5m2")
    blockwise = problem.scales == "block128"
    block_m, block_n, num_warps = s.add(pow2("BLOCK_M", 64, 256), pow2("BLOCK_N", 16, 256), pow2("num_warps", 4, 8))
    block_k, num_stages = s.add(pow2("BLOCK_K", 32, 256), int_range("num_stages", 2, 7, default=3))
    sums = _require_tile(s, block_m, block_n, block_k, num_warps, num_stages)
    s.require(~blockwise | (block_k == SCALED_BLOCK), "a turn multiplies what shares a scale")
    s.require(
        ~(blockwise | (problem.dtype == "tf32x3"))
        | (sums <= MOST_SUMS_BESIDE_OTHERS) & (block_m <= 2 * num_warps * WARP_ROWS),
        "a thread's sums and what is added to them must fit its registers",
    )

    tiles = s.derive("tiles", tile_count(problem.m, problem.n, block_m, block_n) * problem.batch)
    require_large(s, block_m * block_n, tiles)
    programs = s.add(choice("PROGRAMS", "tiles", "sms", "sms_16", "sms_x2"))  # one a tile, or so many that stay
    loop = s.add(choice("LOOP", "nested", "flat", "carried"))  # over tiles and K: two; one; one that counts tiles twice
    s.when(programs != "tiles", loop)
    stay = s.derive("programs", _programs(programs, tiles))
    s.require((programs == "tiles") | (stay < tiles), "programs that stay need more than one tile each")
    odd = (target.sm_count > 16) & (target.sm_count % 16 != 0)
    s.require((programs != "sms_16") | odd, "the multiprocessors are a multiple of 16 anyway")
    _require_order(s, block_m, block_n)

    parts, store = s.add(pow2("EPILOGUE_PARTS", 1, 4), choice("STORE", "tma", "pointer"))
    part = block_n // parts
    s.require(part >= 16, "a part of a tile has rows that TMA can store in any type")
    s.require((parts == 1) | (block_m >= num_warps * WARP_ROWS), "a part of a tile must lie with all warps")
    s.require((store == "pointer") | (problem.n * problem.c_bytes % ALIGNED_BYTES == 0), "TMA stores aligned rows only")
    heavy = (problem.activation == "gelu") | (problem.activation == "silu") & problem.has_residual
    s.require(
        ~heavy | (sums <= where(problem.has_residual, 32, MOST_SUMS_BESIDE_OTHERS) * parts),
        "what the epilogue makes of a thread's sums must fit its registers",
    )
    s.require(
        ~heavy | ~problem.has_residual | (store == "tma") | (sums <= MOST_SUMS_BESIDE_OTHERS),
        "sums, what the epilogue makes of them and where each goes must fit a thread's registers",
    )
    s.require(~heavy | (programs != "sms_x2"), "what the epilogue needs leaves no registers for a second program")
    # Sums of fp8 products stay in the tensor core, or each turn's are added up beside it, in all 24 bits.
    promote = s.add(choice("PROMOTE", "never", "turn"))
    s.when(in_(problem.dtype, "fp8e4m3", "fp8e5m2") & ~blockwise, promote)
    s.require(
        (promote == "never") | (sums <= MOST_SUMS_BESIDE_OTHERS) & (block_m <= num_warps * WARP_ROWS),
        "sums of a turn and of all must fit a thread's registers, and come from one product",
    )
    # What is multiplied along K only, and lies across: turned by a kernel before, or inside, tile by tile.
    turn = s.add(choice("TURN", "before", "inside"))
    s.when(only_along_k & (problem.layout != "nt"), turn)

    staged = staged_smem_bytes(block_m, block_n, block_k, num_stages, num_stages, problem.a_bytes)
    by = _Choices(block_m, block_n, block_k, num_warps, sums, programs, loop, parts, store)
    staged += num_stages * BARRIER_BYTES + SCALE_BYTES * (block_m + block_n)
    residual = where(problem.has_residual, block_m * part * max_(problem.c_bytes, 2), 0)
    _require_smem(s, by, staged, block_m * part * problem.c_bytes, residual)
    for name, along in (("a", along_k("a")), ("b", along_k("b"))):
        s.derive(f"{name}_turns", only_along_k & ~along)
        s.derive(f"{name}_unaligned", unaligned(name))
    s.derive("wide_index", largest_array() * problem.batch >= WIDE_INDEX_ELEMENTS)
    s.derive("line", LINE_BYTES // problem.a_bytes)  # elements
    s.derive("COPY_BLOCK", COPY_BLOCK)
    s.derive("TURN_BLOCK", where(problem.a_bytes == 1, 128, 64))  # the edge of a square that one block turns
    return s


def _require_tile(s: Space, block_m: Expr, block_n: Expr, block_k: Expr, num_warps: Expr, num_stages: Expr) -> Expr:
    """Tiles that warps can multiply and the problem fills; a thread's sums of one."""
    s.require(covers_at_most_twice(block_m, problem.m, 64), "a tile of twice the rows computes padding")
    s.require(covers_at_most_twice(block_n, problem.n), "a tile of twice the columns computes padding")
    s.require(block_m * block_n >= num_warps * MIN_SUMS_PER_WARP, "a warp needs at least two tensor-core tiles of work")
    sums = s.derive("sums", sums_per_thread(block_m, block_n, num_warps))
    s.require(
        sums + ADDRESSING_REGISTERS <= registers_a_thread_may_have(num_warps, target.registers_per_sm),
        "a thread's sums and addresses must fit its registers",
    )
    row_bytes = block_k * problem.a_bytes
    widest = where(problem.dtype == "tf32x3", 128, 256)  # three products of twice as many registers
    s.require((row_bytes >= 64) & (row_bytes <= widest), "a row along K is 64 to 256 bytes, of tf32x3 128")
    smallest = where(problem.scales == "block128", SCALED_BLOCK, where(problem.a_bytes == 1, 64, 32))
    s.require((block_k <= smallest) | (block_k < problem.k * 2), "a tile of twice the depth computes padding")
    s.require((num_stages == 2) | (block_k * (num_stages - 1) < problem.k), "stages past the end of K stay empty")
    return sums


def _programs(programs: Expr, tiles: Expr) -> Expr:
    whole = where(programs == "sms_16", target.sm_count // 16 * 16, target.sm_count)
    return where(programs == "tiles", tiles, where(programs == "sms_x2", target.sm_count * 2, whole))


def _require_order(s: Space, block_m: Expr, block_n: Expr) -> None:
    """The order of tiles: groups along one dim, which go across it all the same way or back and forth."""
    order, group = s.add(choice("ORDER", "m", "n"), pow2("GROUP", 1, 16, default=8))
    rows, columns = tile_count(problem.m, 1, block_m, 1), tile_count(1, problem.n, 1, block_n)
    along, across = where(order == "m", rows, columns), where(order == "m", columns, rows)
    s.require((group == 1) | (group <= along), "a group is no larger than the grid of tiles")
    s.require((rows > 1) & (columns > 1) | ((order == "m") & (group == 1)), "a single row of tiles has one order")
    back = s.add(choice("TURNING", "again", "snake"))
    s.when((across > 1) & (along > group), back)


def _require_smem(s: Space, by: _Choices, staged: Expr, c_tile: Expr, residual: Expr) -> None:
    """What a block must have: a program that stays keeps its part of C beside the stages, which are loaded meanwhile.

    One that ends gives C the room of the stages, but where sums are stored as they are.
    """
    of_three = where(problem.dtype == "tf32x3", LINE_BYTES, 0) * (by.block_m + by.block_n)
    as_they_are = (problem.c_bytes == 4) & (by.parts == 1)
    beside = (by.store == "tma") & ((by.programs != "tiles") | as_they_are)
    smem = s.derive("smem_bytes", of_three + where(beside, staged + c_tile, max_(staged, c_tile)))
    limit = target.smem_per_block_bytes
    s.require(smem <= limit, "the stages of A and B and a part of C must fit a block's shared memory")
    most = s.derive("flat_smem_bytes", of_three + staged + c_tile + residual)
    one_loop = (by.loop != "nested") | (by.block_k >= problem.k)
    s.require(~one_loop | (most <= limit), "in one loop with K, a part of C lies beside the stages")
    s.require(
        (by.programs != "sms_x2")
        | (2 * (smem + SYSTEM_SMEM_BYTES) <= limit + SYSTEM_SMEM_BYTES)
        & (2 * WARP_THREADS * by.num_warps * (by.sums + REGISTERS_BESIDE_SUMS) <= target.registers_per_sm),
        "two programs must fit a multiprocessor",
    )
