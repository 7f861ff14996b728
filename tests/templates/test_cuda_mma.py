"""cuda_mma: its space, its sources, what NVRTC makes of them, and its numbers on warps of a processor's fibers."""

from dataclasses import replace

import numpy as np
import pytest
import warps
from builders import a_target
from kerntune.spaces.problems import DTYPE_BYTES
from kerntune.templates.catalogue import op_named, templates_named
from kerntune.tuner.backends.artifact import Artifact
from kerntune.tuner.backends.cuda import CudaBackend

(TEMPLATE,) = templates_named("gemm", ["cuda_mma"])
TARGET = a_target(nvrtc="13.0.88")
LAYOUTS = ("nn", "nt", "tn", "tt")
DTYPES = ("bf16", "fp16", "tf32", "tf32x3", "int8", "fp8e4m3", "fp8e5m2")
SHAPES = [
    (4096, 4096, 4096),
    (777, 3333, 2048),
    (1, 1, 1),
    (17, 5, 3),
    (1, 4096, 4096),
    (4096, 1, 64),
    (1000, 1002, 1001),
    (128, 128, 65536),
]


def problem(m, n, k, **fields):
    return op_named("gemm").problem("gpu", **({"m": m, "n": n, "k": k, "dtype": "bf16"} | fields))


def candidates(of, count, seed=0, target=TARGET, **fixed):
    """Drawn from the feasible configs, those with the `fixed` values only."""
    feasible = TEMPLATE.feasible(of, target)
    drawn = feasible.sample(np.random.default_rng(seed), min(len(feasible), 4000 if fixed else count))
    configs = [config for config in drawn if fixed.items() <= dict(config).items()][:count]
    return [TEMPLATE.candidate(feasible, of, target, config) for config in configs]


def near(of, **values):
    """The candidate whose config is nearest to these values."""
    feasible = TEMPLATE.feasible(of, TARGET)
    known = {parameter.name: parameter.default for parameter in TEMPLATE.space.parameters}
    known.pop("SUM_UP")  # absent where K is not shared out
    return TEMPLATE.candidate(feasible, of, TARGET, feasible.nearest(known | values))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_large_product_has_thousands_of_configs(dtype, layout):
    """There is something to search, in each type and layout."""
    assert len(TEMPLATE.feasible(problem(4096, 4096, 4096, dtype=dtype, layout=layout), TARGET)) >= 5000


@pytest.mark.parametrize("dtype", ["bf16", "tf32", "int8"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_has_configs_seeds_and_estimates(shape, layout, dtype):
    """Neither a tiny nor an odd problem is left without a kernel."""
    of = problem(*shape, layout=layout, dtype=dtype)
    feasible = TEMPLATE.feasible(of, TARGET)
    seeds = TEMPLATE.seed_configs(feasible, of, TARGET)
    assert seeds
    assert all(seed in feasible for seed in seeds)
    estimates = TEMPLATE.estimates_us(feasible, of, TARGET, range(min(len(feasible), 50)))
    assert np.isfinite(estimates).all()
    assert (estimates > 0).all()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", SHAPES)
def test_no_two_configs_share_a_source(shape, layout):
    """A config that renders another's source would be measured twice."""
    sources = [candidate.source for candidate in candidates(problem(*shape, layout=layout), 200)]
    assert len(set(sources)) == len(sources)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_tile_and_share_has_a_block_and_its_place_in_the_workspace(shape):
    """Tiles times shares times products, each with room for its partial sums and a count for each tile."""
    of = problem(*shape, batch=3)
    for candidate in candidates(of, 200):
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
    (candidate,) = candidates(problem(64, 1000, 1001), 1, UNALIGNED="copy")
    assert "copy_rows" in [part.entry for part in candidate.launch.before]
    assert candidate.launch.workspace["a_copy"] == 64 * 2048
    assert "b_copy" not in candidate.launch.workspace


@pytest.mark.parametrize(
    ("target", "fields", "reason"),
    [
        (a_target("cpu"), {}, "it runs on a GPU of sm_80 or later"),
        (a_target(arch="sm_75"), {}, "it runs on a GPU of sm_80 or later"),
        (TARGET, {"dtype": "fp32"}, f"it computes {', '.join(DTYPES)}, not fp32"),
        (a_target(arch="sm_80"), {"dtype": "fp8"}, "it computes fp8 on a GPU of sm_89 or later"),
        (TARGET, {"acc_dtype": "fp16"}, "it sums bf16 in fp32, not fp16"),
        (TARGET, {"out_dtype": "int32"}, "it does not store products of bf16 as int32"),
        (TARGET, {"dtype": "fp8", "scales": "block128"}, "it computes scales=none, tensor and row only, not block128"),
        (TARGET, {"batch": 65536}, "it computes 65,535 products side by side at most"),
        (TARGET, {"batch": 7, "epilogue": "bias+gelu+residual", "scales": "row"}, None),
    ],
)
def test_what_it_cannot_compute_is_said(target, fields, reason):
    """A template that is passed over says why."""
    assert TEMPLATE.supports(problem(64, 64, 64, **fields), target) == reason


@pytest.fixture(scope="module", params=["sm_80", "sm_90"])
def backend(request):
    """A compile process for one chip."""
    made = CudaBackend(_chip(request.param), 1)
    yield made
    made.close()


def _chip(arch):
    return a_target(nvrtc="13.0.88", arch=arch, smem_per_block_bytes={"sm_80": 166912, "sm_90": 232448}[arch])


@pytest.mark.nvrtc
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_type_and_layout_compiles_with_registers_to_spare(backend, tmp_path, dtype, layout):
    """Its main seed without a spill; and a sampled config of an odd size with a whole epilogue."""
    target = _chip(backend.gpu.arch)
    whole = problem(4096, 4096, 4096, dtype=dtype, layout=layout)
    if TEMPLATE.supports(whole, target):
        return
    odd = problem(131, 77, 203, dtype=dtype, layout=layout, epilogue="bias+silu+residual", out_dtype="fp16")
    feasible = TEMPLATE.feasible(whole, target)
    seed = TEMPLATE.candidate(feasible, whole, target, TEMPLATE.seed_configs(feasible, whole, target)[0])
    made = [backend.compile(candidate, tmp_path) for candidate in (seed, *candidates(odd, 1, target=target))]
    assert all(isinstance(artifact, Artifact) for artifact in made)
    assert made[0].spill_bytes == 0
    assert made[0].registers * made[0].threads_per_block <= 65536


EDGES = [
    ((33, 65, 47), {}),
    ((40, 24, 96), {"batch": 3}),
    ((70, 40, 129), {"batch": 2, "epilogue": "bias+gelu+residual", "out_dtype": "bf16"}),
    ((1, 70, 33), {"scales": "row", "out_dtype": "fp32"}),
    ((64, 96, 200), {"out_dtype": "bf16", "scales": "tensor", "epilogue": "relu"}),
]


@pytest.mark.compiler
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_its_numbers_are_right_whatever_order_threads_go_in(tmp_path, dtype, layout):
    """Sampled configs on ragged sizes, twice with other races: the same bits, and within the tolerance."""
    place, cases = DTYPES.index(dtype) + LAYOUTS.index(layout), []
    for number in (place % len(EDGES), (place + 2) % len(EDGES)):
        shape, fields = EDGES[number]
        of = problem(*shape, dtype=dtype, layout=layout, **fields)
        cases += [(of, candidate) for candidate in candidates(of, 1, seed=place)]
    outcomes = warps.outcomes(cases, tmp_path)
    assert len(outcomes) == len(cases), outcomes
    for (_, candidate), outcome in zip(cases, outcomes, strict=True):
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
    of = problem(128, 128, 1024 // DTYPE_BYTES[dtype], dtype=dtype, layout=layout)
    tile = {"BLOCK_M": 128, "BLOCK_N": 128, "WARPS_M": 2, "WARPS_N": 2, "STAGES": 3}
    tile["BLOCK_K"] = 128 // DTYPE_BYTES[dtype]
    cases = [(of, near(of, **tile, **way, GROUP=1)) for way in WAYS]
    for (_, candidate), way, outcome in zip(cases, WAYS, warps.outcomes(cases, tmp_path, seeds=(1,)), strict=True):
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
    of = problem(64, 64, 256, layout="nt")
    tile = {"BLOCK_M": 64, "BLOCK_N": 64, "BLOCK_K": 32, "WARPS_M": 2, "WARPS_N": 2, "GROUP": 1}
    candidate = near(of, **tile, STAGES=3, FRAGMENTS="double", SPLIT_K=1, STORE="staged")
    assert right in candidate.source
    broken = replace(candidate, source=candidate.source.replace(right, wrong))
    (outcome,) = warps.outcomes([(of, broken)], tmp_path)
    assert outcome["error"] > 1.0
