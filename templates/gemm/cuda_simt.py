"""cuda_simt: fp32 in CUDA C++ on the ordinary cores, from one thread an element up to double-buffered warp tiles.

Any size, layout, epilogue and number of batches. Products on tensor cores are other templates' work.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...spaces.problems import Problem
from ...spaces.targets import Gpu, Target
from ..chips import capability
from ..template import Argument, KernelTemplate, Launch
from .epilogue import epilogue_arguments
from .launches import tiles_of
from .refusals import many_batches, other_chip
from .simt_space import LEAST_TURNS, LEVELS, may_split, space
from .simt_work import work

OLDEST_ARCH = 75
"""Compute capability times ten: the oldest that NVRTC 13 compiles for."""


def _supports(problem: Problem, target: Target) -> str | None:
    chip = other_chip(target, OLDEST_ARCH)
    if chip is not None:
        return chip
    for name, does in (("dtype", "computes"), ("out_dtype", "stores"), ("acc_dtype", "sums in")):
        if problem[name] != "fp32":
            return f"it {does} fp32, not {problem[name]}"
    if problem["scales"] != "none":
        return f"it computes scales=none only, not {problem['scales']}"
    return many_batches(problem)


def _launch(problem: Problem, target: Target, values: Mapping[str, Any]) -> Launch:
    split, batch = values.get("SPLIT_K", 1), problem.dim("batch")
    tiles = tiles_of(problem, values)
    arguments = (
        *(Argument(name, "const float *") for name in "ab"),
        Argument("c", "float *"),
        *epilogue_arguments(problem, "cuda"),
    )
    workspace = {}
    if split > 1:
        arguments = (*arguments, Argument("partials", "float *"), Argument("arrivals", "int *"))
        sums = batch * tiles * values["BLOCK_M"] * values["BLOCK_N"]
        workspace = {"partials": sums * split * 4, "arrivals": batch * tiles * 4}
    return Launch(
        "gemm_simt",
        arguments,
        (tiles, split, batch),
        block=(values["threads"], 1, 1),
        smem_bytes=values.get("stages_bytes", 0),
        workspace=workspace,
    )


_BUFFERED = (
    # BLOCK_M, BLOCK_N, BLOCK_K, TM, TN, LANES_M, COPY, STAGES, BLOCKS_PER_SM
    (256, 128, 16, 16, 8, 4, "registers", 2, 1),
    (128, 128, 16, 8, 16, 8, "registers", 2, 2),
    (128, 256, 16, 8, 16, 8, "registers", 2, 1),
    (128, 128, 8, 8, 16, 8, "async", 4, 2),
    (128, 256, 16, 8, 16, 8, "async", 3, 1),
    (128, 256, 8, 8, 16, 8, "async", 4, 1),
    (128, 128, 8, 8, 8, 4, "registers", 2, 2),
    (128, 128, 8, 8, 8, 4, "async", 4, 2),
    (128, 128, 16, 8, 8, 8, "async", 3, 2),
    (64, 128, 16, 8, 8, 8, "registers", 2, 2),
    (64, 128, 16, 8, 8, 8, "async", 4, 2),
    (64, 64, 16, 8, 4, 8, "registers", 2, 2),
    (64, 64, 16, 4, 4, 8, "async", 4, 2),
    (32, 64, 32, 4, 4, 8, "async", 4, 4),
)
"""Sources: CUTLASS's default tiles of sgemm, 128 x 128 x 8 with 8 x 8 sums a thread; the larger ones to read less of
shared memory a product. The first took 2,679 µs at 4096³, the second 2,861 (H200, 2026-11-23)."""

_LADDER = (
    # LEVEL, BLOCK_M, BLOCK_N, BLOCK_K, TM, TN
    ("warp_tile", 128, 128, 16, 8, 8),
    ("vectorised", 128, 128, 16, 8, 8),
    ("registers", 128, 128, 8, 8, 8),
    ("shared", 32, 32, 32, 1, 1),
)
"""Source: S. Boehm, How to Optimize a CUDA Matmul Kernel, 2022, kernels 3 to 10."""

_SIMPLE = {"TM": 1, "TN": 1, "UNROLL": 4}


def _seeds(problem: Problem, target: Target) -> list[dict[str, Any]]:
    """Guesses of the highest level, those that fill the chip first; then one of every other, for the whole ladder."""
    assert isinstance(target.device, Gpu)
    device = target.device
    names = ("BLOCK_M", "BLOCK_N", "BLOCK_K", "TM", "TN", "LANES_M", "COPY", "STAGES", "BLOCKS_PER_SM")
    rest = {"PAD": 0 if problem["layout"] == "tn" else 4, "GROUP": 4}
    top = [{"LEVEL": LEVELS[0], **rest, **dict(zip(names, shape, strict=True))} for shape in _BUFFERED]
    if capability(device) == OLDEST_ARCH:
        top = [{**seed, "COPY": "registers", "STAGES": 2} for seed in top]
    top = [seed | _split(problem, device, seed) for seed in top]
    top.sort(key=lambda seed: -_filled(problem, device, seed))
    ladder = [dict(zip(("LEVEL", *names[:5]), shape, strict=True)) | rest for shape in _LADDER]
    ladder[0]["LANES_M"] = 8
    return [
        *top,
        *(seed | {name: 1 for name in _split(problem, device, seed)} for seed in ladder),
        {"LEVEL": "coalesced", **_SIMPLE, "BLOCK_M": 8, "BLOCK_N": 32},
        {"LEVEL": "naive", **_SIMPLE, "BLOCK_M": 32, "BLOCK_N": 8},
    ]


def _tiles(problem: Problem, seed: Mapping[str, Any]) -> int:
    return tiles_of(problem, seed) * problem.dim("batch")


def _split(problem: Problem, device: Gpu, seed: Mapping[str, Any]) -> dict[str, int]:
    """Parts of K with which the blocks come nearest to what the multiprocessors hold, and not beyond; {} for a grid
    that is not split."""
    tiles, turns = _tiles(problem, seed), -(-problem.dim("k") // seed["BLOCK_K"])
    if not may_split(tiles, turns, device.sm_count).value({}):
        return {}
    parts = min(device.sm_count * seed.get("BLOCKS_PER_SM", 1) // tiles, turns // LEAST_TURNS)
    return {"SPLIT_K": max((split for split in (1, 2, 4, 8, 16) if split <= parts), default=1)}


def _filled(problem: Problem, device: Gpu, seed: Mapping[str, Any]) -> int:
    """Eighths of the multiprocessors' time that its blocks take up, rounded up; padding counts for nothing."""
    blocks = _tiles(problem, seed) * seed.get("SPLIT_K", 1)
    held = device.sm_count * seed["BLOCKS_PER_SM"]
    size = seed["BLOCK_M"] * seed["BLOCK_N"] * _tiles(problem, seed)
    used = problem.dim("m") * problem.dim("n") * problem.dim("batch") / size
    return -int(-8 * used * blocks // (-(-blocks // held) * held))


TEMPLATE = KernelTemplate(
    name="cuda_simt",
    op="gemm",
    backend="cuda",
    source="cuda_simt.cu.jinja",
    space=space(),
    supports=_supports,
    launch=_launch,
    seeds=_seeds,
    work=work,
)
