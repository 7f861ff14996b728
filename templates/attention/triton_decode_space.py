"""The configs of triton_decode: what a dot multiplies, blocks and parts of the keys, and how parts meet."""

from __future__ import annotations

from ...spaces.expressions import Expr
from ...spaces.functions import ceil_div, in_, max_, min_, where
from ...spaces.parameters import choice, int_range, pow2
from ...spaces.space import Space
from ...spaces.symbols import problem, target
from ..limits import MOST_PARTIAL_BYTES, WARP_THREADS, WITHOUT_TMA
from ..tensor_map import ALIGNED_BYTES

MOST_VECTOR_ROWS = 4
"""Rows up to which the ordinary cores keep up with memory: each costs three operations an element."""

MOST_WAVES = 24
"""Programs a multiprocessor past which keys need no more parts."""

MOST_AHEAD = 6
"""Blocks of keys."""

SPLITS = (1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 14, 16, 20, 22, 24, 28, 32, 33, 40, 44, 48, 56, 64, 66, 80, 96, 112, 128)
"""Powers of two, and what fills 108, 132 or 148 multiprocessors with a few heads."""

MOST_SUMMED, MOST_LOOSE, MOST_FACTORS, MOST_IN_FULL = 144, 192, 256, 256
"""Registers of a thread, as counted here: of its scores and sums; with what is loaded into them. Then elements of a
tile that it multiplies, and products of them that no tensor core makes. Beyond these some spilled 80 bytes and more
(800 random configs of ten problems, Triton 3.6.0 for sm_90, 2026-11-23, from ptxas)."""

BARRIER_BYTES, BESIDE_BYTES = 64, 2048
"""Shared memory at most: of the barriers of a stage, and for maxima that warps exchange."""


def space() -> Space:
    """Of any problem the template supports."""
    s = Space("triton_decode")
    rows = problem.s * problem.group
    product, block_m = s.add(choice("PRODUCT", "rows", "keys", "vector"), pow2("BLOCK_M", 8, 128, default=16))
    vector = product == "vector"
    s.require(
        ~vector | (rows <= MOST_VECTOR_ROWS), "more rows than the ordinary cores multiply as fast as memory reads"
    )
    smallest = where(product == "keys", 8, 16)  # columns or rows of a tensor core's tile
    s.require(~vector | (block_m == 8), "vectors are as many as there are rows")
    s.require(vector | (block_m >= smallest), "a dot takes 16 rows or 8 columns at least")
    # Of 16 columns keys are multiplied by warpgroups.
    few = where(product == "keys", 16, smallest)
    s.require(vector | (block_m <= few) | (block_m < rows * 2), "a tile of twice the rows is padding")
    again = where(in_(problem.dtype, "fp32", "tf32x3"), 16, 4)
    s.require(vector | (block_m * again >= min_(rows, 128)), "small tiles of many rows read all keys again and again")
    row_block = s.derive("row_block", where(vector, rows, block_m))
    row_tiles = s.derive("row_tiles", ceil_div(rows, row_block))
    d = problem.d
    d_block = s.derive("d_block", where(d <= 16, 16, where(d <= 32, 32, where(d <= 64, 64, where(d <= 128, 128, 256)))))

    block_n, num_warps, num_stages = s.add(
        pow2("BLOCK_N", 8, 256, default=64),
        pow2("num_warps", 1, 8, default=4),
        int_range("num_stages", 1, 10, default=3),
    )
    s.require(vector | (block_n >= 16), "a dot takes 16 keys at least")
    seen = s.derive("seen", _keys_seen())
    s.require((block_n <= 32) | (block_n < seen * 2), "a block of twice the keys is padding")
    blocks = ceil_div(seen, block_n)
    splits = _add_splits(s, rows, row_tiles, blocks, seen)
    ahead = s.derive("ahead", _ahead(vector, num_stages))
    s.require(ahead <= MOST_AHEAD, "more blocks of keys under way are better larger blocks")
    s.require((num_stages <= 2) | (ahead < ceil_div(blocks, splits)), "stages past the end of a part stay empty")
    s.require((num_stages == 1) | (blocks > splits), "a part of one block has nothing to load ahead")
    _add_loads(s, vector, block_n, d_block, num_stages)
    _require_room(s, product, row_block, block_n, d_block, num_warps, num_stages, ahead)
    _add_combine(s, splits, rows, d_block, num_warps)
    return s


def _keys_seen() -> Expr:
    """Keys of the longest sequence that some query sees."""
    causal = where(problem.causal == "yes", min_(problem.kv_len, problem.s), problem.kv_len)
    reach = problem.window_size + problem.s - 1
    return where(problem.window_size > 0, min_(causal, reach), causal)


def _add_splits(s: Space, rows: Expr, row_tiles: Expr, blocks: Expr, seen: Expr) -> Expr:
    """Parts of the keys of each sequence, and which programs are neighbours."""
    splits, order = s.add(choice("SPLITS", *SPLITS), choice("ORDER", "splits", "heads", "sequences"))
    heads = problem.kv_heads * row_tiles
    s.require(splits <= blocks, "each part is a block of keys at least")
    s.require((splits == 1) | (ceil_div(blocks, splits) * splits * 3 <= blocks * 4), "parts must be of about one size")
    s.require(
        (splits == 1) | (problem.b * heads * splits <= target.sm_count * MOST_WAVES),
        "so many parts are not needed to fill the chip",
    )
    s.require(
        (splits * rows * 8 <= seen * problem.q_bytes) | (problem.b * heads * splits <= target.sm_count),
        "partial sums, written and read, must be fewer bytes than half of what is streamed, or the chip has room",
    )
    partial_bytes = problem.b * problem.kv_heads * splits * rows * problem.d * 4
    s.require((splits == 1) | (partial_bytes <= MOST_PARTIAL_BYTES), "partial sums must stay near the L2 cache")
    s.require((order != "splits") | (splits > 1), "one part has no neighbours")
    s.require((order != "sequences") | (problem.b > 1), "one sequence has no neighbours")
    split_by = s.add(choice("SPLIT_BY", "count", "size"))  # as many parts of each sequence, or as large ones
    s.when(problem.is_paged & (splits > 1), split_by)
    s.derive("splits_block", 2 ** _log2_above(splits))
    return splits


def _log2_above(count: Expr) -> Expr:
    """Of the power of two that holds a count up to 128."""
    found: Expr = where(count <= 64, 6, 7)
    for exponent in (5, 4, 3, 2, 1, 0):
        found = where(count <= 2**exponent, exponent, found)
    return found


def _add_loads(s: Space, vector: Expr, block_n: Expr, d_block: Expr, num_stages: Expr) -> None:
    """Descriptors or pointers, and what caches keep of keys and values."""
    loads, eviction, unroll = s.add(
        choice("LOADS", "pointer", "tma"), choice("EVICTION", "none", "first"), choice("UNROLL", 1, 2, 4)
    )
    s.when(num_stages == 1, eviction)  # asynchronous copies have no such hint: PTX of Triton 3.6
    s.when(vector & (num_stages == 1), unroll)
    by_tma = loads == "tma"
    s.require(~by_tma | ~in_(target.arch, *WITHOUT_TMA), "TMA came with sm_90")
    s.require(~by_tma | ~problem.is_paged, "TMA copies what lies at one distance, and pages do not")
    s.require(~by_tma | (problem.d * problem.q_bytes % ALIGNED_BYTES == 0), "TMA takes rows of whole 16 bytes")
    s.require(~by_tma | (num_stages >= 2), "descriptors are for loads that run ahead")


def _require_room(
    s: Space,
    product: Expr,
    row_block: Expr,
    block_n: Expr,
    d_block: Expr,
    num_warps: Expr,
    num_stages: Expr,
    ahead: Expr,
) -> None:
    """What a thread's registers and a block's shared memory hold."""
    vector, threads = product == "vector", num_warps * WARP_THREADS
    tile = ceil_div(block_n * d_block, threads)  # elements of K, and of V, a thread
    s.require(~vector | (block_n * d_block >= threads * 8), "a thread loads 8 elements of a key at least")
    in_full = (problem.dtype == "fp32") | (problem.dtype == "tf32x3")
    s.require(
        vector | (block_n * min_(row_block, d_block) >= num_warps * where(in_full, WARP_THREADS, 128)),
        "a warp needs a tensor-core tile of scores",
    )
    scores, sums = ceil_div(row_block * block_n, threads), ceil_div(row_block * d_block, threads)
    words = where(num_stages == 1, tile * problem.q_bytes // 2, 0)  # K and V as they were loaded
    held = s.derive("held", where(vector, tile * (row_block + 2), sums + 2 * scores) + words)
    s.require(
        held <= where(vector | (num_stages == 1), MOST_LOOSE, MOST_SUMMED),
        "scores, sums and what was loaded must fit a thread's registers",
    )
    # Warps take turns at fragments of K and V: the fewer they are, the more each of them holds at once.
    gathered = problem.is_paged & (problem.page_size % block_n != 0)
    words_each = where(problem.q_bytes == 2, 1, where(product == "keys", 4, 2))  # what has 4 bytes is turned by hand
    s.require(
        vector | (tile * words_each * where(gathered, 2, 1) <= MOST_FACTORS),
        "fragments of keys and values must fit a thread's registers",
    )
    s.require(
        vector | ~in_full | (tile * row_block * where(product == "keys", 2, 1) <= MOST_IN_FULL),
        "factors without a tensor core must fit a thread's registers",
    )

    # Warpgroups multiply straight from shared memory, which keeps a stage until they are done.
    across, grouped = product == "keys", num_warps >= 4
    from_smem = ~vector & grouped & where(across, row_block >= 16, row_block >= 64)
    kept = where(num_stages == 1, where(vector, 0, 1), 2 * (ahead + where(from_smem, 1, 0)))  # tiles of K and V
    kept += where(~vector & in_full, 2, 0)
    queries = s.add(choice("Q_LOADS", "once", "turn"))  # before the loop, or with each block of keys, from L2
    s.require(
        (queries == "once") | ~vector & (num_stages > 1) & (row_block * 2 <= block_n),
        "queries that are loaded ahead, again and again, must be few beside the keys",
    )
    beside = where(
        vector, num_warps * d_block * 4, row_block * (d_block + block_n) * problem.q_bytes + num_warps * row_block * 4
    )
    indices = where(problem.is_paged, num_stages * block_n * 4, 0)
    indices += where(problem.has_bias, num_stages * row_block * block_n * problem.q_bytes, 0)
    held_q = where(queries == "turn", num_stages, 0) * row_block
    staged = (kept * block_n + held_q) * d_block * problem.q_bytes + num_stages * BARRIER_BYTES
    turned = where(vector, 0, row_block * d_block * 4)  # sums, as they are stored, in the room of the stages
    smem = s.derive("smem_bytes", max_(staged + beside + indices, turned) + BESIDE_BYTES)
    s.require(smem <= target.smem_per_block_bytes, "the stages of K and V must fit a block's shared memory")


def _ahead(vector: Expr, num_stages: Expr) -> Expr:
    """Blocks of keys that are loaded ahead: a dot's, of pages, take a stage more each, to know the page."""
    by_page = where(problem.is_paged & ~vector, (num_stages - 1) // 2, num_stages - 1)
    return max_(by_page, where(num_stages > 1, 1, 0))


def _add_combine(s: Space, splits: Expr, rows: Expr, d_block: Expr, num_warps: Expr) -> None:
    """Parts are put together by the program of a head that comes last, or by a kernel of its own."""
    combine, combine_rows, combine_warps = s.add(
        choice("COMBINE", "last", "kernel"), pow2("COMBINE_ROWS", 1, 16, default=4), pow2("COMBINE_WARPS", 1, 8)
    )
    s.when(splits > 1, [combine, combine_rows])
    s.when((splits > 1) & (combine == "kernel"), combine_warps)
    s.require((combine_rows == 1) | (combine_rows < rows * 2), "rows that are not there need no sums")
    warps = where(combine == "kernel", combine_warps, num_warps)
    tile = combine_rows * d_block
    s.require(
        (tile >= warps * WARP_THREADS) | (warps == 1) | (combine == "last"), "a thread without a sum does nothing"
    )
    s.require((splits == 1) | (tile <= warps * WARP_THREADS * 32), "sums and loads must fit the registers")
