"""triton_tiled: one tile of C per block, masked pointer tiles in grouped order; any size, layout and type on a GPU.

fp32 is multiplied in full (`input_precision="ieee"`): no tensor core, no tf32 rounding.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

from ...spaces.expressions import Expr
from ...spaces.functions import in_, max_, where
from ...spaces.parameters import choice, int_range, pow2
from ...spaces.problems import Problem
from ...spaces.space import Space
from ...spaces.symbols import problem, target
from ...spaces.targets import Gpu, Target
from ..limits import (
    ADDRESSING_REGISTERS,
    FULL_WAVES,
    MIN_SUMS_PER_WARP,
    SMALL_TILE,
    covers_at_most_twice,
    registers_a_thread_may_have,
    staged_smem_bytes,
    sums_per_thread,
    tile_count,
)
from ..template import Argument, KernelTemplate, Launch
from ..tensor_map import TRITON_DTYPES
from .epilogue import SCALED_BLOCK, epilogue_arguments
from .op import OP
from .triton_work import work

_FLOATS = ("bf16", "fp16", "fp32", "fp8e4m3", "fp8e5m2")
_OUT_DTYPES: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("bf16", "fp16", "fp32", "tf32", "tf32x3", "fp8e4m3", "fp8e5m2"), _FLOATS),
    "int8": ("int32", "bf16", "fp16", "fp32"),
}
_BUFFERS = (("a", "dtype"), ("b", "dtype"), ("c", "out_dtype"))

OLDEST_ARCH, FP8_ARCH = 80, 89
"""Compute capability times ten: asynchronous copies, which the pipeline is made of, came with sm_80; fp8 with sm_89."""

ALIGNED_BYTES, LINE_BYTES = 16, 128
"""Of the widest load, and what rows of a copy begin at multiples of."""

MOST_SUMS_BESIDE_OTHERS = 64
"""Sums of a thread that needs as many registers again. Source: triton_tma_space.py."""

WIDE_INDEX_ELEMENTS = 2**31 - 2**16
"""Elements of an operand from which offsets take 64 bits: 2^31, less what the last tile may reach past the edge."""


def _space() -> Space:
    s = Space("triton_tiled")
    block_m, block_n, num_warps = s.add(pow2("BLOCK_M", 16, 256), pow2("BLOCK_N", 16, 256), pow2("num_warps", 1, 8))
    s.require(covers_at_most_twice(block_m, problem.m), "a tile of twice the rows computes padding")
    s.require(covers_at_most_twice(block_n, problem.n), "a tile of twice the columns computes padding")
    tiles = tile_count(problem.m, problem.n, block_m, block_n)
    s.require(
        (block_m * block_n >= SMALL_TILE) | (tiles <= target.sm_count * FULL_WAVES),
        "small tiles read more than they compute, and so many are not needed to fill the chip",
    )
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
    a_columns = where(in_(problem.layout, "nn", "nt"), problem.k, problem.m)  # of A as it lies in memory
    b_columns = where(in_(problem.layout, "nn", "tn"), problem.n, problem.k)
    # Elements of four bytes are copied asynchronously one by one.
    a_unaligned = (problem.a_bytes <= 2) & (a_columns * problem.a_bytes % ALIGNED_BYTES != 0)
    b_unaligned = (problem.b_bytes <= 2) & (b_columns * problem.b_bytes % ALIGNED_BYTES != 0)
    # Rows that are not aligned take one tile only, in passing, unless they are copied: the larger need counts.
    smem = s.derive("smem_bytes", staged_smem_bytes(block_m, block_n, block_k, num_stages, num_stages, problem.a_bytes))
    s.require(smem <= target.smem_per_block_bytes, "the stages of A and B must fit a block's shared memory")
    s.require((num_stages == 1) | (block_k * (num_stages - 1) < problem.k), "stages past the end of K stay empty")
    order, group = s.add(choice("ORDER", "m", "n"), pow2("GROUP", 1, 16, default=8))
    rows, columns = tile_count(problem.m, 1, block_m, 1), tile_count(1, problem.n, 1, block_n)
    s.require((order != "m") | (group == 1) | (group <= rows), "a group is no higher than the grid of tiles")
    s.require((order != "n") | (group == 1) | (group <= columns), "a group is no wider than the grid of tiles")
    s.require((rows > 1) & (columns > 1) | ((order == "m") & (group == 1)), "a single row of tiles has one order")
    edge, k_tail, unaligned = s.add(
        choice("EDGE", "mask", "wrap"),  # loads over the edge of M and N: masked, or wrapped around
        choice("K_TAIL", "mask", "peel"),  # the rest of K: a mask in every turn, or a turn of its own
        # Rows not 16-byte aligned: narrow loads, wide ones and a shift, or a copy with aligned rows before the product.
        choice("UNALIGNED", "direct", "chunks", "copy"),
    )
    s.when((problem.m % block_m != 0) | (problem.n % block_n != 0), edge)
    s.when(problem.k % block_k != 0, k_tail)
    s.when(a_unaligned | b_unaligned, unaligned)
    s.require((unaligned != "chunks") | (problem.a_bytes == 2), "words are shifted by 16 bits only")
    s.require((unaligned == "direct") | (k_tail == "mask"), "chunks and copies reach past K: no turn can stand apart")
    elements = max_(problem.m * problem.k, problem.k * problem.n, problem.m * problem.n) * problem.batch
    s.derive("wide_index", elements >= WIDE_INDEX_ELEMENTS)
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
    if not isinstance(target.device, Gpu) or _arch(target.device) < OLDEST_ARCH:
        return f"it runs on a GPU of sm_{OLDEST_ARCH} or later"
    dtype, out = str(problem["dtype"]), str(problem["out_dtype"])
    if dtype not in _OUT_DTYPES:
        return f"it computes {', '.join(_OUT_DTYPES)}, not {dtype}"
    if "fp8" in dtype + out and _arch(target.device) < FP8_ARCH:
        return f"it computes fp8 on a GPU of sm_{FP8_ARCH} or later"
    if out not in _OUT_DTYPES[dtype]:
        return f"of {dtype} it stores {', '.join(_OUT_DTYPES[dtype])}, not {out}"
    summed = "int32" if dtype == "int8" else "fp32"
    if problem["acc_dtype"] != summed:
        return f"it sums {dtype} in {summed}, not in {problem['acc_dtype']}"
    return None


def _arch(device: Gpu) -> int:
    return int(device.arch.removeprefix("sm_").rstrip("af"))


def _launch(problem: Problem, target: Target, values: Mapping[str, Any]) -> Launch:
    copies = _copies(problem) if values.get("UNALIGNED") == "copy" else {}
    buffers = (
        Argument(f"{name}_copy" if name in copies else name, f"*{TRITON_DTYPES[str(problem[kind])]}")
        for name, kind in _BUFFERS
    )
    sizes = tuple(Argument(letter.upper(), "i32", problem.dim(letter)) for letter in "mnk")
    tiles = -(-problem.dim("m") // values["BLOCK_M"]) * -(-problem.dim("n") // values["BLOCK_N"])
    options = {name: values[name] for name in ("num_warps", "num_stages")}
    return Launch(
        "gemm_tiled",
        (*buffers, *epilogue_arguments(problem, "triton"), *sizes),
        (tiles, problem.dim("batch"), 1),
        options,
        before=tuple(_copy_launch(problem, name, *shape) for name, shape in copies.items()),
        workspace={f"{name}_copy": rows * _pitch_bytes(problem, columns) for name, (rows, columns) in copies.items()},
    )


def _copies(problem: Problem) -> dict[str, tuple[int, int]]:
    """Operands whose rows are not aligned: name -> rows, of all batches, and columns as they lie in memory."""
    element = problem.dim("a_bytes")
    shapes = {buffer.name: buffer.shape for buffer in OP.buffers(problem) if buffer.name in ("a", "b")}
    lying = {name: (prod(shape[:-1]), shape[-1]) for name, shape in shapes.items()}
    return {name: shape for name, shape in lying.items() if shape[1] * element % ALIGNED_BYTES}


def _pitch_bytes(problem: Problem, columns: int) -> int:
    """From one row of a copy to the next: whole lines."""
    return -(-columns * problem.dim("a_bytes") // LINE_BYTES) * LINE_BYTES


def _copy_launch(problem: Problem, name: str, rows: int, columns: int) -> Launch:
    pointer = f"*{TRITON_DTYPES[str(problem['dtype'])]}"
    arguments = (Argument(name, pointer), Argument(f"{name}_copy", pointer), Argument("COLS", "i32", columns))
    blocks = rows * -(-_pitch_bytes(problem, columns) // (COPY_BLOCK * problem.dim("a_bytes")))
    return Launch("copy_rows", arguments, (blocks, 1, 1), {"num_warps": 4, "num_stages": 1})


COPY_BLOCK = 1024
"""Elements one block copies: eight independent loads a thread of four warps."""

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
    work=work,
)
