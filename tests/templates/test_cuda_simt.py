"""cuda_simt: its space, its sources, and what NVRTC makes of them. Its numbers: test_cuda_simt_numerics.py."""

import numpy as np
import pytest
from builders import a_target
from kerntune.templates.catalogue import op_named, templates_named
from kerntune.tuner.backends.artifact import Artifact
from kerntune.tuner.backends.cuda import CudaBackend

(TEMPLATE,) = templates_named("gemm", ["cuda_simt"])
TARGET = a_target(nvrtc="13.0.88")
LAYOUTS = ("nn", "nt", "tn", "tt")
LEVELS = ("naive", "coalesced", "shared", "registers", "vectorised", "warp_tile", "double_buffered")
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
    assert {config["LEVEL"] for config in feasible.sample(np.random.default_rng(0), 4000)} == set(LEVELS)


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
def test_guesses_end_with_the_ladder(layout):
    """The best ones first, and one of every level in each study."""
    of = problem(4096, 4096, 4096, layout=layout)
    feasible = TEMPLATE.feasible(of, TARGET)
    levels = [config["LEVEL"] for config in TEMPLATE.seed_configs(feasible, of, TARGET)]
    assert tuple(levels[-7:]) == LEVELS[::-1]
    assert set(levels[:-6]) == {"double_buffered"}


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
        config = dict(candidate.config)
        tiles = -(-shape[0] // config["BLOCK_M"]) * -(-shape[1] // config["BLOCK_N"])
        assert candidate.launch.grid == (tiles, config.get("SPLIT_K", 1), 1)
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
        (TARGET, {"out_dtype": "bf16"}, "it stores fp32, not bf16"),
        (TARGET, {"scales": "tensor"}, "it computes scales=none only, not tensor"),
        (TARGET, {"batch": 70_000}, "it computes 65,535 products side by side at most"),
        (TARGET, {"epilogue": "bias+gelu+residual", "batch": 5}, None),
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
    finished = {"epilogue": "bias+gelu+residual", "batch": 3}
    for *shape, fields in [
        (4096, 4096, 4096, {}),
        (131, 77, 203, finished),
        (256, 256, 512, {}),
        (2**16 + 1, 63, 2**15 + 1, {}),
    ]:
        of = problem(*shape, layout=layout, **fields)
        feasible = TEMPLATE.feasible(of, target)
        for candidate in candidates(of, 1, target=target, LEVEL=level):
            artifact = backend.compile(candidate, tmp_path)
            assert isinstance(artifact, Artifact)
            values = feasible.bind(candidate.config)
            declared = values.get("tile_bytes", 0) if level != "double_buffered" else 0
            assert artifact.static_smem_bytes == declared
            assert artifact.smem_bytes == values.get("stages_bytes", 0)
            assert artifact.spill_bytes <= 64
            assert artifact.registers * artifact.threads_per_block <= 65536
