"""cuda_simt: its space, its sources, what NVRTC makes of them, and its numbers with a block of host threads."""

import json
import subprocess
import sys

import numpy as np
import pytest
from builders import a_target
from kerntune.templates.catalogue import op_named, templates_named
from kerntune.tuner.backends.artifact import Artifact
from kerntune.tuner.backends.cuda import CudaBackend

(TEMPLATE,) = templates_named("gemm", ["cuda_simt"])
TARGET = a_target(nvrtc="13.0.88")
LAYOUTS = ("nn", "nt", "tn", "tt")
LEVELS = ("naive", "coalesced", "shared", "registers")
SHAPES = [
    (4096, 4096, 4096),
    (777, 3333, 2048),
    (1, 1, 1),
    (17, 5, 3),
    (1, 4096, 4096),
    (4096, 1, 64),
    (1000, 1002, 1001),
]


def problem(m, n, k, **fields):
    return op_named("gemm").problem("gpu", **({"m": m, "n": n, "k": k, "dtype": "fp32"} | fields))


def candidates(of, count, seed=0, target=TARGET, **fixed):
    """Drawn from the feasible configs, those with the `fixed` values only."""
    feasible = TEMPLATE.feasible(of, target)
    configs = feasible.sample(np.random.default_rng(seed), len(feasible) if fixed else min(count, len(feasible)))
    configs = [config for config in configs if fixed.items() <= dict(config).items()][:count]
    return [TEMPLATE.candidate(feasible, of, target, config) for config in configs]


def test_a_large_product_has_thousands_of_configs_of_every_level():
    """There is something to search, and the whole ladder to climb."""
    feasible = TEMPLATE.feasible(problem(4096, 4096, 4096), TARGET)
    assert len(feasible) >= 2000
    assert {config["LEVEL"] for config in feasible.sample(np.random.default_rng(0), 1000)} == set(LEVELS)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_has_configs_and_seeds(shape, layout):
    """Neither a tiny nor an odd problem is left without a kernel."""
    of = problem(*shape, layout=layout)
    feasible = TEMPLATE.feasible(of, TARGET)
    seeds = TEMPLATE.seed_configs(feasible, of, TARGET)
    assert seeds
    assert all(seed in feasible for seed in seeds)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", SHAPES)
def test_no_two_configs_share_a_source(shape, layout):
    """A config that renders another's source would be measured twice."""
    sources = [candidate.source for candidate in candidates(problem(*shape, layout=layout), 200)]
    assert len(set(sources)) == len(sources)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_tile_of_c_has_a_block_and_every_block_a_legal_size(shape):
    """Tiles times their elements cover C; a block has at most 1,024 threads."""
    for candidate in candidates(problem(*shape), 200):
        config, (blocks, *others) = dict(candidate.config), candidate.launch.grid
        tiles = -(-shape[0] // config["BLOCK_M"]) * -(-shape[1] // config["BLOCK_N"])
        assert (blocks, others) == (tiles, [1, 1])
        threads, *others = candidate.launch.block
        assert threads * config["TM"] * config["TN"] == config["BLOCK_M"] * config["BLOCK_N"]
        assert others == [1, 1]
        assert 1 <= threads <= 1024


def test_offsets_take_64_bits_only_where_an_operand_is_that_large():
    """32 bits wrap at 2^31 elements, and 64 cost registers."""
    (large,) = candidates(problem(2**16, 64, 2**15), 1)
    (small,) = candidates(problem(2**15, 64, 2**15), 1)
    assert "typedef long long index_t" in large.source
    assert "typedef int index_t" in small.source


@pytest.mark.parametrize(
    ("target", "fields", "reason"),
    [
        (a_target("cpu"), {}, "it runs on a GPU of sm_75 or later"),
        (a_target(arch="sm_70"), {}, "it runs on a GPU of sm_75 or later"),
        (TARGET, {"dtype": "bf16"}, "it computes fp32, not bf16"),
        (TARGET, {"dtype": "tf32"}, "it computes fp32, not tf32"),
        (TARGET, {"epilogue": "relu"}, "it computes epilogue=none only, not relu"),
        (TARGET, {}, None),
    ],
)
def test_what_it_cannot_compute_is_said(target, fields, reason):
    """A template that is passed over says why."""
    assert TEMPLATE.supports(problem(64, 64, 64, **fields), target) == reason


@pytest.fixture(scope="module", params=["sm_80", "sm_90"])
def backend(request):
    """A compile process for one chip."""
    made = CudaBackend(a_target(nvrtc="13.0.88", arch=request.param), 1)
    yield made
    made.close()


@pytest.mark.nvrtc
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("level", LEVELS)
def test_every_level_and_layout_compiles_and_uses_what_its_space_says(backend, tmp_path, level, layout):
    """Shared memory to the byte, and registers that a block can have."""
    target = a_target(nvrtc="13.0.88", arch=backend.gpu.arch)
    for shape in [(4096, 4096, 4096), (131, 77, 203), (2**16 + 1, 63, 2**15 + 1)]:
        of = problem(*shape, layout=layout)
        feasible = TEMPLATE.feasible(of, target)
        for candidate in candidates(of, 2, target=target, LEVEL=level):
            artifact = backend.compile(candidate, tmp_path)
            assert isinstance(artifact, Artifact)
            assert artifact.static_smem_bytes == feasible.bind(candidate.config).get("smem_bytes", 0)
            assert artifact.smem_bytes == 0
            assert artifact.registers * artifact.threads_per_block <= 65536


HOST = """
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#define __global__
#define __device__ static
#define __forceinline__ inline
#define __shared__ static
#define __align__(bytes) __attribute__((aligned(bytes)))
#define __launch_bounds__(threads)
#define __restrict__
static _Thread_local struct { int x; } blockIdx, threadIdx;
static pthread_barrier_t barrier;
#define __syncthreads() pthread_barrier_wait(&barrier)
THE_KERNEL
static struct { const float *a, *b; float *c; int m, n, k, blocks; } given;
static void *thread(void *number)
{
    threadIdx.x = (int)(long)number;
    for (blockIdx.x = 0; blockIdx.x < given.blocks; blockIdx.x++) {
        gemm_simt(given.a, given.b, given.c, given.m, given.n, given.k);
        pthread_barrier_wait(&barrier);
    }
    return 0;
}
int run(const float *a, const float *b, float *c, int m, int n, int k, int blocks, int threads)
{
    pthread_t started[1024];
    pthread_barrier_init(&barrier, 0, threads);
    given.a = a, given.b = b, given.c = c, given.m = m, given.n = n, given.k = k, given.blocks = blocks;
    for (long t = 0; t < threads; t++)
        if (pthread_create(&started[t], 0, thread, (void *)t)) abort();
    for (long t = 0; t < threads; t++)
        pthread_join(started[t], 0);
    return 0;
}
"""
"""The kernel as C: a block is as many threads of a processor, its barrier a barrier, its shared memory static."""

RUN = """
import ctypes, json, sys
import numpy as np
for case in json.load(sys.stdin):
    m, n, k = case["shape"]
    rng = np.random.default_rng(0)
    a_shape = (m, k) if case["layout"][0] == "n" else (k, m)
    b_shape = (k, n) if case["layout"][1] == "n" else (n, k)

    def framed(shape):
        # NaN before and behind: what is read there shows in C, what is written there is seen.
        whole = np.full(np.prod(shape) + 512, np.nan, np.float32)
        return whole, whole[256:-256].reshape(shape)

    (_, a), (_, b), (frame, c) = framed(a_shape), framed(b_shape), framed((m, n))
    a[:], b[:] = rng.standard_normal(a_shape), rng.standard_normal(b_shape)
    pointers = [ctypes.c_void_p(array.ctypes.data) for array in (a, b, c)]
    ctypes.CDLL(case["library"]).run(*pointers, m, n, k, case["blocks"], case["threads"])
    left, right = (x if letter == "n" else x.T for x, letter in zip((a, b), case["layout"]))
    expected = left.astype(np.float64) @ right.astype(np.float64)
    error = np.abs(c - expected).max() / np.sqrt(k)
    stray = np.isfinite(frame[:256]).any() or np.isfinite(frame[-256:]).any()
    print(1.0 if stray or not np.isfinite(c).all() else error)
"""


@pytest.mark.compiler
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("level", LEVELS)
def test_its_numbers_are_right_on_ragged_shapes(tmp_path, level, layout):
    """Sampled configs of every level, on sizes that divide nothing, run by a processor's threads."""
    shapes = [(33, 65, 47), (40, 24, 32), (2, 7, 5), (64, 33, 96), (1, 70, 9), (50, 3, 31)]
    cases = []
    for number, shape in enumerate(shapes):
        for candidate in candidates(problem(*shape, layout=layout), 2, seed=number, LEVEL=level):
            library = tmp_path / f"kernel{len(cases)}.so"
            source = library.with_suffix(".c")
            source.write_text(HOST.replace("THE_KERNEL", candidate.source.replace('extern "C" ', "")))
            command = ["cc", "-O1", "-w", "-shared", "-fPIC", "-pthread"]
            subprocess.run([*command, source, "-o", library], check=True)
            sizes = {"blocks": candidate.launch.grid[0], "threads": candidate.launch.block[0]}
            cases.append({"library": str(library), "shape": shape, "layout": layout, **sizes})
    ran = subprocess.run(
        [sys.executable, "-c", RUN], input=json.dumps(cases), capture_output=True, text=True, timeout=250, check=False
    )
    errors = [float(line) for line in ran.stdout.split()]
    assert len(errors) == len(cases), ran.stderr[-2000:]
    assert len(errors) >= 6
    assert max(errors) <= 4e-6  # rounding was 1.3e-6; one product missed or doubled is about 0.1
