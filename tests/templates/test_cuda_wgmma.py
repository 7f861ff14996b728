"""cuda_wgmma: its launches, and what NVRTC makes of its sources; its numbers need a Hopper (tests/gpu)."""

from itertools import pairwise

import pytest
from gemm_candidates import BARE, HOPPER, LARGE, LAYOUTS, ODD, ROW, STRIP, TINY, a_product, candidates
from kerntune.templates.catalogue import templates_named
from kerntune.tuner.backends.artifact import Artifact

(TEMPLATE,) = templates_named("gemm", ["cuda_wgmma"])
SHAPES = [LARGE, ODD, TINY, BARE, ROW, STRIP, (5, 7, 4096)]
MOST_REGISTERS = 65536


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "fields", [{}, {"batch": 3}, {"dtype": "int8", "layout": "nt"}, {"dtype": "tf32", "layout": "nn"}]
)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_launch_fits_the_chip_and_every_map_is_one_that_tma_takes(shape, fields, layout):
    """Boxes, strides and swizzles as the driver wants them; whole clusters; shared memory a block may have."""
    for candidate in candidates(TEMPLATE, a_product(*shape, **({"layout": layout} | fields)), 60):
        launch, config = candidate.launch, candidate.config
        maps = [argument.tensor for argument in launch.arguments if argument.tensor is not None]
        assert [tensor.refusal for tensor in maps] == [None] * len(maps)
        assert launch.smem_bytes <= HOPPER.device.smem_per_block_bytes
        assert launch.block == (128 * (config["WARPGROUPS"] + 1), 1, 1)
        assert launch.grid[0] % (config["CLUSTER_M"] * config["CLUSTER_N"] * config["CLUSTER_K"]) == 0


@pytest.mark.parametrize("shape", SHAPES)
def test_blocks_that_share_a_tile_are_all_there_at_once_or_never_wait(shape):
    """Sums that meet in memory are added up by the last to come: each tile has as many blocks as it has shares."""
    for candidate in candidates(TEMPLATE, a_product(*shape, layout="nt"), 200):
        config = candidate.config
        splits = config["CLUSTER_K"] * config["SPLIT_K"]
        if splits == 1:
            continue
        swap = config["SWAP"]
        rows = 64 * config["ROWS"] * config["WARPGROUPS"]
        high, wide = (shape[1], shape[0]) if swap else shape[:2]
        super_tiles = -(-high // (rows * config["CLUSTER_M"])) * -(-wide // (config["BLOCK_N"] * config["CLUSTER_N"]))
        tiles = super_tiles * config["CLUSTER_M"] * config["CLUSTER_N"]
        assert candidate.launch.grid[0] == tiles * splits
        if config["SPLIT_K"] > 1:
            assert candidate.launch.workspace["partial"] == tiles * config["SPLIT_K"] * rows * config["BLOCK_N"] * 4
            assert candidate.launch.workspace["arrived"] == tiles * config["CLUSTER_K"] * 4


@pytest.mark.parametrize("depth", [2, 7, 64, 1024])
@pytest.mark.parametrize("splits", [1, 2, 3, 7, 33])
def test_shares_of_the_depth_are_all_of_it_once(depth, splits):
    """As the source divides it: no turn twice, none left out, none empty where a share has two turns or more."""
    edges = [depth * share // splits for share in range(splits + 1)]
    assert edges[0] == 0
    assert edges[-1] == depth
    assert depth < 2 * splits or all(first < last for first, last in pairwise(edges))


@pytest.mark.parametrize(("k", "promotion"), [(1024, "256B"), (1000, "128B"), (1088, "128B")])
def test_l2_fetches_two_lines_only_where_rows_begin_at_two(k, promotion):
    """Else it would fetch what belongs to the next row."""
    launch = candidates(TEMPLATE, a_product(1024, 1024, k, layout="nt"), 1)[0].launch
    read = [argument.tensor for argument in launch.arguments if argument.name in ("p_map", "q_map")]
    assert [tensor.l2_promotion for tensor in read] == [promotion] * 2


def test_rows_that_tma_does_not_take_are_copied_first():
    """Those of B in nn with an odd N; in nt they run along K."""
    (odd,) = candidates(TEMPLATE, a_product(777, 3333, 2048, layout="nn"), 1)
    (even,) = candidates(TEMPLATE, a_product(777, 3333, 2048, layout="nt"), 1)
    assert [launch.entry for launch in odd.launch.before] == ["copy_rows"]
    assert odd.launch.workspace["b_copy"] == 2048 * 3392 * 2
    assert not even.launch.before
    assert "copy_rows" not in even.source


@pytest.mark.nvrtc
@pytest.mark.parametrize(
    ("shape", "fields"),
    [
        ((4096, 4096, 4096), {"layout": "nt"}),
        ((777, 3333, 2048), {"layout": "nn"}),
        ((64, 4096, 14336), {"layout": "tn"}),
        ((512, 1024, 512), {"layout": "tt", "batch": 3, "epilogue": "bias+gelu+residual", "dtype": "fp16"}),
        ((512, 512, 512), {"layout": "nt", "dtype": "int8"}),
        ((512, 512, 512), {"layout": "nt", "dtype": "fp8", "out_dtype": "bf16", "scales": "row"}),
        ((512, 512, 512), {"layout": "nt", "dtype": "fp8"}),
        ((512, 512, 512), {"layout": "nt", "dtype": "tf32", "epilogue": "silu"}),
        ((512, 512, 512), {"layout": "nn", "dtype": "tf32", "epilogue": "bias"}),
        ((300, 333, 264), {"layout": "tt", "dtype": "tf32", "batch": 2}),
    ],
)
def test_sampled_configs_compile_and_keep_their_sums_in_registers(compiled, tmp_path, shape, fields):
    """Warpgroups that gave registers up, or got more, would spill sums by the hundred bytes."""
    drawn = candidates(TEMPLATE, a_product(*shape, **fields), 6, seed=shape[0])
    for candidate, made in zip(drawn, compiled([(one, HOPPER) for one in drawn], tmp_path), strict=True):
        assert isinstance(made, Artifact), (dict(candidate.config), made)
        assert made.registers * made.threads_per_block * candidate.config["RESIDENT"] <= MOST_REGISTERS
        assert made.spill_bytes < 64, dict(candidate.config)
