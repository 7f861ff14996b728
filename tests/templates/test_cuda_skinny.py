"""cuda_skinny: its space, its sources, what NVRTC makes of them, and its numbers with a block of fibers."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import skinny_host
from builders import a_target
from kerntune.templates.catalogue import op_named, templates_named
from kerntune.tuner.backends.artifact import Artifact
from kerntune.tuner.backends.cuda import CudaBackend

(TEMPLATE,) = templates_named("gemm", ["cuda_skinny"])
TARGET = a_target(nvrtc="13.0.88")
LAYOUTS = ("nn", "nt", "tn", "tt")
LOADS = ("direct", "tma", "async")
DECODE = [(1, 4096, 4096), (16, 6144, 4096), (64, 4096, 14336), (64, 28672, 4096), (32, 50304, 768), (4096, 64, 4096)]
SHAPES = [*DECODE, (8, 8, 8), (1, 8, 72), (17 * 8, 40, 328), (64, 64, 64)]


def problem(m, n, k, **fields):
    return op_named("gemm").problem("gpu", **({"m": m, "n": n, "k": k, "dtype": "bf16"} | fields))


def candidates(of, count, seed=0, target=TARGET, **fixed):
    """Drawn from the feasible configs, those with the `fixed` values only."""
    feasible = TEMPLATE.feasible(of, target)
    configs = feasible.sample(np.random.default_rng(seed), min(len(feasible), 5000 if fixed else count))
    configs = [config for config in configs if fixed.items() <= dict(config).items()][:count]
    return [TEMPLATE.candidate(feasible, of, target, config) for config in configs]


@pytest.mark.parametrize("shape", DECODE)
def test_decoding_has_thousands_of_configs_of_every_way_to_load(shape):
    """There is something to search."""
    feasible = TEMPLATE.feasible(problem(*shape), TARGET)
    assert len(feasible) >= 2000
    assert {config["LOADS"] for config in feasible.sample(np.random.default_rng(0), 1000)} == set(LOADS)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_has_configs_and_seeds(shape, layout):
    """A seed that does not fit stands for its nearest config."""
    of = problem(*shape, layout=layout)
    if TEMPLATE.supports(of, TARGET) is None:
        feasible = TEMPLATE.feasible(of, TARGET)
        seeds = TEMPLATE.seed_configs(feasible, of, TARGET)
        assert seeds
        assert all(seed in feasible for seed in seeds)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", DECODE)
def test_no_two_configs_share_a_source(shape, layout):
    """A config that renders another's source would be measured twice."""
    sources = [candidate.source for candidate in candidates(problem(*shape, layout=layout), 150)]
    assert len(set(sources)) == len(sources)


@pytest.mark.parametrize("shape", DECODE)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_launch_is_legal_and_its_maps_fit_tma(shape, layout):
    """Blocks of clusters in full, memory that a block may have, boxes within the rules of cuTensorMapEncodeTiled."""
    for candidate in candidates(problem(*shape, layout=layout), 150):
        config, launch = dict(candidate.config), candidate.launch
        assert launch.grid[0] % config["SPLIT"] == 0
        assert launch.smem_bytes <= 232448
        assert launch.block[0] <= 1024
        assert bool(launch.workspace) == (config.get("REDUCE") == "grid")
        assert all(a.tensor.refusal is None for a in launch.arguments if a.tensor)


def test_an_epilogue_and_scales_come_after_c():
    """In the order in which the kernel takes them."""
    of = problem(16, 512, 512, dtype="int8", out_dtype="bf16", layout="nt", scales="row", epilogue="bias+silu+residual")
    (candidate, *_) = candidates(of, 1, REDUCE="grid", LOADS="direct")
    names = [argument.name for argument in candidate.launch.arguments]
    assert names == ["b", "a", "c", "a_scale", "b_scale", "bias", "residual", "partials", "arrivals"]


@pytest.mark.parametrize(
    ("target", "fields", "reason"),
    [
        (a_target("cpu"), {}, "it runs on a GPU of sm_80 or later"),
        (a_target(arch="sm_75"), {}, "it runs on a GPU of sm_80 or later"),
        (a_target(arch="sm_80"), {"dtype": "fp8e4m3", "layout": "nt"}, "it computes fp8 on a GPU of sm_89 or later"),
        (TARGET, {"dtype": "fp32"}, "it computes bf16, fp16, int8, fp8e4m3, fp8e5m2, not fp32"),
        (TARGET, {"m": 65}, "a side of C is at most 64, not 65 x 512"),
        (TARGET, {"batch": 2}, "it computes batch=1 only, and no scales of blocks"),
        (TARGET, {"n": 511}, "rows of 511 elements are no multiple of 16 bytes"),
        (TARGET, {"n": 511, "layout": "nt"}, None),
        (TARGET, {"m": 1, "layout": "tt"}, None),
        (TARGET, {"k": 500, "layout": "nt"}, "rows of 500 elements are no multiple of 16 bytes"),
        (TARGET, {"dtype": "int8"}, "it computes int8 with both operands contiguous along K only, not nn"),
        (TARGET, {}, None),
    ],
)
def test_what_it_cannot_compute_is_said(target, fields, reason):
    """A template that is passed over says why."""
    assert TEMPLATE.supports(problem(**({"m": 16, "n": 512, "k": 512} | fields)), target) == reason


@pytest.fixture(scope="module", params=["sm_80", "sm_90"])
def backend(request):
    """A compile process for one chip."""
    made = CudaBackend(a_target(nvrtc="13.0.88", arch=request.param), 1)
    yield made
    made.close()


@pytest.mark.nvrtc
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("loads", LOADS)
def test_sampled_configs_compile_and_fit_their_registers(backend, tmp_path, loads, layout):
    """Aligned and ragged strips, few tokens and many."""
    target = a_target(nvrtc="13.0.88", arch=backend.gpu.arch)
    for number, shape in enumerate([(1, 4096, 4096), (40, 1000, 328), (520, 64, 4096)]):
        for candidate in candidates(problem(*shape, layout=layout), 1, number, target, LOADS=loads):
            artifact = backend.compile(candidate, tmp_path)
            assert isinstance(artifact, Artifact), artifact
            assert artifact.registers * artifact.threads_per_block <= 65536
            assert artifact.spill_bytes == 0


@pytest.mark.nvrtc
@pytest.mark.parametrize(
    "fields",
    [
        {"dtype": "fp16", "epilogue": "bias+gelu+residual", "layout": "nn"},
        {"dtype": "int8", "layout": "nt"},
        {"dtype": "int8", "out_dtype": "fp16", "layout": "nt", "scales": "row", "epilogue": "relu"},
        {"dtype": "fp8e4m3", "out_dtype": "bf16", "layout": "nt", "scales": "tensor"},
        {"dtype": "fp8e5m2", "out_dtype": "fp8e4m3", "layout": "nt", "epilogue": "bias+silu"},
    ],
)
def test_other_types_and_epilogues_compile(backend, tmp_path, fields):
    """Where the chip has them."""
    target = a_target(nvrtc="13.0.88", arch=backend.gpu.arch)
    for shape in [(16, 333 if fields["layout"] == "nt" else 336, 1024), (640, 24, 1024)]:
        of = problem(*shape, **fields)
        if TEMPLATE.supports(of, target) is None:
            ways = ("grid", "cluster")
            wanted = [made for reduce in ways for made in candidates(of, 1, target=target, REDUCE=reduce)]
            assert wanted
            for candidate in wanted:
                assert isinstance(backend.compile(candidate, tmp_path), Artifact)


RAGGED = {
    "nt": [(5, 83, 264), (33, 72, 1024), (77, 63, 648), (19, 70, 1040)],
    "nn": [(17, 136, 328), (64, 64, 776), (200, 8, 512)],
    "tn": [(16, 104, 150), (64, 88, 513), (1, 96, 264)],
    "tt": [(8, 84, 328), (136, 24, 320), (64, 60, 512)],
}
OF_INT8 = (19, 70, 1040)


@pytest.mark.compiler
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("loads", LOADS)
def test_its_numbers_are_right_on_ragged_shapes(tmp_path, loads, layout):
    """Exact, of small integers; copies arrive at once or as late as they may; a workspace is left as it was found."""
    command = [sys.executable, __file__, str(tmp_path), loads, layout]  # of its own: a fault ends the process
    env = os.environ | {"PYTHONPATH": str(skinny_host.HERE)}
    ran = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False, env=env)
    assert ran.stdout.split("\n")[:-1] == ["right"] * 2 * len(RAGGED[layout]), ran.stdout + ran.stderr[-2000:]


def _compare(folder, loads, layout):
    """Says of configs of each shape, with sums that meet in turn in a workspace and a cluster, whether C is right."""
    for number, shape in enumerate(RAGGED[layout]):
        fields = {"dtype": "int8"} if shape == OF_INT8 else {"out_dtype": "fp32"}
        of = problem(*shape, layout=layout, **fields)
        assert TEMPLATE.supports(of, TARGET) is None
        (candidate,) = candidates(of, 1, number, LOADS=loads, REDUCE=("grid", "cluster")[number % 2])
        library = skinny_host.compiled(candidate, Path(folder), of["dtype"])
        for lazy in (False, True):
            got, expected = skinny_host.run(candidate, library, of, lazy)
            said = "right" if (got == expected).all() else f"wrong {shape} {dict(candidate.config)}"
            sys.stdout.write(said + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    _compare(*sys.argv[1:])
