"""The configs of c_flash: tiles of rows, blocks of keys, register tiles of both products, and who computes what."""

from __future__ import annotations

from ...spaces.expressions import Expr
from ...spaces.functions import ceil_div, in_, max_, min_, where
from ...spaces.parameters import choice
from ...spaces.space import Space
from ...spaces.symbols import problem, target

FLOAT_BYTES = 4


def space() -> Space:
    """Of any problem the template supports."""
    s = Space("c_flash")
    qk, heads, vw = s.add(
        choice("QK", "rows", "dims"),  # what vectors of Q K hold: queries, or dims of one
        choice("HEADS", "apart", "together"),  # whether heads that share a key head share tiles
        choice("VW", 4, 8, 16),  # floats of one vector
    )
    by_rows = qk == "rows"
    s.require((heads == "apart") | (problem.group > 1), "a head alone has none to share tiles with")
    s.require(vw * 4 <= target.vector_bytes, "vectors wider than the processor's are emulated")
    s.require(
        (vw * 8 >= target.vector_bytes) | (vw * 2 > problem.d), "vectors under half the processor's width waste it"
    )
    s.require(vw <= problem.d, "a vector of more dims than a head has is padding")
    rows = s.derive("rows", problem.s * where(heads == "together", problem.group, 1))  # of a head that is gone through
    block_m, block_n = s.add(
        choice("BLOCK_M", 1, 2, 4, 8, 16, 32, 48, 64, 96, 128, 192, 256, default=64),  # rows of a tile
        choice("BLOCK_N", 16, 32, 64, 96, 128, 256, 512, default=64),  # keys of a block
    )
    s.require((block_m <= vw) | (block_m < rows * 2), "a tile of more than twice the rows computes padding")
    s.require(by_rows | (block_m == 1) | (block_m < rows * 2), "a tile of more than twice the rows computes padding")
    s.require((block_n == 16) | (block_n < problem.kv_len * 2), "a block of more than twice the keys is padding")
    _add_products(s, by_rows, vw, block_m, block_n)

    share, order, splits = s.add(
        choice("SHARE", "static", "cyclic", "dynamic"),  # how tiles are dealt out to threads
        choice("ORDER", "heads", "tiles"),  # the tiles of one head after each other, or the longest of all first
        choice("SPLITS", 1, 2, 4, 8, 16),  # parts of the keys, each of them a task
    )
    tiles = s.derive("tiles", ceil_div(rows, block_m))
    tasks = tiles * problem.b * where(heads == "together", problem.kv_heads, problem.h)
    s.require((share == "static") | (target.threads > 1), "one thread has nothing to share out")
    s.require((order == "heads") | (tiles > 1), "heads of one tile each have one order")
    s.require((splits == 1) | (target.threads > 1) & (tasks < 4 * target.threads), "keys are split for want of tiles")
    s.require((splits == 1) | (splits <= 4 * target.threads), "more parts than threads take are only more to add up")
    s.require((splits == 1) | (splits * block_n <= problem.kv_len), "a part needs a block of keys")
    return s


def _add_products(s: Space, by_rows: Expr, vw: Expr, block_m: Expr, block_n: Expr) -> None:
    """Register tiles: NK keys by MV vectors (or rows) of Q, MR rows by NV vectors of V."""
    nk, mv, mr, nv = s.add(
        choice("NK", 2, 4, 6, 8, 12, 16),
        choice("MV", 1, 2, 3, 4),
        choice("MR", 1, 2, 4, 6, 8, 12),
        choice("NV", 1, 2, 3, 4),
    )
    registers, slots = target.vector_registers, ceil_div(problem.d, vw)
    s.require(nk * mv + mv + 1 <= registers, "the tile of Q K, a row of Q and one of K must fit registers")
    s.require(mr * nv + nv + 1 <= registers, "the tile of P V, a row of V and one of P must fit registers")
    s.require((nk * mv >= 8) | ~by_rows, "fewer sums than the adder is deep leave it idle")
    s.require(~by_rows | (block_m % (mv * vw) == 0), "tiles are of whole vectors of queries")
    s.require(by_rows | (in_(nk, 2, 4, 8, 16) & (nk <= vw)), "sums across lanes are of a power of two of keys")
    s.require(by_rows | (block_m <= 16) & (block_m % mv == 0), "vectors along dims are for few rows")
    s.require((mr * nv >= 8) | (mr * 2 > block_m), "fewer sums than the adder is deep leave it idle")
    s.require((mr == 1) | (mr < 2 * block_m), "a tile of more than twice the rows computes padding")
    s.require((nv == 1) | (nv <= slots), "a tile wider than a head computes padding")
    s.require((mr <= 2) | (block_m >= 4), "a tile of more than twice the rows computes padding")
    s.require(nk <= max_(block_n, 16), "a block holds whole tiles of keys")
    _ku, copy, order, prefetch = s.add(
        choice("KU", 1, 2, 4),  # steps of both products' inner loops unrolled
        choice("COPY", "none", "kv"),  # whether blocks of K and V are copied together first
        choice("ORDER_QK", "keys", "rows"),  # what the outer loop over tiles of Q K goes along
        choice("PREFETCH", "none", "v"),  # V while its keys are multiplied
    )
    s.require((copy == "none") | (block_m >= 8), "a copy must be read more than once")
    wide = where(by_rows, mv * vw, mv)
    s.require((order == "keys") | (wide < block_m), "one row of tiles has one order")
    s.require((prefetch == "none") | (order == "keys"), "V is asked for where keys are gone through once")
    s.require((prefetch == "none") | (copy == "none"), "what was copied just now is near")
    held = block_n * block_m + 2 * block_n * problem.d + 2 * block_m * problem.d
    s.require(held * FLOAT_BYTES <= target.l2_bytes, "a tile and a block must fit L2")
    s.require(block_n <= max_(min_(512, 32768 // block_m), 16), "weights of a block must be near L1")
