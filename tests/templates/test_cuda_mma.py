"""cuda_mma: its workspace, what NVRTC makes of its sources, and its numbers on warps of a processor's fibers."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import warps
from gemm_candidates import (
    AMPERE,
    BARE,
    COLUMN,
    HOPPER,
    LARGE,
    LAYOUTS,
    LONG,
    ODD,
    RAGGED,
    ROW,
    TINY,
    a_product,
    candidates,
    space_of,
)
from kerntune.spaces.problems import DTYPE_BYTES
from kerntune.templates.catalogue import templates_named
from kerntune.tuner.backends.artifact import Artifact

(TEMPLATE,) = templates_named("gemm", ["cuda_mma"])
DTYPES = ("bf16", "fp16", "tf32", "tf32x3", "int8", "fp8e4m3", "fp8e5m2")
SHAPES = [LARGE, ODD, TINY, BARE, ROW, COLUMN, RAGGED, LONG]


def near(of, **values):
    """The candidate whose config is nearest to these values."""
    feasible = space_of(TEMPLATE, of)
    known = {parameter.name: parameter.default for parameter in TEMPLATE.space.parameters}
    known.pop("SUM_UP")  # absent where K is not shared out
    return TEMPLATE.candidate(feasible, of, HOPPER, feasible.nearest(known | values))


@pytest.mark.parametrize("shape", SHAPES)
def test_every_tile_and_share_has_a_block_and_its_place_in_the_workspace(shape):
    """Tiles times shares times products, each with room for its partial sums and a count for each tile."""
    of = a_product(*shape, batch=3)
    for candidate in candidates(TEMPLATE, of, 200):
        config, launch = dict(candidate.config), candidate.launch
        tiles = -(-shape[0] // config["BLOCK_M"]) * -(-shape[1] // config["BLOCK_N"])
        kernel = next(part for part in (*launch.before, launch) if part.entry == "gemm_mma")
        assert kernel.grid == (tiles, config["SPLIT_K"], 3)
        assert kernel.block == (32 * config["WARPS_M"] * config["WARPS_N"], 1, 1)
        sums = tiles * 3 * config["SPLIT_K"] * config["BLOCK_M"] * config["BLOCK_N"]
        assert launch.workspace.get("partial", 0) == (sums * 4 if config["SPLIT_K"] > 1 else 0)
        assert launch.workspace.get("arrived", 0) == (tiles * 3 * 4 if config.get("SUM_UP") == "last" else 0)


def test_rows_that_are_not_aligned_are_copied_and_no_others():
    """1001 elements of 16 bits begin anywhere; 1000 at multiples of 16 bytes."""
    (candidate,) = candidates(TEMPLATE, a_product(64, 1000, 1001), 1, UNALIGNED="copy")
    assert "copy_rows" in [part.entry for part in candidate.launch.before]
    assert candidate.launch.workspace["a_copy"] == 64 * 2048
    assert "b_copy" not in candidate.launch.workspace


@pytest.mark.nvrtc
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("target", [AMPERE, HOPPER], ids=["sm_80", "sm_90"])
def test_every_type_and_layout_compiles_with_registers_to_spare(compiled, tmp_path, target, dtype):
    """Its main seed without a spill; and a sampled config of an odd size with a whole epilogue."""
    seeds, odd_ones = [], []
    for layout in LAYOUTS:
        whole = a_product(4096, 4096, 4096, dtype=dtype, layout=layout)
        if TEMPLATE.supports(whole, target) is None:
            odd = a_product(131, 77, 203, dtype=dtype, layout=layout, epilogue="bias+silu+residual", out_dtype="fp16")
            feasible = space_of(TEMPLATE, whole, target)
            first, *_ = TEMPLATE.seed_configs(feasible, whole, target)
            seeds.append((TEMPLATE.candidate(feasible, whole, target, first), target))
            odd_ones += [(candidate, target) for candidate in candidates(TEMPLATE, odd, 1, target=target)]
    assert len(seeds) == len(odd_ones) == (0 if target is AMPERE and "fp8" in dtype else len(LAYOUTS))
    made = compiled(seeds + odd_ones, tmp_path)
    assert all(isinstance(artifact, Artifact) for artifact in made)
    for artifact in made[: len(seeds)]:
        assert artifact.spill_bytes == 0
        assert artifact.registers * artifact.threads_per_block <= 65536


EDGES = [
    ((33, 65, 47), {}),
    ((40, 24, 96), {"batch": 3}),
    ((70, 40, 129), {"batch": 2, "epilogue": "bias+gelu+residual", "out_dtype": "bf16"}),
    ((1, 70, 33), {"scales": "row", "out_dtype": "fp32"}),
    ((64, 96, 200), {"out_dtype": "bf16", "scales": "tensor", "epilogue": "relu"}),
]


def outcomes(cases, folder, seeds=(1, 2)):
    """Of each case; two halves of them are built and run at the same time."""
    halves = [(cases[place::2], folder / f"half{place}") for place in (0, 1)]
    for _, room in halves:
        room.mkdir()
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda half: warps.outcomes(*half, seeds), halves))
    assert sum(map(len, found)) == len(cases), found
    return [found[number % 2][number // 2] for number in range(len(cases))]


@pytest.mark.compiler
@pytest.mark.parametrize("dtype", DTYPES)
def test_its_numbers_are_right_whatever_order_threads_go_in(tmp_path, dtype):
    """Sampled configs on ragged sizes in each layout, twice with other races: the same bits, within the tolerance."""
    cases = []
    for place, (shape, fields) in enumerate(EDGES, DTYPES.index(dtype)):
        of = a_product(*shape, dtype=dtype, layout=LAYOUTS[place % len(LAYOUTS)], **fields)
        cases += [(of, candidate) for candidate in candidates(TEMPLATE, of, 1, seed=place)]
    assert len(cases) == len(EDGES) > len(LAYOUTS)
    for (_, candidate), outcome in zip(cases, outcomes(cases, tmp_path), strict=True):
        assert outcome["error"] <= 1.0, (outcome, dict(candidate.config))
        assert outcome["same"]


WAYS = [
    {"FRAGMENTS": "across", "SPLIT_K": 3, "SUM_UP": "last", "STORE": "staged"},
    {"FRAGMENTS": "double", "SPLIT_K": 2, "SUM_UP": "kernel", "STORE": "direct"},
    {"FRAGMENTS": "single", "SPLIT_K": 1, "STORE": "staged"},
]


@pytest.mark.compiler
@pytest.mark.parametrize(("dtype", "layout"), [("bf16", "nn"), ("fp16", "tt"), ("tf32", "nn"), ("int8", "tn")])
def test_shared_memory_has_no_bank_conflicts(tmp_path, dtype, layout):
    """In each way to go through K, tiles of 128 bytes and more are swizzled for every load of fragments."""
    of = a_product(128, 128, 1024 // DTYPE_BYTES[dtype], dtype=dtype, layout=layout)
    tile = {"BLOCK_M": 128, "BLOCK_N": 128, "WARPS_M": 2, "WARPS_N": 2, "STAGES": 3}
    tile["BLOCK_K"] = 128 // DTYPE_BYTES[dtype]
    cases = [(of, near(of, **tile, **way, GROUP=1)) for way in WAYS]
    for (_, candidate), way, outcome in zip(cases, WAYS, outcomes(cases, tmp_path, seeds=(1,)), strict=True):
        assert (tile | way).items() <= dict(candidate.config).items()
        assert outcome["conflicts"] == 0
        assert outcome["error"] <= 1.0


BROKEN = [
    ("wait_for_groups<STAGES - 2>", "wait_for_groups<STAGES - 1>"),  # a turn's tiles are still on their way
    ("        wait_for_groups<STAGES - 2>();\n        __syncthreads();\n", "        wait_for_groups<STAGES - 2>();\n"),
    ("fill(filled)", "fill(used)"),
    ("    __syncthreads();\n    enum { C_CHUNKS", "    enum { C_CHUNKS"),
]


@pytest.mark.compiler
@pytest.mark.parametrize(("right", "wrong"), BROKEN)
def test_a_race_is_seen(tmp_path, right, wrong):
    """The processor's warps are a test: a kernel that waits too little computes something else there."""
    of = a_product(64, 64, 256, layout="nt")
    tile = {"BLOCK_M": 64, "BLOCK_N": 64, "BLOCK_K": 32, "WARPS_M": 2, "WARPS_N": 2, "GROUP": 1}
    candidate = near(of, **tile, STAGES=3, FRAGMENTS="double", SPLIT_K=1, STORE="staged")
    assert right in candidate.source
    broken = replace(candidate, source=candidate.source.replace(right, wrong))
    (outcome,) = warps.outcomes([(of, broken)], tmp_path)
    assert outcome["error"] > 1.0
