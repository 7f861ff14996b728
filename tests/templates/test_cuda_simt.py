"""cuda_simt: its ladder, its launches, and what NVRTC makes of it. Its numbers: test_cuda_simt_numerics.py."""

import numpy as np
import pytest
from gemm_candidates import (
    AMPERE,
    BARE,
    COLUMN,
    HOPPER,
    LARGE,
    LAYOUTS,
    ODD,
    RAGGED,
    ROW,
    TINY,
    a_product,
    candidates,
    space_of,
)
from kerntune.templates.catalogue import templates_named
from kerntune.tuner.backends.artifact import Artifact

(TEMPLATE,) = templates_named("gemm", ["cuda_simt"])
LEVELS = ("naive", "coalesced", "shared", "registers", "vectorised", "warp_tile", "double_buffered")
SHAPES = [LARGE, ODD, TINY, BARE, ROW, COLUMN, RAGGED]


def problem(m, n, k, **fields):
    return a_product(m, n, k, dtype="fp32", **fields)


def test_a_large_product_has_configs_of_every_level():
    """The whole ladder to climb."""
    feasible = space_of(TEMPLATE, problem(4096, 4096, 4096))
    assert {config["LEVEL"] for config in feasible.sample(np.random.default_rng(0), 4000)} == set(LEVELS)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_guesses_end_with_the_ladder(layout):
    """The best ones first, and one of every level in each study."""
    of = problem(4096, 4096, 4096, layout=layout)
    feasible = space_of(TEMPLATE, of)
    levels = [config["LEVEL"] for config in TEMPLATE.seed_configs(feasible, of, HOPPER)]
    assert tuple(levels[-7:]) == LEVELS[::-1]
    assert set(levels[:-6]) == {"double_buffered"}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_tile_of_c_has_a_block_and_every_block_a_legal_size(shape):
    """Tiles times their elements cover C; a block has at most 1,024 threads."""
    for candidate in candidates(TEMPLATE, problem(*shape), 200):
        config = dict(candidate.config)
        tiles = -(-shape[0] // config["BLOCK_M"]) * -(-shape[1] // config["BLOCK_N"])
        assert candidate.launch.grid == (tiles, config.get("SPLIT_K", 1), 1)
        threads, *others = candidate.launch.block
        assert threads * config["TM"] * config["TN"] == config["BLOCK_M"] * config["BLOCK_N"]
        assert others == [1, 1]
        assert 1 <= threads <= 1024


def test_offsets_take_64_bits_only_where_an_operand_is_that_large():
    """32 bits wrap at 2^31 elements, and 64 cost registers."""
    (large,) = candidates(TEMPLATE, problem(2**16, 64, 2**15), 1)
    (small,) = candidates(TEMPLATE, problem(2**15, 64, 2**15), 1)
    assert "typedef long long index_t" in large.source
    assert "typedef int index_t" in small.source


COMPILED = [
    (4096, 4096, 4096, {}),
    (131, 77, 203, {"epilogue": "bias+gelu+residual", "batch": 3}),
    (256, 256, 512, {}),
    (2**16 + 1, 63, 2**15 + 1, {}),
]


@pytest.mark.nvrtc
@pytest.mark.parametrize("target", [AMPERE, HOPPER], ids=["sm_80", "sm_90"])
@pytest.mark.parametrize("level", LEVELS)
def test_every_level_and_layout_compiles_and_uses_what_its_space_says(compiled, tmp_path, level, target):
    """Shared memory to the byte, and registers that a block can have."""
    wanted = []
    for number, layout in enumerate(LAYOUTS, LEVELS.index(level) + (target is HOPPER)):
        # Two shapes of each layout for one chip, and the other two for the other.
        for *shape, fields in COMPILED[number % 2 :: 2]:
            of = problem(*shape, layout=layout, **fields)
            wanted += [(of, candidate) for candidate in candidates(TEMPLATE, of, 1, target=target, LEVEL=level)]
    assert len(wanted) >= 2
    made = compiled([(candidate, target) for _, candidate in wanted], tmp_path)
    for (of, candidate), artifact in zip(wanted, made, strict=True):
        assert isinstance(artifact, Artifact)
        values = space_of(TEMPLATE, of, target).bind(candidate.config)
        declared = values.get("tile_bytes", 0) if level != "double_buffered" else 0
        assert artifact.static_smem_bytes == declared
        assert artifact.smem_bytes == values.get("stages_bytes", 0)
        assert artifact.spill_bytes <= 64
        assert artifact.registers * artifact.threads_per_block <= 65536
