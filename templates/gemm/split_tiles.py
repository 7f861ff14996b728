"""What triton_splitk and triton_streamk have in common: tiles, how operands are loaded, what both can compute.

The sources' side is tiles.py.jinja.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...spaces.expressions import Expr, Operand, Symbol, as_expr
from ...spaces.functions import in_, max_, min_, where
from ...spaces.parameters import choice, int_range, pow2
from ...spaces.problems import DTYPE_BYTES, Problem
from ...spaces.space import Space
from ...spaces.symbols import problem, target
from ...spaces.targets import Gpu, Target
from ..limits import (
    ADDRESSING_REGISTERS,
    MAX_REGISTERS_PER_THREAD,
    MIN_SUMS_PER_WARP,
    covers_at_most_twice,
    staged_smem_bytes,
    sums_per_thread,
)
from ..template import Argument, Launch
from ..tensor_map import TRITON_DTYPES, TensorMap
from .epilogue import epilogue_arguments
from .op import OP

DTYPES = ("bf16", "fp16", "fp32", "tf32", "tf32x3", "int8", "fp8e4m3", "fp8e5m2")

OLDEST_ARCH, FP8_ARCH = 80, 89
"""Compute capability times ten: asynchronous copies came with sm_80, products of fp8 with sm_89."""

WITHOUT_TMA = ("sm_75", "sm_80", "sm_86", "sm_87", "sm_88", "sm_89")

ALIGNED_BYTES, LINE_BYTES = 16, 128
"""What rows begin at a multiple of for TMA and for wide loads; and in a copy."""

COPY_BLOCK = 1024
"""Elements one block copies: eight independent loads a thread of four warps."""

WIDE_INDEX_ELEMENTS = 2**31 - 2**16
"""Elements of an array from which offsets take 64 bits: 2^31, less what the last tile may reach past the edge."""

SMALLEST_DEPTH = 16
"""Elements of K of a tensor-core product of 16 bits; of 8 bits twice that. Source: PTX ISA, mma.m16n8k16 and k32."""

SYSTEM_SMEM_BYTES = 1024
"""Shared memory of every block that is the system's. Source: CUDA C++ Programming Guide."""


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
    elements = max_(problem.m * problem.k, problem.k * problem.n, problem.m * problem.n)
    s.derive("wide_index", elements >= WIDE_INDEX_ELEMENTS)
    s.derive("COPY_BLOCK", COPY_BLOCK)
    rows, columns, turns = (-(-size // block) for size, block in _sized(block_m, block_n, block_k))
    return Tiles(block_m, block_n, block_k, num_warps, rows, columns, turns)


def _sized(block_m: Symbol, block_n: Symbol, block_k: Symbol) -> tuple[tuple[Expr, Symbol], ...]:
    return ((problem.m, block_m), (problem.n, block_n), (problem.k, block_k))


def _add_loads(s: Space, block_m: Symbol, block_n: Symbol, block_k: Symbol) -> None:
    """Through descriptors or pointers; rows that are not aligned as they are, or from a copy where they are."""
    loads = s.add(choice("LOADS", "tma", "copied_tma", "copied_pointer", "pointer"))
    a_columns = where(in_(problem.layout, "nn", "nt"), problem.k, problem.m)  # of A as it lies in memory
    b_columns = where(in_(problem.layout, "nn", "tn"), problem.n, problem.k)
    aligned = (a_columns * problem.a_bytes % ALIGNED_BYTES == 0) & (b_columns * problem.b_bytes % ALIGNED_BYTES == 0)
    s.require(~in_(loads, "tma", "copied_tma") | ~in_(target.arch, *WITHOUT_TMA), "TMA came with sm_90")
    s.require((loads != "tma") | aligned, "rows that TMA copies begin at multiples of 16 bytes")
    s.require(~in_(loads, "copied_tma", "copied_pointer") | ~aligned, "rows that are aligned are not copied")
    a_row = where(in_(problem.layout, "nn", "nt"), block_k, block_m) * problem.a_bytes
    b_row = where(in_(problem.layout, "nn", "tn"), block_n, block_k) * problem.b_bytes
    s.require(
        ~in_(loads, "tma", "copied_tma") | (min_(a_row, b_row) >= 2 * ALIGNED_BYTES),
        "a tile's rows are at least the 32 bytes that TMA swizzles",
    )


def refusal(problem: Problem, target: Target) -> str | None:
    """Why neither template can compute the problem on the target, or None."""
    if not isinstance(target.device, Gpu) or _arch(target.device) < OLDEST_ARCH:
        return f"it runs on a GPU of sm_{OLDEST_ARCH} or later"
    dtype = str(problem["dtype"])
    if dtype not in DTYPES:
        return f"it computes {', '.join(DTYPES)}, not {dtype}"
    if dtype.startswith("fp8") and _arch(target.device) < FP8_ARCH:
        return f"it multiplies {dtype} on a GPU of sm_{FP8_ARCH} or later"
    if problem["acc_dtype"] != ("int32" if dtype == "int8" else "fp32"):
        return f"it sums {dtype} in {'int32' if dtype == 'int8' else 'fp32'}, not {problem['acc_dtype']}"
    if problem["batch"] != 1:
        return f"it computes batch=1 only, not {problem['batch']}"
    if problem["scales"] == "block128":
        return "it computes scales=none, tensor and row only, not block128"
    depth = SMALLEST_DEPTH * (2 if DTYPE_BYTES[dtype] == 1 else 1)
    if problem.dim("k") <= depth:
        return f"it shares out K among programs, and {problem.dim('k')} is one turn of {depth}"
    return None


def _arch(device: Gpu) -> int:
    return int(device.arch.removeprefix("sm_").rstrip("af"))


def likely_loads(problem: Problem, target: Target) -> str:
    """The way operands are best loaded: through TMA where there is one, from copies where rows are not aligned."""
    assert isinstance(target.device, Gpu)
    element = DTYPE_BYTES[str(problem["dtype"])]
    shapes = [buffer.shape for buffer in OP.buffers(problem) if buffer.name in ("a", "b")]
    copied = "" if all(shape[-1] * element % ALIGNED_BYTES == 0 for shape in shapes) else "copied_"
    return copied + ("pointer" if target.device.arch in WITHOUT_TMA else "tma")


def sums_dtype(problem: Problem) -> str:
    """Of partial sums."""
    return "int32" if problem["dtype"] == "int8" else "fp32"


def operands(problem: Problem, values: Mapping[str, Any]) -> tuple[Argument, ...]:
    """A and B as a kernel takes them: descriptors or pointers, of the arrays or of their copies."""
    blocks = {letter: values[f"BLOCK_{letter.upper()}"] for letter in "mnk"}
    layout, dtype = str(problem["layout"]), str(problem["dtype"])
    tiles = {"a": "mk" if layout[0] == "n" else "km", "b": "kn" if layout[1] == "n" else "nk"}
    copied = _copied(problem, values)
    found = []
    for name, dims in tiles.items():
        array = f"{name}_copy" if name in copied else name
        rows, columns = (problem.dim(letter) for letter in dims)
        if values["LOADS"] in ("tma", "copied_tma"):
            pitch = _pitch_bytes(columns, dtype) if name in copied else None
            tensor = TensorMap.row_major(array, dtype, (rows, columns), pitch_bytes=pitch)
            found.append(Argument(array, tensor.triton_type(*(blocks[letter] for letter in dims)), tensor=tensor))
        else:
            found.append(Argument(array, f"*{TRITON_DTYPES[dtype]}"))
    return tuple(found)


def results(problem: Problem) -> tuple[Argument, ...]:
    """C, and what the epilogue reads."""
    return (Argument("c", f"*{TRITON_DTYPES[str(problem['out_dtype'])]}"), *epilogue_arguments(problem, "triton"))


def sizes(problem: Problem, letters: str = "mnk") -> tuple[Argument, ...]:
    """M, N and K, or those of them that a kernel takes."""
    return tuple(Argument(letter.upper(), "i32", problem.dim(letter)) for letter in letters)


def copies(problem: Problem, values: Mapping[str, Any]) -> tuple[Launch, ...]:
    """Kernels that copy operands whose rows are not aligned, before anything else."""
    return tuple(
        _copy_launch(problem, name, rows, columns) for name, (rows, columns) in _copied(problem, values).items()
    )


def copies_bytes(problem: Problem, values: Mapping[str, Any]) -> dict[str, int]:
    """Arrays of the workspace that they fill."""
    dtype = str(problem["dtype"])
    return {
        f"{name}_copy": rows * _pitch_bytes(columns, dtype)
        for name, (rows, columns) in _copied(problem, values).items()
    }


def _copied(problem: Problem, values: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """Operands that are copied: name -> rows and columns as they lie in memory."""
    if values["LOADS"] not in ("copied_tma", "copied_pointer"):
        return {}
    element = DTYPE_BYTES[str(problem["dtype"])]
    inputs = [(buffer.name, buffer.shape) for buffer in OP.buffers(problem) if buffer.name in ("a", "b")]
    return {name: (rows, columns) for name, (rows, columns) in inputs if columns * element % ALIGNED_BYTES}


def _pitch_bytes(columns: int, dtype: str) -> int:
    """From one row of a copy to the next: whole lines."""
    return -(-columns * DTYPE_BYTES[dtype] // LINE_BYTES) * LINE_BYTES


def _copy_launch(problem: Problem, name: str, rows: int, columns: int) -> Launch:
    dtype = str(problem["dtype"])
    pointer = f"*{TRITON_DTYPES[dtype]}"
    arguments = (Argument(name, pointer), Argument(f"{name}_copy", pointer), Argument("COLS", "i32", columns))
    blocks = rows * -(-_pitch_bytes(columns, dtype) // DTYPE_BYTES[dtype] // COPY_BLOCK)
    return Launch("copy_rows", arguments, (blocks, 1, 1), {"num_warps": 4, "num_stages": 1})
