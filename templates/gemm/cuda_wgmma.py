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
from .wgmma_space import LINE_BYTES, SWAPPED_ROWS, wgmma_space
from .wgmma_work import work

_DTYPES = ("bf16", "fp16", "tf32", "int8", "fp8e4m3", "fp8e5m2")

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
    if problem.dim("a_bytes") != 2 and problem["layout"] != "nt":
        return f"a wgmma of {dtype} takes both operands along K: layout nt, not {problem['layout']}"
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
    if values["STORE"] != "direct":
        line = int(values["C_LINE_BYTES"])
        maps.append(Argument("c_map", "map", tensor=result(problem).tensor((64, line // 2), _SWIZZLES[line], "256B")))
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
        return read.tensor((block // shared, LINE_BYTES // read.element), "128B", "256B")
    return read.tensor((block_k // shared, line // read.element), _SWIZZLES[line], "256B")


def _copy_launch(copy: Matrix) -> Launch:
    """copy_rows(rows, copy, columns, pitch), one block a row."""
    arguments = (
        Argument(copy.name, "const in_t *"),
        Argument(copy.array, "in_t *"),
        Argument("columns", "i32", copy.columns),
        Argument("pitch", "i32", copy.pitch_bytes // copy.element),
    )
    return Launch("copy_rows", arguments, (copy.all_rows, 1, 1), block=(COPY_THREADS, 1, 1))


_SEEDS = (
    # SCHEDULE, WARPGROUPS, ROWS, BLOCK_N, STAGES, CLUSTER_M, CLUSTER_N, PARTS, GROUP
    ("cooperative", 2, 1, 256, 4, 1, 1, 2, 8),
    ("cooperative", 2, 1, 256, 4, 2, 1, 2, 8),
    ("cooperative", 2, 2, 128, 4, 1, 2, 2, 8),
    ("pingpong", 2, 2, 128, 5, 2, 1, 1, 8),
    ("cooperative", 2, 1, 192, 5, 2, 1, 1, 8),
    ("pingpong", 2, 1, 256, 4, 1, 1, 1, 8),
    ("cooperative", 2, 1, 128, 6, 2, 1, 1, 8),
    ("cooperative", 2, 1, 64, 8, 2, 1, 1, 8),
    ("cooperative", 1, 1, 128, 6, 1, 1, 1, 4),
    ("cooperative", 1, 1, 128, 8, 2, 1, 1, 4),
    ("cooperative", 1, 1, 128, 8, 2, 2, 1, 4),
    ("cooperative", 2, 1, 128, 6, 1, 2, 1, 4),
    ("cooperative", 2, 1, 192, 4, 2, 1, 1, 2),
)
"""For large products. Source of the first: P. Shah, fast.cu (2024): 128 x 256 with clusters of two; of the others:
quack's list for sm_90. None timed by us yet."""


def _seeds(problem: Problem, target: Target) -> list[dict[str, Any]]:
    """Guesses for large products; for few tiles, whose depth is shared out; for few rows."""
    names = ("SCHEDULE", "WARPGROUPS", "ROWS", "BLOCK_N", "STAGES", "CLUSTER_M", "CLUSTER_N", "PARTS", "GROUP")
    rest = {"BLOCK_K": 128 // problem.dim("a_bytes"), "STORE": "tma", "ORDER": "m", "OVERLAP": True, "SWAP": False}
    rest |= {"CLUSTER_K": 1, "SPLIT_K": 1, "RESIDENT": 1, "SERPENTINE": False, "PROGRAMS": "all"}
    large = [{**rest, **dict(zip(names, values, strict=True))} for values in _SEEDS]
    shared = {**large[6], "CLUSTER_M": 1, "STORE": "direct"}
    m = problem.dim("m")
    if m <= SWAPPED_ROWS:
        tokens = next(width for width in (8, 16, 24, 32, 48, 64, 96, 128, 192, 256) if width >= m)
        few = {**shared, "SWAP": True, "BLOCK_N": tokens, "STAGES": 8 if tokens < 128 else 4}
        ways = ({"CLUSTER_K": 4}, {"WARPGROUPS": 1, "CLUSTER_K": 2}, {"CLUSTER_K": 8}, {"CLUSTER_K": 2, "ROWS": 2})
        guesses = [*({**few, **way} for way in ways), *large]
    else:
        guesses = large
    if problem.dim("n") <= 64:
        narrow = {**shared, "WARPGROUPS": 1, "BLOCK_N": max(16, -(-problem.dim("n") // 16) * 16), "STAGES": 8}
        guesses = [{**narrow, "CLUSTER_K": 2}, {**narrow, "CLUSTER_K": 2, "STAGES": 10}, narrow, *guesses]
    deep = [
        {"CLUSTER_M": 2, "SPLIT_K": 2, "STAGES": 6},
        {"ROWS": 2, "STAGES": 4, "CLUSTER_K": 4},
        {"ROWS": 2, "STAGES": 4, "CLUSTER_K": 2},
        {"CLUSTER_K": 4},
        {"CLUSTER_K": 2},
        {"CLUSTER_K": 8, "SPLIT_K": 16, "STAGES": 4},
    ]
    fitted = [_fitted(problem, seed) for seed in [*guesses, *({**shared, **way} for way in deep)]]
    return [way for seed in fitted for way in _deeper(problem, target, seed)]


def _fitted(problem: Problem, seed: dict[str, Any]) -> dict[str, Any]:
    """A seed with the order of tiles that its grid has: the nearest config would rather have other tiles."""
    tall, broad = _grid(problem, seed)
    group = seed["GROUP"]
    while group > 1 and (group > tall or broad == 1):
        group //= 2
    if problem["out_dtype"] not in ("bf16", "fp16") or problem.dim("n") % 8:
        seed = {**seed, "STORE": "direct", "PARTS": 1}
    return {**seed, "GROUP": group}


def _deeper(problem: Problem, target: Target, seed: dict[str, Any]) -> list[dict[str, Any]]:
    """A seed; where its blocks have one tile each, it with as many stages as fit, with room for C and in A's room.

    64 x 128 at 1024³ took 6.2 µs with six stages, 5.8 with eight (H200, 2026-11-23).
    """
    assert isinstance(target.device, Gpu)
    tall, broad = _grid(problem, seed)
    blocks = tall * broad * problem.dim("batch") * seed["CLUSTER_M"] * seed["CLUSTER_N"]
    if seed["STORE"] != "tma" or blocks > target.device.sm_count * seed["RESIDENT"]:
        return [seed]
    rows = _rows(seed)
    room = target.device.smem_per_block_bytes - 1040
    stage = (rows + seed["BLOCK_N"]) * LINE_BYTES + 16
    staged = 64 * seed["ROWS"] * seed["WARPGROUPS"] * seed["BLOCK_N"] // seed["PARTS"] * 2
    beside = {**seed, "STAGES": min((room - staged) // stage, 10)}
    return [beside, {**seed, "STORE": "reuse", "PARTS": 1, "STAGES": min(room // stage, 10)}]


def _grid(problem: Problem, seed: dict[str, Any]) -> tuple[int, int]:
    """Rows and columns of clusters' tiles."""
    m, n = (problem.dim(dim) for dim in ("nm" if seed["SWAP"] else "mn"))
    return -(-m // (_rows(seed) * seed["CLUSTER_M"])), -(-n // (seed["BLOCK_N"] * seed["CLUSTER_N"]))


def _rows(seed: dict[str, Any]) -> int:
    """Of a tile."""
    return int(64 * seed["ROWS"] * (1 if seed["SCHEDULE"] == "pingpong" else seed["WARPGROUPS"]))


TEMPLATE = KernelTemplate(
    name="cuda_wgmma",
    op="gemm",
    backend="cuda",
    source="cuda_wgmma.cu.jinja",
    space=wgmma_space(),
    supports=_supports,
    launch=_launch,
    seeds=_seeds,
    work=work,
)
