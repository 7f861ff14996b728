"""cuda_wgmma: Hopper's own way in CUDA C++: TMA into a ring of stages, warpgroups that multiply from shared memory.

Cooperative (all warpgroups on one tile) or pingpong (each on its own, so that one stores while the other multiplies),
clusters that share loads or the depth, tiles of C or, with SWAP, of C transposed: then few rows of A are the columns of
a wgmma, of which it has 8 to 256.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...spaces.problems import Problem
from ...spaces.targets import Gpu, Target
from ..template import Argument, KernelTemplate, Launch
from ..tensor_map import Swizzle, TensorMap
from .launches import results
from .operands import Matrix, copies_bytes, operands, result
from .refusals import sums_dtype
from .wgmma_seeds import seeds
from .wgmma_space import LINE_BYTES, wgmma_space
from .wgmma_work import work

_DTYPES = ("bf16", "fp16", "tf32", "int8", "fp8e4m3", "fp8e5m2")

_LAYOUTS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("int8", "fp8e4m3", "fp8e5m2"), ("nt",)),
    "tf32": ("nt", "nn", "tt"),
}
"""A wgmma reads both operands along K, where they are not of 16 bits; one of tf32 may go through registers."""

COPY_THREADS = 256
"""Of a block that copies a row."""

_SWIZZLES: Mapping[int, Swizzle] = {32: "32B", 64: "64B", 128: "128B"}

_OUT_DTYPES = ("fp32", "bf16", "fp16", "int32", "fp8e4m3", "fp8e5m2")


def _supports(problem: Problem, target: Target) -> str | None:
    if not isinstance(target.device, Gpu) or target.device.arch != "sm_90":
        return "it runs on a GPU of sm_90: no other has wgmma"
    dtype, out = str(problem["dtype"]), str(problem["out_dtype"])
    if dtype not in _DTYPES or out not in _OUT_DTYPES:
        return f"it multiplies {', '.join(_DTYPES)} and stores {', '.join(_OUT_DTYPES)}, not {dtype} to {out}"
    if problem["acc_dtype"] != sums_dtype(problem):
        return "it sums in fp32, int8 in int32"
    if problem["layout"] not in _LAYOUTS.get(dtype, ("nn", "nt", "tn", "tt")):
        return f"of {dtype} it takes layouts {', '.join(_LAYOUTS[dtype])}, not {problem['layout']}"
    if problem["scales"] == "block128":
        return "it has no scales inside K"
    return None


def _launch(problem: Problem, target: Target, values: Mapping[str, Any]) -> Launch:
    swap, cluster = bool(values["SWAP"]), int(values["CLUSTER_M"] * values["CLUSTER_N"] * values["CLUSTER_K"])
    names, read = ("b", "a") if swap else ("a", "b"), {x.name: x for x in operands(problem, aligned=True)}
    sharers = (values["CLUSTER_N"], values["CLUSTER_M"])
    blocks, lines = (values["BLOCK_M"], values["BLOCK_N"]), (LINE_BYTES, values["Q_LINE_BYTES"])
    maps = [
        Argument(f"{role}_map", "map", tensor=_map(read[name], block, int(values["BLOCK_K"]), width, shared))
        for role, name, block, width, shared in zip("pq", names, blocks, lines, sharers, strict=True)
    ]
    if values["STORE"] in ("tma", "reuse"):
        line = int(values["C_LINE_BYTES"])
        maps.append(Argument("c_map", "map", tensor=_mapped(result(problem), (64, line // 2), _SWIZZLES[line])))
    clusters, splits = int(values["clusters"]), int(values["splits"])
    workspace: dict[str, int] = {}
    if values["SPLIT_K"] > 1:
        tiles = clusters * int(values["CLUSTER_M"] * values["CLUSTER_N"])
        tile_bytes = 4 * int(values["BLOCK_M"] * values["BLOCK_N"])
        workspace = {"partial": tiles * values["SPLIT_K"] * tile_bytes, "arrived": 4 * tiles * values["CLUSTER_K"]}
    extra = [Argument(name, "unsigned char *") for name in workspace]
    blocks_at_once = clusters * splits
    if splits == 1 and values["PROGRAMS"] != "tiles":
        blocks_at_once = min(clusters, _programs(target, values) // cluster)
    grid = blocks_at_once * (cluster if splits == 1 else cluster // values["CLUSTER_K"])
    return Launch(
        "gemm_wgmma",
        (*maps, *results(problem, "cuda"), *extra),
        (grid, 1, 1),
        block=(128 * (values["WARPGROUPS"] + 1), 1, 1),
        smem_bytes=int(values["smem_bytes"]),
        before=tuple(_copy_launch(x) for x in read.values() if x.copied),
        workspace=workspace | copies_bytes(*read.values()),
    )


def _programs(target: Target, values: Mapping[str, Any]) -> int:
    """Blocks that stay: as many as fit the chip, or of its multiprocessors a multiple of 8 only, 128 of 132."""
    assert isinstance(target.device, Gpu)
    count = target.device.sm_count
    return int((count if values["PROGRAMS"] == "all" else count // 16 * 16) * values["RESIDENT"])


def _map(read: Matrix, block: int, block_k: int, line: int, shared: int) -> TensorMap:
    """Of A or B in the boxes of one load: a line wide, the share of one block of a cluster high."""
    if read.dims[1] == "k":
        return _mapped(read, (block // shared, LINE_BYTES // read.element), "128B")
    return _mapped(read, (block_k // shared, line // read.element), _SWIZZLES[line])


def _mapped(matrix: Matrix, box: tuple[int, int], swizzle: Swizzle) -> TensorMap:
    """Its map; L2 fetches two lines at a time where rows begin at two.

    At 1000³ bf16 nt, rows of 2,000 bytes, one config took 7.90 µs so, and 7.49 with one line (H200, 2026-11-23).
    """
    return matrix.tensor(box, swizzle, "256B" if matrix.pitch_bytes % (2 * LINE_BYTES) == 0 else "128B")


def _copy_launch(copy: Matrix) -> Launch:
    """copy_rows(rows, copy, columns, pitch), one block a row."""
    arguments = (
        Argument(copy.name, "const in_t *"),
        Argument(copy.array, "in_t *"),
        Argument("columns", "i32", copy.columns),
        Argument("pitch", "i32", copy.pitch_bytes // copy.element),
    )
    return Launch("copy_rows", arguments, (copy.all_rows, 1, 1), block=(COPY_THREADS, 1, 1))


TEMPLATE = KernelTemplate(
    name="cuda_wgmma",
    op="gemm",
    backend="cuda",
    source="cuda_wgmma.cu.jinja",
    space=wgmma_space(),
    supports=_supports,
    launch=_launch,
    seeds=seeds,
    seeds_by_estimate=True,
    work=work,
)
