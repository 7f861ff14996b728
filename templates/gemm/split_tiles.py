"""What triton_splitk and triton_streamk have in common: tiles, how operands are loaded, what both can compute.

The sources' side is tiles.py.jinja.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...spaces.expressions import Expr, Operand, Symbol, as_expr
from ...spaces.functions import in_, min_
from ...spaces.parameters import choice, int_range, pow2
from ...spaces.problems import DTYPE_BYTES, Problem
from ...spaces.space import Space
from ...spaces.symbols import problem, target
from ...spaces.targets import Gpu, Target
from ..chips import SYSTEM_SMEM_BYTES, capability
from ..limits import (
    ADDRESSING_REGISTERS,
    MAX_REGISTERS_PER_THREAD,
    MIN_SUMS_PER_WARP,
    WIDE_INDEX_ELEMENTS,
    WITHOUT_TMA,
    covers_at_most_twice,
    staged_smem_bytes,
    sums_per_thread,
)
from ..template import Argument
from ..tensor_map import ALIGNED_BYTES
from .copies import COPY_BLOCK
from .launches import tiles_of
from .layouts import largest_array, row_bytes, unaligned
from .operands import Matrix, operands
from .refusals import FP8_ARCH, TENSOR_ARCH, block_scales, other_chip, other_dtype, other_sums

DTYPES = ("bf16", "fp16", "fp32", "tf32", "tf32x3", "int8", "fp8e4m3", "fp8e5m2")

SMALLEST_DEPTH = 16
"""Elements of K of a tensor-core product of 16 bits; of 8 bits twice that. Source: PTX ISA, mma.m16n8k16 and k32."""


@dataclass(frozen=True, slots=True)
class Tiles:
    """Symbols of a space's tiles, and what follows from them."""

    block_m: Symbol
    block_n: Symbol
    block_k: Symbol
    num_warps: Symbol
    rows: Expr  # of tiles
    columns: Expr
    turns: Expr  # of the loop over K

    @property
    def count(self) -> Expr:
        return self.rows * self.columns


def add_tiles(s: Space, resident: Operand = 1) -> Tiles:
    """Parameters that both have, and their limits where a multiprocessor holds `resident` blocks at once."""
    block_m, block_n, num_warps = s.add(pow2("BLOCK_M", 16, 256), pow2("BLOCK_N", 16, 256), pow2("num_warps", 1, 8))
    s.require(covers_at_most_twice(block_m, problem.m), "a tile of twice the rows computes padding")
    s.require(covers_at_most_twice(block_n, problem.n), "a tile of twice the columns computes padding")
    s.require(block_m * block_n >= num_warps * MIN_SUMS_PER_WARP, "a warp needs at least two tensor-core tiles of work")
    registers = min_(MAX_REGISTERS_PER_THREAD, target.registers_per_sm // (num_warps * 32 * as_expr(resident)))
    s.require(
        sums_per_thread(block_m, block_n, num_warps) + ADDRESSING_REGISTERS <= registers,
        "a thread's sums and addresses must fit its registers",
    )
    block_k, num_stages = s.add(pow2("BLOCK_K", 16, 256), int_range("num_stages", 1, 8, default=3))
    s.require((problem.a_bytes > 1) | (block_k > SMALLEST_DEPTH), "products of 8 bits are 32 deep")
    smem = s.derive("smem_bytes", staged_smem_bytes(block_m, block_n, block_k, num_stages, num_stages, problem.a_bytes))
    s.require(
        (smem + SYSTEM_SMEM_BYTES) * resident <= target.smem_per_block_bytes + SYSTEM_SMEM_BYTES,
        "the stages of A and B must fit shared memory",
    )
    _add_loads(s, block_m, block_n, block_k)
    s.derive("wide_index", largest_array() * problem.batch >= WIDE_INDEX_ELEMENTS)
    s.derive("COPY_BLOCK", COPY_BLOCK)
    rows, columns, turns = (-(-size // block) for size, block in _sized(block_m, block_n, block_k))
    return Tiles(block_m, block_n, block_k, num_warps, rows, columns, turns)


def _sized(block_m: Symbol, block_n: Symbol, block_k: Symbol) -> tuple[tuple[Expr, Symbol], ...]:
    return ((problem.m, block_m), (problem.n, block_n), (problem.k, block_k))


def _add_loads(s: Space, block_m: Symbol, block_n: Symbol, block_k: Symbol) -> None:
    """Through descriptors or pointers; rows that are not aligned as they are, or from a copy where they are."""
    loads = s.add(choice("LOADS", "tma", "copied_tma", "copied_pointer", "pointer"))
    aligned = ~unaligned("a") & ~unaligned("b")
    s.require(~in_(loads, "tma", "copied_tma") | ~in_(target.arch, *WITHOUT_TMA), "TMA came with sm_90")
    s.require((loads != "tma") | aligned, "rows that TMA copies begin at multiples of 16 bytes")
    s.require(~in_(loads, "copied_tma", "copied_pointer") | ~aligned, "rows that are aligned are not copied")
    a_row, b_row = row_bytes("a", block_m, block_k), row_bytes("b", block_n, block_k)
    s.require(
        ~in_(loads, "tma", "copied_tma") | (min_(a_row, b_row) >= 2 * ALIGNED_BYTES),
        "a tile's rows are at least the 32 bytes that TMA swizzles",
    )


def refusal(problem: Problem, target: Target) -> str | None:
    """Why neither template can compute the problem on the target, or None."""
    reason = other_chip(target, TENSOR_ARCH) or other_dtype(problem, DTYPES)
    if reason is not None:
        return reason
    assert isinstance(target.device, Gpu)
    dtype = str(problem["dtype"])
    if dtype.startswith("fp8") and capability(target.device) < FP8_ARCH:
        return f"it multiplies {dtype} on a GPU of sm_{FP8_ARCH} or later"
    reason = other_sums(problem)
    if reason is not None:
        return reason
    if problem["batch"] != 1:
        return f"it computes batch=1 only, not {problem['batch']}"
    if problem["scales"] == "block128":
        return block_scales(problem)
    depth = SMALLEST_DEPTH * (2 if DTYPE_BYTES[dtype] == 1 else 1)
    if problem.dim("k") <= depth:
        return f"it shares out K among programs, and {problem.dim('k')} is one turn of {depth}"
    return None


def fewest_tiles(problem: Problem) -> int:
    """Of C, with the largest whose sums fit the registers."""
    shapes = ({"BLOCK_M": 128, "BLOCK_N": 256}, {"BLOCK_M": 256, "BLOCK_N": 128})
    return min(tiles_of(problem, shape) for shape in shapes)


def fitting_tiles(problem: Problem, tiles: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Those not much larger than C, or the last one."""
    m, n = max(problem.dim("m"), 16), max(problem.dim("n"), 16)
    return [tile for tile in tiles if tile[0] < 2 * m and tile[1] < 2 * n] or [tiles[-1]]


def tile_seed(problem: Problem, target: Target, tile: tuple[int, ...]) -> dict[str, Any]:
    """A tile of 16-bit elements in the problem's type, loaded the way that is likely best: by TMA where there is one,
    from copies where rows are not aligned."""
    assert isinstance(target.device, Gpu)
    guess: dict[str, Any] = dict(zip(("BLOCK_M", "BLOCK_N", "BLOCK_K", "num_stages", "num_warps"), tile, strict=True))
    copied = "copied_" if any(x.unaligned for x in operands(problem)) else ""
    loads = copied + ("pointer" if target.device.arch in WITHOUT_TMA else "tma")
    return guess | {"BLOCK_K": min(tile[2] * 2 // problem.dim("a_bytes"), 256), "LOADS": loads}


def read(problem: Problem, values: Mapping[str, Any]) -> tuple[Matrix, Matrix]:
    """A and B, or their copies."""
    return operands(problem, aligned=values["LOADS"] in ("copied_tma", "copied_pointer"))


def inputs(problem: Problem, values: Mapping[str, Any]) -> tuple[Argument, ...]:
    """Both as a kernel takes them: descriptors or pointers."""
    blocks = {letter: values[f"BLOCK_{letter.upper()}"] for letter in "mnk"}
    by_tma = values["LOADS"] in ("tma", "copied_tma")
    return tuple(x.descriptor(blocks) if by_tma else x.pointer() for x in read(problem, values))
