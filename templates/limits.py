"""What hardware allows a tile: pure formulas over numbers or symbols, each with its source.

Every function takes parameters, `problem.*` and `target.*`, or plain numbers, and a template states it once in its
space; the compiler's own figures (tuner/backends/) have the last word.
"""

from __future__ import annotations

from ..spaces.expressions import Expr, Operand, as_expr
from ..spaces.functions import ceil_div, min_

MAX_REGISTERS_PER_THREAD = 255
"""32-bit registers one thread can name, from sm_35 on. Source: CUDA C++ Programming Guide, compute capabilities."""

MAX_THREADS_PER_BLOCK = 1024
WARP_THREADS = 32
"""Source of both: CUDA C++ Programming Guide, compute capabilities."""

STATIC_SMEM_BYTES = 48 * 1024
"""Shared memory a source may declare for a block. Source: CUDA C++ Programming Guide, compute capabilities."""

ADDRESSING_REGISTERS = 24
"""Registers a tile kernel needs beside its sums (pointers, masks, loop): 128 sums of a warpgroup took 152 to 168 in
all, 256 spilled 752 bytes (Triton 3.6 for sm_90, 2026-11-22, from ptxas)."""

MOST_SUMS_BESIDE_OTHERS = 64
"""Sums of a thread that needs as many registers again: with 128 triton_tma spilled 92 to 928 bytes (Triton 3.6.0 for
sm_90, 2026-11-23, from ptxas)."""

MIN_SUMS_PER_WARP = 16 * 16
"""Elements of C that keep a warp busy: two m16n8 tensor-core tiles. Source: PTX ISA, mma.m16n8k16."""

FULL_WAVES = 16
"""Blocks per multiprocessor past which more and smaller tiles can no longer fill the chip better."""

WITHOUT_TMA = ("sm_80", "sm_86", "sm_87", "sm_88", "sm_89")
"""Chips with tensor cores and asynchronous copies; TMA came with sm_90. Source: PTX ISA, cp.async.bulk.tensor."""

SMALL_TILE = 64 * 64
"""Elements of C under which a tile reads more than it computes: 64 x 64 does 32 FLOP a byte in bf16."""

WIDE_INDEX_ELEMENTS = 2**31 - 2**16
"""Elements of an array from which offsets take 64 bits: 2^31, less what the last tile may reach past the edge."""

MOST_SPLIT_WAVES = 4
"""Blocks a multiprocessor past which the tiles alone, or fewer parts of K, fill the chip as well."""

MOST_PARTIAL_BYTES = 256 << 20
"""Of partial sums: several times the L2 that they should stay in."""


def staged_smem_bytes(
    block_m: Operand, block_n: Operand, block_k: Operand, a_stages: Operand, b_stages: Operand, element_bytes: Operand
) -> Expr:
    """Shared memory of one block, bytes: as many tiles of A [m,k] and of B [k,n] as each has stages.

    Source: CUTLASS multistage GEMM; Triton 3.6 for sm_90 allocates exactly that for tiles of 64 rows and 4 warps or
    more, and a stage less where it multiplies from registers.
    """
    return (as_expr(a_stages) * block_m + as_expr(b_stages) * block_n) * block_k * element_bytes


def sums_per_thread(block_m: Operand, block_n: Operand, num_warps: Operand) -> Expr:
    """Accumulators of one thread, 32-bit registers: the tile of C shared out among 32 threads a warp."""
    return ceil_div(as_expr(block_m) * block_n, as_expr(num_warps) * 32)


def registers_a_thread_may_have(num_warps: Operand, registers_per_sm: Operand) -> Expr:
    """32-bit registers of one thread when a single block has the multiprocessor to itself.

    Source: CUDA C++ Programming Guide: a block's threads share the register file, 255 each at most.
    """
    return min_(MAX_REGISTERS_PER_THREAD, as_expr(registers_per_sm) // (as_expr(num_warps) * 32))


def tile_count(m: Operand, n: Operand, block_m: Operand, block_n: Operand) -> Expr:
    """Tiles of C, those over the edge included."""
    return ceil_div(m, block_m) * ceil_div(n, block_n)


def covers_at_most_twice(block: Operand, size: Operand, smallest: int = 16) -> Expr:
    """Whether a tile edge is under twice the dimension, or the smallest there is: the rest would be padding."""
    return (as_expr(block) == smallest) | (as_expr(block) < as_expr(size) * 2)
