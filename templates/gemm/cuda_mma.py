"""cuda_mma: tensor cores by mma.sync, with tiles that cp.async brings and ldmatrix hands out: from Ampere on.

Any size, layout and batch. Rows that are not aligned to 16 bytes are copied before, or come in narrower pieces. SPLIT_K
shares K out among blocks, whose partial sums meet in a workspace: the block that arrives last adds them up (`last`), or
a second kernel does (`kernel`). Both add in a fixed order and give the same bits at every call.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...spaces.problems import DTYPE_BYTES, Problem
from ...spaces.targets import Gpu, Target
from ..template import Argument, KernelTemplate, Launch
from .cuda_mma_work import work
from .epilogue import epilogue_arguments
from .mma_space import CHUNK_BYTES, COPY_THREADS, COPY_TURNS, LINE_BYTES, SHARES, space
from .op import OP

DTYPES = ("bf16", "fp16", "tf32", "tf32x3", "int8", "fp8e4m3", "fp8e5m2")
OUT_DTYPES = ("bf16", "fp16", "fp32", "int32", "fp8e4m3", "fp8e5m2")

OLDEST_ARCH, FP8_ARCH = 80, 89
"""Compute capability times ten: cp.async came with sm_80, products and conversions of fp8 with sm_89."""

MOST_BATCHES = 65535
"""Blocks along z. Source: CUDA C++ Programming Guide, compute capabilities."""


def _supports(problem: Problem, target: Target) -> str | None:
    if not isinstance(target.device, Gpu) or _arch(target.device) < OLDEST_ARCH:
        return f"it runs on a GPU of sm_{OLDEST_ARCH} or later"
    dtype, out = str(problem["dtype"]), str(problem["out_dtype"])
    if dtype not in DTYPES:
        return f"it computes {', '.join(DTYPES)}, not {dtype}"
    if "fp8" in (dtype + out) and _arch(target.device) < FP8_ARCH:
        return f"it computes fp8 on a GPU of sm_{FP8_ARCH} or later"
    if problem["acc_dtype"] != ("int32" if dtype == "int8" else "fp32"):
        return f"it sums {dtype} in {'int32' if dtype == 'int8' else 'fp32'}, not {problem['acc_dtype']}"
    if out not in OUT_DTYPES or (out == "int32" and dtype != "int8"):
        return f"it does not store products of {dtype} as {out}"
    if problem["scales"] == "block128":
        return "it computes scales=none, tensor and row only, not block128"
    if problem.dim("batch") > MOST_BATCHES:
        return f"it computes {MOST_BATCHES:,} products side by side at most"
    return None


def _arch(device: Gpu) -> int:
    return int(device.arch.removeprefix("sm_").rstrip("af"))


def _launch(problem: Problem, target: Target, values: Mapping[str, Any]) -> Launch:
    split, batch = values["SPLIT_K"], problem.dim("batch")
    tiles = -(-problem.dim("m") // values["BLOCK_M"]) * -(-problem.dim("n") // values["BLOCK_N"])
    copies = _copies(problem) if values.get("UNALIGNED") == "copy" else {}
    workspace = {f"{name}_copy": rows * _pitch_bytes(problem, columns) for name, (rows, columns) in copies.items()}
    before = tuple(_copy_launch(problem, name, *shape) for name, shape in copies.items())
    taken = tuple(Argument(f"{name}_copy" if name in copies else name, "const in_t *") for name in "ab")
    written = (Argument("c", "out_t *"), *epilogue_arguments(problem, "cuda"))
    sizes = tuple(Argument(letter.upper(), "i32", problem.dim(letter)) for letter in "mnk")
    grid, block, smem_bytes = (tiles, split, batch), (values["threads"], 1, 1), values["smem_bytes"]
    if split == 1:
        return _kernel("gemm_mma", (*taken, *written, *sizes), grid, block, smem_bytes, before, workspace)
    partial = Argument("partial", "int4 *" if problem["dtype"] == "int8" else "float4 *")
    workspace["partial"] = tiles * batch * split * values["BLOCK_M"] * values["BLOCK_N"] * 4
    if values["SUM_UP"] == "last":
        workspace["arrived"] = tiles * batch * 4
        arguments = (*taken, *written, *sizes, partial, Argument("arrived", "unsigned *"))
        return _kernel("gemm_mma", arguments, grid, block, smem_bytes, before, workspace)
    product = _kernel("gemm_mma", (*taken, *sizes, partial), grid, block, smem_bytes)
    fragments = values["BLOCK_M"] // values["WARPS_M"] // 16
    return _kernel(
        "gemm_sum",
        (partial, *written, *sizes[:2]),
        (tiles, fragments, batch),
        block,
        0,
        (*before, product),
        workspace,
    )


def _kernel(
    entry: str,
    arguments: tuple[Argument, ...],
    grid: tuple[int, int, int],
    block: tuple[int, int, int],
    smem_bytes: int,
    before: tuple[Launch, ...] = (),
    workspace: Mapping[str, int] | None = None,
) -> Launch:
    return Launch(
        entry, arguments, grid, block=block, smem_bytes=smem_bytes, before=before, workspace=dict(workspace or {})
    )


def _copies(problem: Problem) -> dict[str, tuple[int, int]]:
    """Operands whose rows are not aligned: name -> rows, of all batches, and columns as they lie in memory."""
    element = DTYPE_BYTES[str(problem["dtype"])]
    inputs = [(buffer.name, buffer.shape) for buffer in OP.buffers(problem) if buffer.name in ("a", "b")]
    flat = {name: (problem.dim("batch") * rows, columns) for name, (*_, rows, columns) in inputs}
    return {name: (rows, columns) for name, (rows, columns) in flat.items() if columns * element % CHUNK_BYTES}


def _pitch_bytes(problem: Problem, columns: int) -> int:
    """From one row of a copy to the next: whole lines."""
    return -(-columns * DTYPE_BYTES[str(problem["dtype"])] // LINE_BYTES) * LINE_BYTES


def _copy_launch(problem: Problem, name: str, rows: int, columns: int) -> Launch:
    arguments = (
        Argument(name, "const unsigned *"),
        Argument(f"{name}_copy", "unsigned *"),
        Argument("COLS", "i32", columns),
        Argument("ROWS", "i64", rows),
    )
    blocks = rows * -(-_pitch_bytes(problem, columns) // (4 * COPY_THREADS * COPY_TURNS))
    return _kernel("copy_rows", arguments, (blocks, 1, 1), (COPY_THREADS, 1, 1), 0)


_SEEDS = (
    # BLOCK_M, BLOCK_N, bytes of K, WARPS_M, WARPS_N, STAGES, FRAGMENTS, STORE
    (128, 256, 64, 2, 4, 4, "double", "staged"),
    (128, 256, 128, 2, 4, 3, "double", "direct"),
    (128, 128, 64, 2, 2, 4, "double", "staged"),
    (256, 128, 64, 4, 2, 4, "across", "staged"),
    (128, 128, 128, 2, 2, 3, "double", "direct"),
    (128, 128, 64, 2, 4, 5, "across", "staged"),
    (64, 128, 64, 2, 2, 4, "double", "direct"),
    (128, 64, 128, 2, 2, 4, "double", "direct"),
    (64, 64, 128, 2, 2, 4, "double", "direct"),
    (32, 64, 128, 1, 2, 5, "double", "direct"),
    (16, 64, 128, 1, 2, 6, "double", "direct"),
    (16, 128, 256, 1, 4, 4, "double", "direct"),
)
"""Large tiles of 64 x 64 a warp first, as CUTLASS has them for sm_80; small ones for small problems. Not timed yet."""


def _seeds(problem: Problem, target: Target) -> list[dict[str, Any]]:
    """Each tile with as many shares of K as fill the chip."""
    assert isinstance(target.device, Gpu)
    element = DTYPE_BYTES[str(problem["dtype"])]
    names = ("BLOCK_M", "BLOCK_N", "BLOCK_K", "WARPS_M", "WARPS_N", "STAGES", "FRAGMENTS", "STORE")
    found = []
    for way in ("copy", "direct"):
        for m, n, k_bytes, *rest in _SEEDS:
            tiles = -(-problem.dim("m") // m) * -(-problem.dim("n") // n) * problem.dim("batch")
            turns = -(-problem.dim("k") * element // k_bytes)
            shares = max(1, min(target.device.sm_count // tiles, turns // 4, SHARES[-1]))
            split = max(known for known in SHARES if known <= shares)
            tile = dict(zip(names, (m, n, k_bytes // element, *rest), strict=True))
            shared = {"SPLIT_K": split, **({"SUM_UP": "last"} if split > 1 else {})}
            found.append({**tile, **shared, "ORDER": "m", "GROUP": 8, "RESIDENT": 1, "UNALIGNED": way})
    return found


TEMPLATE = KernelTemplate(
    name="cuda_mma",
    op="gemm",
    backend="cuda",
    source="cuda_mma.cu.jinja",
    space=space(),
    supports=_supports,
    launch=_launch,
    seeds=_seeds,
    work=work,
)
