"""triton_tiled: one tile of C per block, masked pointer tiles in grouped order; any size, layout and type on a GPU.

fp32 is multiplied in full (`input_precision="ieee"`): no tensor core, no tf32 rounding.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...spaces.expressions import Expr
from ...spaces.functions import in_, where
from ...spaces.parameters import choice, int_range, pow2
from ...spaces.problems import Problem
from ...spaces.space import Space
from ...spaces.symbols import problem, target
from ...spaces.targets import Target
from ..limits import (
    ADDRESSING_REGISTERS,
    MIN_SUMS_PER_WARP,
    MOST_SUMS_BESIDE_OTHERS,
    WIDE_INDEX_ELEMENTS,
    covers_at_most_twice,
    registers_a_thread_may_have,
    staged_smem_bytes,
    sums_per_thread,
    tile_count,
)
from ..template import KernelTemplate, Launch
from .copies import COPY_BLOCK, triton_copies
from .epilogue import SCALED_BLOCK
from .launches import results, sizes, tiles_of, triton_options
from .layouts import largest_array, unaligned
from .operands import copies_bytes, operands
from .refusals import TENSOR_ARCH, other_types
from .tile_space import add_order, require_large
from .triton_work import work


def _space() -> Space:
    s = Space("triton_tiled")
    block_m, block_n, num_warps = s.add(pow2("BLOCK_M", 16, 256), pow2("BLOCK_N", 16, 256), pow2("num_warps", 1, 8))
    s.require(covers_at_most_twice(block_m, problem.m), "a tile of twice the rows computes padding")
    s.require(covers_at_most_twice(block_n, problem.n), "a tile of twice the columns computes padding")
    tiles = tile_count(problem.m, problem.n, block_m, block_n)
    require_large(s, block_m * block_n, tiles)
    s.require(block_m * block_n >= num_warps * MIN_SUMS_PER_WARP, "a warp needs at least two tensor-core tiles of work")
    s.require(
        sums_per_thread(block_m, block_n, num_warps) + ADDRESSING_REGISTERS
        <= registers_a_thread_may_have(num_warps, target.registers_per_sm),
        "a thread's sums and addresses must fit its registers",
    )
    block_k, num_stages = s.add(pow2("BLOCK_K", 16, 256), int_range("num_stages", 1, 6, default=3))
    smallest_k = where(problem.a_bytes == 1, 32, 16)
    s.require(block_k >= smallest_k, "a product of 8-bit elements takes 32 of K at least")
    s.require((block_k == smallest_k) | (block_k < problem.k * 2), "a tile of twice the depth computes padding")
    blockwise = problem.scales == "block128"
    s.require(~blockwise | (block_k <= SCALED_BLOCK), "a turn multiplies what shares a scale")
    # Elements of four bytes are copied asynchronously one by one.
    any_unaligned = (problem.a_bytes <= 2) & (unaligned("a") | unaligned("b"))
    # Rows that are not aligned take one tile only, in passing, unless they are copied: the larger need counts.
    smem = s.derive("smem_bytes", staged_smem_bytes(block_m, block_n, block_k, num_stages, num_stages, problem.a_bytes))
    s.require(smem <= target.smem_per_block_bytes, "the stages of A and B must fit a block's shared memory")
    s.require((num_stages == 1) | (block_k * (num_stages - 1) < problem.k), "stages past the end of K stay empty")
    add_order(s, tile_count(problem.m, 1, block_m, 1), tile_count(1, problem.n, 1, block_n))
    edge, k_tail, way = s.add(
        choice("EDGE", "mask", "wrap"),  # loads over the edge of M and N: masked, or wrapped around
        choice("K_TAIL", "mask", "peel"),  # the rest of K: a mask in every turn, or a turn of its own
        # Rows not 16-byte aligned: narrow loads, wide ones and a shift, or a copy with aligned rows before the product.
        choice("UNALIGNED", "direct", "chunks", "copy"),
    )
    s.when((problem.m % block_m != 0) | (problem.n % block_n != 0), edge)
    s.when(problem.k % block_k != 0, k_tail)
    s.when(any_unaligned, way)
    s.require((way != "chunks") | (problem.a_bytes == 2), "words are shifted by 16 bits only")
    s.require((way == "direct") | (k_tail == "mask"), "chunks and copies reach past K: no turn can stand apart")
    s.derive("wide_index", largest_array() * problem.batch >= WIDE_INDEX_ELEMENTS)
    s.derive("COPY_BLOCK", COPY_BLOCK)
    _add_promotion(s, block_m, block_n, num_warps, blockwise)
    return s


def _add_promotion(s: Space, block_m: Expr, block_n: Expr, num_warps: Expr, blockwise: Expr) -> None:
    """Whether sums of fp8 products leave the tensor core, which keeps 14 bits of them, before K's end."""
    promote = s.add(choice("PROMOTE", "never", "turn"))
    grouped = (block_m >= 64) & (num_warps >= 4)  # what other products do is not asked
    s.when(in_(problem.dtype, "fp8e4m3", "fp8e5m2") & ~blockwise & in_(target.arch, "sm_90", "sm_90a"), promote)
    s.require((promote == "never") | grouped, "only products of warpgroups can be told to")
    beside = (promote == "turn") | blockwise
    s.require(
        ~beside | (sums_per_thread(block_m, block_n, num_warps) <= MOST_SUMS_BESIDE_OTHERS),
        "sums of a turn and of all must fit a thread's registers",
    )


def _supports(problem: Problem, target: Target) -> str | None:
    return other_types(problem, target, TENSOR_ARCH)


def _launch(problem: Problem, target: Target, values: Mapping[str, Any]) -> Launch:
    read = operands(problem, aligned=values.get("UNALIGNED") == "copy")
    return Launch(
        "gemm_tiled",
        (*(x.pointer() for x in read), *results(problem, "triton"), *sizes(problem)),
        (tiles_of(problem, values), problem.dim("batch"), 1),
        triton_options(values),
        before=triton_copies(*read),
        workspace=copies_bytes(*read),
    )


_SEEDS = (
    # BLOCK_M, BLOCK_N, BLOCK_K, num_stages, num_warps
    (256, 128, 64, 3, 8),
    (256, 128, 64, 4, 8),
    (128, 128, 64, 3, 4),
    (128, 128, 64, 4, 8),
    (128, 256, 64, 4, 8),
    (64, 128, 64, 3, 4),
    (128, 64, 64, 4, 4),
    (128, 64, 32, 4, 4),
    (64, 64, 64, 4, 4),
    (16, 64, 64, 4, 2),
)
"""Fastest first on an H200 at 4096 x 4096 x 4096 in bf16, then what won at 777 x 3333 x 2048 and 1000 x 1000 x 1000
(2026-11-22, interleaved with torch.mm); the last ones for small problems."""


def _seeds(problem: Problem, target: Target) -> list[dict[str, Any]]:
    """Guesses for a large problem: a small one takes what is nearest. Rows are as long in bytes for every type."""
    names = ("BLOCK_M", "BLOCK_N", "BLOCK_K", "num_stages", "num_warps")
    rest = {"ORDER": "m", "GROUP": 4, "EDGE": "wrap", "K_TAIL": "mask", "PROMOTE": "never"}
    depths = {"BLOCK_K": 2 / problem.dim("a_bytes")}
    ways = ("copy", "chunks") if problem["a_bytes"] == 2 else ("copy",)
    shapes = [dict(zip(names, shape, strict=True)) for shape in _SEEDS]
    scaled = [shape | {name: int(shape[name] * by) for name, by in depths.items()} for shape in shapes]
    return [{**shape, **rest, "UNALIGNED": way} for way in ways for shape in scaled]


TEMPLATE = KernelTemplate(
    name="triton_tiled",
    op="gemm",
    backend="triton",
    source="triton_tiled.py.jinja",
    space=_space(),
    supports=_supports,
    launch=_launch,
    seeds=_seeds,
    seeds_by_estimate=True,
    work=work,
)
