"""The analytic model: its laws, and what it says of configs that were measured."""

from dataclasses import replace

import numpy as np
import pytest
from builders import a_target
from kerntune.spaces.problems import Problem
from kerntune.templates.catalogue import op_named, templates, templates_named
from kerntune.templates.chips import resident_blocks
from kerntune.templates.roofline import Work, estimates_us
from scipy.stats import spearmanr

GPU, CPU = a_target(), a_target("cpu")
H200 = a_target(l2_bytes=62914560, bandwidth_gbs=4814)
ZEN5 = a_target("cpu", isa=("avx", "avx2", "avx512f", "fma"), threads=1, l1d_bytes=49152, l2_bytes=2**20)
TARGETS = [
    GPU,
    a_target(arch="sm_75", sm_count=40, smem_per_block_bytes=65536, l2_bytes=4 * 2**20, bandwidth_gbs=320),
    a_target(arch="sm_86", sm_count=82, smem_per_block_bytes=101376, l2_bytes=6 * 2**20, bandwidth_gbs=936),
    a_target(arch="sm_121", sm_count=48, smem_per_block_bytes=101376, l2_bytes=24 * 2**20, bandwidth_gbs=273),
    CPU,
    ZEN5,
    a_target("cpu", isa=("asimd",), cores=64, threads=64, l3_bytes=0),
]
SHAPES = [(1, 1, 1), (1, 4096, 4096), (777, 3333, 2048), (17, 5, 3), (4096, 4096, 4096)]

MEASURED_H200 = [  # BLOCK_M, BLOCK_N, BLOCK_K, num_stages, num_warps, ORDER, GROUP, µs
    (256, 128, 64, 3, 8, "m", 4, 194.9),
    (64, 128, 64, 3, 4, "m", 4, 281.3),
    (64, 256, 32, 4, 4, "m", 1, 314.4),
    (128, 64, 32, 5, 8, "m", 1, 362.6),
    (64, 64, 128, 4, 4, "m", 2, 410.5),
    (128, 32, 64, 2, 1, "m", 2, 475.2),
    (256, 32, 32, 5, 4, "m", 2, 535.9),
    (32, 256, 32, 5, 8, "n", 1, 587.7),
    (32, 128, 256, 2, 2, "m", 4, 649.3),
    (32, 128, 128, 4, 2, "m", 4, 725.8),
    (64, 64, 16, 2, 1, "m", 16, 842.5),
    (256, 16, 64, 3, 2, "n", 1, 979.0),
    (16, 256, 32, 2, 8, "m", 8, 1043.0),
    (128, 32, 16, 3, 4, "m", 8, 1138.0),
    (16, 256, 16, 3, 4, "m", 4, 1956.8),
    (256, 16, 64, 5, 1, "n", 8, 4942.3),
]
"""4096 x 4096 x 4096 bf16 nt, H200, 2026-11-22, cold, CUDA graphs: the fastest and slowest of 282, and 14 between."""

MEASURED_ZEN5 = [  # ORDER, PACK, VW, NRV, MR, KU, MC, KC, NC, PREFETCH, µs
    ("ji", "b", 16, 2, 12, 1, 192, 1024, 128, "none", 13899),
    ("ji", "b", 16, 3, 8, 4, 48, 1024, 2048, "c", 17822),
    ("ji", "b", 16, 1, 8, 1, 768, 256, 2048, "c", 20784),
    ("ji", "b", 16, 3, 8, 1, 192, 256, 2048, "c", 23254),
    ("ji", "b", 16, 2, 4, 4, 192, 128, 2048, "none", 26741),
    ("ij", "b", 8, 3, 6, 1, 48, 512, 128, "none", 30974),
    ("ji", "a", 8, 2, 12, 1, 48, 256, 2048, "none", 33294),
    ("ji", "a", 16, 1, 12, 4, 192, 256, 128, "none", 38041),
    ("ji", "b", 8, 2, 4, 1, 768, 128, 128, "none", 45303),
    ("ji", "b", 8, 3, 4, 1, 48, 1024, 512, "none", 51214),
    ("ij", "a", 8, 3, 4, 1, 768, 256, 512, "none", 63931),
    ("ij", "a", 8, 2, 4, 4, 768, 128, 512, "none", 173033),
]
"""1024 x 1024 x 1024 fp32 nn, one core of a Zen 5 server, 2026-11-23, cold: the fastest and slowest of 300, and 10."""


def some_work(**changes):
    """One config of full waves that does nothing but compute, but for `changes`."""
    told = dict(blocks=132.0, resident=1.0, core_clocks=1e6, wait_clocks=0, shared_bytes=0, dram_bytes=0, before_us=0)
    return Work(**{name: np.array([float(value)]) for name, value in (told | changes).items()})


def us(target=GPU, **changes):
    (told,) = estimates_us(some_work(**changes), target)
    return float(told)


def estimated(name, target, configs, m, n, k, **fields):
    """µs of configs of a template."""
    (template,) = templates_named("gemm", [name])
    problem = op_named("gemm").problem(target.kind, m=m, n=n, k=k, **fields)
    feasible = template.feasible(problem, target)
    return template.estimates_us(feasible, problem, target, [feasible.index(config) for config in configs])


def of_triton(target, *tiles, m=4096, n=4096, k=4096, layout="nt", dtype="bf16"):
    names = ("BLOCK_M", "BLOCK_N", "BLOCK_K", "num_stages", "num_warps", "ORDER", "GROUP")
    configs = [dict(zip(names, tile, strict=True)) for tile in tiles]
    return estimated("triton_tiled", target, configs, m, n, k, layout=layout, dtype=dtype)


def test_a_block_more_than_the_cores_hold_costs_a_whole_wave():
    """The tail."""
    assert us(blocks=133) == us(blocks=264) == pytest.approx(2 * us(blocks=132))


def test_more_waves_of_waiting_cost_more_and_blocks_that_are_there_together_wait_together():
    """Four blocks a multiprocessor: 528 wait once."""
    waiting = {"core_clocks": 1, "wait_clocks": 1e6}
    assert us(blocks=1056, resident=4, **waiting) == pytest.approx(2 * us(blocks=528, resident=4, **waiting))
    assert us(blocks=528, resident=4, **waiting) == pytest.approx(us(blocks=132, **waiting), rel=1e-3)


def test_few_blocks_draw_less_than_all_bandwidth():
    """A handful of multiprocessors cannot keep memory busy."""
    moving = {"core_clocks": 1, "dram_bytes": 1e9}
    assert us(blocks=8, **moving) > 2 * us(blocks=132, **moving)


@pytest.mark.parametrize("field", ["core_clocks", "wait_clocks", "shared_bytes", "dram_bytes", "before_us"])
@pytest.mark.parametrize("target", [GPU, CPU])
def test_more_of_anything_costs_more(field, target):
    """No roof hides another one wholly."""
    before = {"wait_clocks": 1e6, "shared_bytes": 1e9, "dram_bytes": 1e9, "before_us": 1}
    assert us(target, **(before | {field: 2e9})) > us(target, **before)


def test_a_multiprocessor_holds_as_many_blocks_as_its_scarcest_part_allows():
    """Shared memory, registers, threads, and one at least."""
    smem, registers = np.array([100e3, 1e3, 1e3, 227e3]), np.array([32.0, 128.0, 16.0, 255.0])
    assert resident_blocks(GPU.device, np.full(4, 8.0), registers, smem).tolist() == [2, 2, 8, 1]


def test_twice_the_depth_takes_twice_the_time_where_computing_bounds():
    """K is what a tile is computed along."""
    tile = (128, 128, 64, 4, 8, "m", 8)
    assert 1.9 < of_triton(GPU, tile, k=8192)[0] / of_triton(GPU, tile)[0] < 2.1
    config = dict(SPLIT="rows", ORDER="ji", PACK="b", VW=8, NRV=2, MR=6, KU=4, MC=192, KC=512, NC=512, PREFETCH="c")
    short, long = (estimated("c_tiled", CPU, [config], 512, 512, k)[0] for k in (1024, 2048))
    assert 1.9 < long / short < 2.1


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: f"{target.kind} {target.fields().get('arch', '')}")
@pytest.mark.parametrize("layout", ["nn", "nt", "tn", "tt"])
def test_every_feasible_config_of_every_template_has_a_positive_finite_estimate(target, layout):
    """Whatever the device and however odd the shape; of large spaces a sample."""
    for m, n, k in SHAPES:
        for dtype in ("fp32", "bf16"):
            problem = op_named("gemm").problem(target.kind, m=m, n=n, k=k, dtype=dtype, layout=layout)
            for template in templates("gemm"):
                if template.supports(problem, target) is None:
                    feasible = template.feasible(problem, target)
                    rows = feasible.draw(np.random.default_rng(0), 3000)
                    told = template.estimates_us(feasible, problem, target, rows)
                    assert told.shape == (len(rows),)
                    assert np.isfinite(told).all()
                    assert (told > 0).all()


def test_it_orders_configs_that_were_measured_on_a_gpu():
    """The fastest of them is among the first two, and the estimate is no more than a third off."""
    told, came = of_triton(H200, *(row[:-1] for row in MEASURED_H200)), np.array([row[-1] for row in MEASURED_H200])
    assert spearmanr(told, came)[0] > 0.85
    assert 0 in np.argsort(told)[:2]
    assert 0.75 < np.median(came / told) < 1.33


def test_it_orders_configs_that_were_measured_on_a_processor():
    """With no data of this processor at all."""
    names = ("ORDER", "PACK", "VW", "NRV", "MR", "KU", "MC", "KC", "NC", "PREFETCH")
    configs = [{"SPLIT": "rows"} | dict(zip(names, row, strict=False)) for row in MEASURED_ZEN5]
    told = estimated("c_tiled", ZEN5, configs, 1024, 1024, 1024)
    assert spearmanr(told, [row[-1] for row in MEASURED_ZEN5])[0] > 0.7
    assert np.argmin(told) == 0


def test_tiles_held_in_registers_are_faster_than_a_thread_an_element():
    """The ladder of cuda_simt."""
    one = {"TM": 1, "TN": 1}
    ladder = [
        {"LEVEL": "registers", "BLOCK_M": 128, "BLOCK_N": 128, "BLOCK_K": 16, "TM": 8, "TN": 8, "PAD": 4, "GROUP": 4},
        {"LEVEL": "shared", **one, "BLOCK_M": 32, "BLOCK_N": 32, "BLOCK_K": 32, "PAD": 4, "GROUP": 4},
        {"LEVEL": "naive", **one, "BLOCK_M": 32, "BLOCK_N": 8, "UNROLL": 4},
    ]
    told = estimated("cuda_simt", GPU, ladder, 4096, 4096, 4096, dtype="fp32")
    assert told[0] < told[1] < told[2]


def test_rows_that_are_copied_beat_rows_that_begin_anywhere():
    """As was measured at 777 x 3333 x 2048: 29, 41 and 75 µs (docs/measured_facts.md)."""
    tile = dict(BLOCK_M=128, BLOCK_N=128, BLOCK_K=64, num_stages=3, num_warps=4, ORDER="m", GROUP=4, EDGE="mask")
    ways = [tile | {"UNALIGNED": way} for way in ("copy", "chunks", "direct")]
    told = estimated("triton_tiled", H200, ways, 777, 3333, 2048)
    assert told[0] < told[1] < told[2]


@pytest.mark.parametrize("template", [t for t in templates("gemm") if t.backend != "cpu"], ids=lambda t: t.name)
def test_a_list_of_configs_and_a_problem_from_a_store_are_told_the_same(template):
    """Facts follow from fields, and a list need not have every parameter."""
    from kerntune.tuner.transfer import listed

    gemm = op_named("gemm")
    dtype = "fp32" if template.name == "cuda_simt" else "bf16"
    problem = gemm.problem("gpu", m=64, n=2048, k=2048, dtype=dtype)
    assert template.supports(problem, H200) is None
    stored = gemm.with_facts(Problem(problem.op, problem.fields), "gpu")
    feasible = template.feasible(problem, H200)
    space, rows = listed(template, feasible.sample(np.random.default_rng(2), 50))
    there = feasible.find_all(space[row] for row in rows)
    told = template.estimates_us(feasible, problem, H200, there)
    assert template.estimates_us(space, stored, H200, rows).tolist() == told.tolist()


def test_a_template_without_a_model_says_nothing():
    """Third parties' templates need none."""
    (template,) = templates_named("gemm", ["c_tiled"])
    bare = replace(template, work=None)
    problem = op_named("gemm").problem("cpu", m=64, n=64, k=64)
    assert bare.estimates_us(bare.feasible(problem, CPU), problem, CPU, [0]) is None
    assert bare.digest == template.digest
