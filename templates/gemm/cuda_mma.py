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
from .launches import results, sizes, tiles_of
from .mma_space import COPY_THREADS, COPY_TURNS, SHARES, space
from .operands import Matrix, copies_bytes, operands
from .refusals import TENSOR_ARCH, before_fp8, block_scales, many_batches, other_chip, other_dtype, other_sums

DTYPES = ("bf16", "fp16", "tf32", "tf32x3", "int8", "fp8e4m3", "fp8e5m2")
OUT_DTYPES = ("bf16", "fp16", "fp32", "int32", "fp8e4m3", "fp8e5m2")


def _supports(problem: Problem, target: Target) -> str | None:
    reason = other_chip(target, TENSOR_ARCH) or other_dtype(problem, DTYPES) or before_fp8(problem, target)
    if reason is not None:
        return reason
    dtype, out = problem["dtype"], problem["out_dtype"]
    stored = out in OUT_DTYPES and (out != "int32" or dtype == "int8")
    return (
        other_sums(problem)
        or (None if stored else f"it does not store products of {dtype} as {out}")
        or block_scales(problem)
        or many_batches(problem)
    )


def _launch(problem: Problem, target: Target, values: Mapping[str, Any]) -> Launch:
    split, batch = values["SPLIT_K"], problem.dim("batch")
    tiles, read = tiles_of(problem, values), operands(problem, aligned=values.get("UNALIGNED") == "copy")
    before, workspace = tuple(_copy_launch(x) for x in read if x.copied), copies_bytes(*read)
    taken = tuple(Argument(x.array, "const in_t *") for x in read)
    written, counted = results(problem, "cuda"), sizes(problem)
    grid, block, smem_bytes = (tiles, split, batch), (values["threads"], 1, 1), values["smem_bytes"]
    if split == 1:
        return _kernel("gemm_mma", (*taken, *written, *counted), grid, block, smem_bytes, before, workspace)
    partial = Argument("partial", "int4 *" if problem["dtype"] == "int8" else "float4 *")
    workspace["partial"] = tiles * batch * split * values["BLOCK_M"] * values["BLOCK_N"] * 4
    if values["SUM_UP"] == "last":
        workspace["arrived"] = tiles * batch * 4
        arguments = (*taken, *written, *counted, partial, Argument("arrived", "unsigned *"))
        return _kernel("gemm_mma", arguments, grid, block, smem_bytes, before, workspace)
    product = _kernel("gemm_mma", (*taken, *counted, partial), grid, block, smem_bytes)
    fragments = values["BLOCK_M"] // values["WARPS_M"] // 16
    return _kernel(
        "gemm_sum",
        (partial, *written, *sizes(problem, "mn")),
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


def _copy_launch(copy: Matrix) -> Launch:
    arguments = (
        Argument(copy.name, "const unsigned *"),
        Argument(copy.array, "unsigned *"),
        Argument("COLS", "i32", copy.columns),
        Argument("ROWS", "i64", copy.all_rows),
    )
    blocks = copy.all_rows * -(-copy.pitch_bytes // (4 * COPY_THREADS * COPY_TURNS))
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
    seeds_by_estimate=True,
    work=work,
)
