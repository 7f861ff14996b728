"""The configs of triton_flash: tiles of queries, blocks of keys, how they are loaded and masked, who computes what.

What registers and shared memory hold was fitted to some 250 compiles of random configs of all masks and types (Triton
3.6.0 for sm_90, 2026-11-23; registers and spills from ptxas).
"""

from __future__ import annotations

from dataclasses import dataclass

from ...spaces.expressions import Expr
from ...spaces.functions import ceil_div, in_, max_, min_, where
from ...spaces.parameters import choice, int_range, pow2
from ...spaces.space import Space
from ...spaces.symbols import problem, target
from ..chips import SYSTEM_SMEM_BYTES
from ..limits import WARP_THREADS, WITHOUT_TMA
from ..tensor_map import ALIGNED_BYTES

MOST_D = 256
"""Dims of a head."""

BESIDE_STAGES_BYTES = 2048
"""Shared memory at most, beside tiles and stages: barriers, maxima that warps exchange."""

MOST_HELD, MOST_HELD_SPLIT, MOST_HELD_SLOW = 196, 72, 40
"""Of a thread's registers, as counted here: of tensor cores, of their products of three parts, of ordinary cores."""


@dataclass(frozen=True, slots=True)
class _Tile:
    """What decides on room."""

    block_m: Expr
    block_n: Expr
    width: Expr  # dims of a head, padding included
    num_warps: Expr
    num_stages: Expr
    by_tma: Expr
    beside: Expr  # tiles of O in shared memory at the same time


def space() -> Space:
    """Of any problem the template supports."""
    s = Space("triton_flash")
    block_m, block_n = s.add(pow2("BLOCK_M", 16, 256, default=128), pow2("BLOCK_N", 16, 256, default=64))
    num_warps, num_stages = s.add(pow2("num_warps", 4, 8), int_range("num_stages", 1, 5, default=3))
    slow = problem.dtype == "fp32"  # on the ordinary cores
    small = where(slow, 16, min_(64, max_(16, problem.s)))
    s.require((block_m >= small) | (block_m * 2 > small), "64 rows are what four warps multiply at a time")
    s.require((block_m <= 64) | (block_m < problem.s * 2), "a tile of twice the queries is padding")
    s.require((block_n <= 16) | (block_n < problem.kv_len * 2), "a block of twice the keys is padding")
    s.require(slow | (block_n >= min_(32, problem.kv_len)), "a block of fewer keys is mostly waiting")
    s.require(num_stages <= max_(ceil_div(problem.kv_len, block_n), 1), "stages past the last key stay empty")
    width = _add_dims(s)
    tiles = s.derive("tiles", ceil_div(problem.s, block_m))  # of a head
    every = tiles * problem.b * problem.h
    _add_order(s, tiles)

    loads, store = s.add(choice("LOADS", "tma", "pointer"), choice("STORE", "pointer", "tma"))
    by_tma = loads == "tma"
    s.require(~by_tma | ~in_(target.arch, *WITHOUT_TMA), "TMA came with sm_90")
    s.require(~by_tma | (problem.d * problem.q_bytes % ALIGNED_BYTES == 0), "TMA takes rows of whole 16 bytes")
    s.require((store == "pointer") | by_tma, "where pointers load, pointers store")
    s.require((store == "pointer") | ~problem.is_varlen, "TMA would store over the sequence that follows")
    cut = problem.is_causal | (problem.window_size > 0)
    masks = s.add(choice("MASKS", "branch", "all", "edges"))
    s.when(cut, masks)  # of blocks that some row sees in part, or of all in one loop

    programs = s.add(choice("PROGRAMS", "tiles", "sms", "sms_x2"))  # one a tile, or so many that stay
    stay = s.derive(
        "programs",
        where(programs == "tiles", every, where(programs == "sms", target.sm_count, 2 * target.sm_count)),
    )
    s.require((programs == "tiles") | (stay < every), "programs that stay need more than one tile each")
    beside = where((programs != "tiles") & (store == "tma"), 1, 0)  # tiles of O that lie beside those of Q
    _require_room(s, _Tile(block_m, block_n, width, num_warps, num_stages, by_tma, beside))
    return s


def _add_dims(s: Space) -> Expr:
    """A head in one part of a power of two, or in two of fewer dims together; how wide that is."""
    d = problem.d
    above: Expr = where(d <= 128, 128, 256)
    below: Expr = where(d >= 256, 256, 128)
    for size in (64, 32, 16):
        above = where(d <= size, size, above)
        below = where(d < size * 2, size, below)
    over = d - below
    rest: Expr = where(over <= 64, 64, 128)
    for size in (32, 16):
        rest = where(over <= size, size, rest)
    dims = s.add(choice("DIMS", "one", "two"))
    two = dims == "two"
    s.require(~two | (over > 0) & (rest < below), "two parts of a head are for fewer dims than one has")
    first = s.derive("d_first", where(two, below, above))
    return first + s.derive("d_rest", where(two, rest, 0))


def _add_order(s: Space, tiles: Expr) -> None:
    """Heads whose tiles go together, and which of a head's tiles begins."""
    heads, first = s.add(pow2("HEADS", 1, 256), choice("FIRST", "longest", "shortest"))
    s.require((heads == 1) | (heads < problem.b * problem.h * 2), "no more heads go together than there are")
    s.require((heads == 1) | (tiles > 1), "heads of one tile each have one order")
    s.when(problem.is_causal & (tiles > 1), first)


def _require_room(s: Space, tile: _Tile) -> None:
    """What a thread's registers and a block's shared memory hold."""
    block_m, block_n, width, num_warps = tile.block_m, tile.block_n, tile.width, tile.num_warps
    threads = num_warps * WARP_THREADS
    slow, split = problem.dtype == "fp32", problem.dtype == "tf32x3"
    scores, sums = ceil_div(block_m * block_n, threads), ceil_div(block_m * width, threads)
    others = problem.has_bias | problem.has_alibi | (problem.soft_cap_value > 0)
    words = ceil_div(block_n * width * problem.q_bytes, threads * 4)  # of K, or of V, as they are loaded
    held = sums + where(others, 3, 2) * scores + where(tile.by_tma, 0, 12) + where(tile.num_stages == 1, words + 8, 0)
    held += where(problem.is_varlen, 12, 0)
    s.derive("held", held)
    s.require(
        held <= where(slow, MOST_HELD_SLOW, where(split, MOST_HELD_SPLIT, MOST_HELD)),
        "scores, weights and sums must fit a thread's registers",
    )
    # A thread that has fewer makes room for another program, whose products fill the gaps of this one's exponentials.
    most = s.add(choice("MOST_REGISTERS", 0, 128, 168))
    s.require(
        (most == 0) | ~slow & (held + where(others | problem.is_varlen, 20, 0) <= most) & (held >= most - 48),
        "registers are capped where that is neither much nor nothing",
    )
    resident = target.registers_per_sm // (threads * max_(most, 1))
    s.require(slow | (block_m * block_n >= num_warps * 256), "a warp needs at least two tensor-core tiles of scores")
    s.require(slow | (num_warps == 4) | (block_m >= 128), "each warp has 16 rows of its own")
    s.require(~slow | (scores * width <= 512), "on the ordinary cores both factors of a product lie in registers")
    q_tile, kv_tile = block_m * width * problem.q_bytes, block_n * width * problem.q_bytes
    bias = where(problem.has_bias, (tile.num_stages + 1) * block_m * block_n * problem.q_bytes, 0)
    smem = q_tile * (1 + tile.beside) + 2 * tile.num_stages * kv_tile + bias + BESIDE_STAGES_BYTES
    s.derive("smem_bytes", smem)
    s.require(
        (most == 0)
        | (resident >= 2) & (2 * (smem + SYSTEM_SMEM_BYTES) <= target.smem_per_block_bytes + SYSTEM_SMEM_BYTES),
        "a second program must fit a multiprocessor, or fewer registers are for nothing",
    )
    s.require(smem <= target.smem_per_block_bytes, "queries and stages of K and V must fit a block's shared memory")
