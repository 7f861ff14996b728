"""cuda_simt: fp32 in CUDA C++ on the ordinary cores, from one thread an element up to register tiles.

Any size and layout. Products of 16-bit inputs are tensor cores' work: triton_tiled.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...spaces.functions import in_, max_
from ...spaces.parameters import choice, pow2
from ...spaces.problems import Problem
from ...spaces.space import Space
from ...spaces.symbols import problem, target
from ...spaces.targets import Gpu, Target
from ..limits import (
    ADDRESSING_REGISTERS,
    FULL_WAVES,
    MAX_THREADS_PER_BLOCK,
    STATIC_SMEM_BYTES,
    WARP_THREADS,
    covers_at_most_twice,
    registers_a_thread_may_have,
    tile_count,
)
from ..template import Argument, KernelTemplate, Launch
from .op import plain_only
from .simt_work import work

OLDEST_ARCH = 75
"""Compute capability times ten: the oldest that NVRTC 13 compiles for."""

MOST_FOR_SMALL_TILES = 32 * 32
"""Elements of C that a block of one thread an element can have."""

WIDE_INDEX_ELEMENTS = 2**31 - 2**16
"""Elements of an operand from which offsets take 64 bits: 2^31, less what the last tile may reach past the edge."""


def _space() -> Space:
    s = Space("cuda_simt")
    level = s.add(choice("LEVEL", "registers", "shared", "coalesced", "naive"))
    staged = in_(level, "shared", "registers")
    block_m, block_n = s.add(pow2("BLOCK_M", 1, 256), pow2("BLOCK_N", 1, 256))
    s.require(covers_at_most_twice(block_m, problem.m, 1), "a tile of twice the rows computes padding")
    s.require(covers_at_most_twice(block_n, problem.n, 1), "a tile of twice the columns computes padding")
    s.require((level != "naive") | ((block_m > 1) & (block_n > 1)), "a tile of one row or column has one way to go")
    thread_m, thread_n = s.add(pow2("TM", 1, 16), pow2("TN", 1, 16))  # sums of one thread
    s.require((thread_m <= block_m) & (thread_n <= block_n), "a thread's tile lies in its block's")
    s.require(
        (thread_m * thread_n > 1) == (level == "registers"), "threads of several sums are what level registers is"
    )
    threads = s.derive("threads", block_m * block_n // (thread_m * thread_n))
    s.require(threads <= MAX_THREADS_PER_BLOCK, "a block has no more threads")
    s.require((threads >= WARP_THREADS) | (problem.m * problem.n < WARP_THREADS * WARP_THREADS), "a block fills a warp")
    s.require(
        (level == "registers") | (block_m * block_n >= 64) | (problem.m * problem.n < MOST_FOR_SMALL_TILES),
        "blocks of one warp leave half of a multiprocessor idle",
    )
    s.require(
        (level != "registers")
        | (block_m * block_n >= 64 * 64)
        | (tile_count(problem.m, problem.n, block_m, block_n) <= target.sm_count * FULL_WAVES),
        "small tiles read more than they compute, and so many are not needed to fill the chip",
    )
    s.require(
        thread_m * thread_n + thread_m + thread_n + ADDRESSING_REGISTERS
        <= registers_a_thread_may_have(max_(threads // WARP_THREADS, 1), target.registers_per_sm),
        "a thread's sums, operands and addresses must fit its registers",
    )
    block_k, pad, group, unroll = s.add(
        pow2("BLOCK_K", 4, 64, default=16),
        choice("PAD", 0, 4),  # floats between the rows of a staged tile: other banks, and still aligned to 16 bytes
        pow2("GROUP", 1, 8),  # rows of tiles that share B in L2
        pow2("UNROLL", 1, 8),  # turns of the loop over K
    )
    s.when(staged, [block_k, pad, group])
    s.when(~staged, unroll)
    s.require(covers_at_most_twice(block_k, problem.k, 4), "a tile of twice the depth computes padding")
    s.require((unroll == 1) | (unroll <= problem.k), "unrolling deeper than K does nothing")
    s.require((group == 1) | (group <= tile_count(problem.m, 1, block_m, 1)), "a group is no higher than the grid")
    s.require((group == 1) | (problem.n > block_n), "a single column of tiles has one order")
    loads = (block_m + block_n) * block_k
    s.require(loads >= threads, "most threads would load nothing")
    s.require(loads <= threads * 32, "so many loads of one thread wait in its registers")
    smem = s.derive("smem_bytes", (block_m + block_n + 2 * pad) * block_k * 4)
    s.require(smem <= STATIC_SMEM_BYTES, "tiles declared in the source must fit what every block may have")
    elements = max_(problem.m * problem.k, problem.k * problem.n, problem.m * problem.n)
    s.derive("wide_index", elements >= WIDE_INDEX_ELEMENTS)
    return s


def _supports(problem: Problem, target: Target) -> str | None:
    if not isinstance(target.device, Gpu) or int(target.device.arch.removeprefix("sm_")) < OLDEST_ARCH:
        return f"it runs on a GPU of sm_{OLDEST_ARCH} or later"
    if problem["dtype"] != "fp32" or problem["out_dtype"] != "fp32" or problem["acc_dtype"] != "fp32":
        return f"it computes fp32, not {problem['dtype']}"
    return plain_only(problem)


def _launch(problem: Problem, target: Target, values: Mapping[str, Any]) -> Launch:
    buffers = tuple(Argument(name, "*fp32") for name in "abc")
    sizes = tuple(Argument(letter.upper(), "i32", problem.dim(letter)) for letter in "mnk")
    tiles = -(-problem.dim("m") // values["BLOCK_M"]) * -(-problem.dim("n") // values["BLOCK_N"])
    return Launch("gemm_simt", (*buffers, *sizes), (tiles, 1, 1), block=(values["threads"], 1, 1))


_SEEDS = (
    # BLOCK_M, BLOCK_N, BLOCK_K, TM, TN
    (128, 128, 8, 8, 8),
    (128, 128, 16, 8, 8),
    (64, 128, 16, 8, 8),
    (64, 64, 16, 4, 4),
    (32, 64, 16, 4, 2),
)
"""Register tiles, for large products first. Source: S. Boehm, How to Optimize a CUDA Matmul Kernel (2022), kernel 10:
128 x 128 x 8 with 8 x 8 sums a thread. Not timed by us yet."""


def _seeds(problem: Problem, target: Target) -> list[dict[str, Any]]:
    """Guesses, one of each level at the end, so that the ladder is seen in every study."""
    names = ("BLOCK_M", "BLOCK_N", "BLOCK_K", "TM", "TN")
    register_tiles = [dict(zip(names, shape, strict=True)) for shape in _SEEDS]
    rest, one = {"PAD": 4, "GROUP": 4}, {"TM": 1, "TN": 1}
    return [
        *({"LEVEL": "registers", **tile, **rest} for tile in register_tiles),
        {"LEVEL": "shared", **one, "BLOCK_M": 32, "BLOCK_N": 32, "BLOCK_K": 32, **rest},
        {"LEVEL": "coalesced", **one, "BLOCK_M": 8, "BLOCK_N": 32, "UNROLL": 4},
        {"LEVEL": "naive", **one, "BLOCK_M": 32, "BLOCK_N": 8, "UNROLL": 4},
    ]


TEMPLATE = KernelTemplate(
    name="cuda_simt",
    op="gemm",
    backend="cuda",
    source="cuda_simt.cu.jinja",
    space=_space(),
    supports=_supports,
    launch=_launch,
    seeds=_seeds,
    work=work,
)
