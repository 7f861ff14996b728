"""triton_skinny: its space, its sources, its binaries, and its numbers in Triton's interpreter."""

import ast

import numpy as np
import pytest
from builders import a_target
from interpreted import a_product, fault, run
from kerntune.templates.catalogue import templates_named
from kerntune.templates.gemm.skinny_space import MOST_THIN
from kerntune.tuner.backends.artifact import Artifact
from kerntune.tuner.backends.triton import TritonBackend

(TEMPLATE,) = templates_named("gemm", ["triton_skinny"])
TARGET = a_target()
AMPERE = a_target(arch="sm_80", sm_count=108, smem_per_block_bytes=166912)
LAYOUTS = ("nn", "nt", "tn", "tt")
SHAPES = [
    (1, 4096, 4096),
    (16, 6144, 4096),
    (64, 4096, 14336),
    (32, 50304, 768),
    (4096, 64, 4096),
    (1, 1, 1),
    (17, 5, 3),
]
TURNS = (
    # of fp16 unless said otherwise
    (1, 130, 200, {}),
    (3, 96, 300, {"layout": "nt", "epilogue": "bias+gelu+residual"}),
    (16, 200, 256, {"layout": "nt"}),
    (40, 130, 160, {"layout": "tn", "epilogue": "bias+silu"}),
    (17, 96, 129, {"layout": "tt", "out_dtype": "fp32"}),
    (200, 16, 128, {"layout": "nt", "batch": 2, "scales": "row", "epilogue": "bias+relu+residual"}),
    (150, 5, 130, {"layout": "nn", "batch": 2}),
    (2, 130, 77, {"layout": "tt", "dtype": "fp32", "batch": 3}),
    (64, 100, 256, {"layout": "nt", "dtype": "int8"}),
    (5, 100, 256, {"layout": "nt", "dtype": "int8", "out_dtype": "fp16", "scales": "row", "batch": 2}),
    (40, 48, 384, {"layout": "nt", "dtype": "fp8e4m3", "out_dtype": "fp16", "scales": "tensor"}),
    (10, 300, 384, {"layout": "nt", "dtype": "fp8e4m3", "out_dtype": "fp16", "scales": "block128", "batch": 2}),
    (300, 8, 300, {"layout": "nn", "dtype": "fp8e5m2", "out_dtype": "fp16", "scales": "block128"}),
)


def candidates(of, count, target=TARGET, **fixed):
    """Drawn from the feasible configs, those with the `fixed` values only."""
    feasible = TEMPLATE.feasible(of, target)
    configs = feasible.sample(np.random.default_rng(1), 4000 if fixed else count)
    configs = [config for config in configs if fixed.items() <= dict(config).items()][:count]
    return [TEMPLATE.candidate(feasible, of, target, config) for config in configs]


@pytest.mark.parametrize("shape", SHAPES[:5])
def test_a_real_product_has_thousands_of_configs(shape):
    """There is something to search."""
    assert len(TEMPLATE.feasible(a_product(*shape, dtype="bf16", layout="nt"), TARGET)) >= 2000


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_has_seeds_and_no_two_configs_share_a_source(shape, layout):
    """A config that renders another's source would be measured twice."""
    of = a_product(*shape, dtype="bf16", layout=layout)
    feasible = TEMPLATE.feasible(of, TARGET)
    assert TEMPLATE.seed_configs(feasible, of, TARGET)
    sources = [candidate.source for candidate in candidates(of, 120)]
    assert len(set(sources)) == len(sources)
    assert all(ast.parse(source) for source in sources)


@pytest.mark.parametrize(("shape", "streamed"), [((16, 640, 256), "B"), ((640, 16, 256), "A")])
def test_the_larger_operand_is_streamed(shape, streamed):
    """Once: no two programs read the same part of it."""
    (candidate,) = candidates(a_product(*shape, layout="nt"), 1, BLOCK_W=64, SPLIT=2)
    assert f": {streamed} streamed once, 10 tiles of C by 2 parts of K" in candidate.source
    assert candidate.launch.grid == (20, 1, 1)


def test_parts_of_k_meet_in_a_workspace_that_one_part_does_without():
    """Partial sums of each part, and a counter a tile, of each product of a batch."""
    of = a_product(16, 640, 1024, layout="nt", batch=3)
    (split,) = candidates(of, 1, PRODUCT="wide", BLOCK_W=64, SPLIT=4)
    (alone,) = candidates(of, 1, PRODUCT="wide", BLOCK_W=64, SPLIT=1)
    assert split.launch.workspace == {"partials": 3 * 10 * 4 * 64 * 16 * 4, "arrivals": 3 * 10 * 4}
    assert not alone.launch.workspace
    assert "partials" not in alone.source


def test_vectors_are_for_few_rows():
    """More than eight, and the ordinary cores are slower than memory."""
    few = {config["PRODUCT"] for config in TEMPLATE.feasible(a_product(8, 4096, 4096), TARGET).sample(_rng(), 500)}
    more = {config["PRODUCT"] for config in TEMPLATE.feasible(a_product(9, 4096, 4096), TARGET).sample(_rng(), 500)}
    assert few == {"wide", "thin", "vector"}
    assert more == {"wide", "thin"}


@pytest.mark.parametrize(("target", "k"), [(AMPERE, 4096), (TARGET, 4095)])
def test_descriptors_need_a_chip_and_rows_that_have_them(target, k):
    """TMA came with sm_90, and takes rows of whole 16 bytes."""
    feasible = TEMPLATE.feasible(a_product(16, 4096, k, layout="nt"), target)
    assert {config["LOADS"] for config in feasible.sample(_rng(), 300)} == {"pointer"}


def test_the_model_ranks_bytes_under_way():
    """Of the same strips, more stages wait less; of the same loads, a chip that is half idle waits longer."""
    of = a_product(16, 6144, 4096, dtype="bf16", layout="nt")
    feasible = TEMPLATE.feasible(of, TARGET)
    strip = {"PRODUCT": "wide", "BLOCK_W": 64, "BLOCK_K": 128, "num_warps": 4, "SPLIT": 1, "LOADS": "tma"}
    wide = {**strip, "BLOCK_W": 256, "num_warps": 8, "num_stages": 3}
    wanted = [{**strip, "num_stages": 6}, {**strip, "num_stages": 2}, wide]
    rows = [feasible.index(feasible.nearest(config)) for config in wanted]
    deep, shallow, few = TEMPLATE.estimates_us(feasible, of, TARGET, rows)
    assert deep < shallow
    assert deep < few


@pytest.mark.parametrize(
    ("target", "fields", "reason"),
    [
        (a_target("cpu"), {}, "it runs on a GPU of sm_80 or later"),
        (a_target(arch="sm_75"), {}, "it runs on a GPU of sm_80 or later"),
        (AMPERE, {"dtype": "fp8e4m3"}, "it computes fp8 on a GPU of sm_89 or later"),
        (TARGET, {"dtype": "bf16", "m": 65}, f"it computes up to {MOST_THIN} rows or columns, not 65 and 512"),
        (TARGET, {"dtype": "int32"}, "not int32"),
        (TARGET, {"dtype": "int8", "m": 512, "n": 64, "batch": 3}, None),
        (TARGET, {"dtype": "fp8e5m2", "scales": "block128", "epilogue": "bias+gelu"}, None),
    ],
)
def test_what_it_cannot_compute_is_said(target, fields, reason):
    """A template that is passed over says why."""
    said = TEMPLATE.supports(a_product(**({"m": 64, "n": 512, "k": 64} | fields)), target)
    assert said is None if reason is None else said.endswith(reason)


@pytest.mark.triton
@pytest.mark.torch
@pytest.mark.parametrize("half", [0, 1])
def test_its_numbers_are_right_at_every_call(tmp_path, half):
    """Ragged sizes, all ways to multiply, load and split, twice over the same workspace: the same bits."""
    wanted = []
    for m, n, k, fields in TURNS[half::2]:
        of = a_product(m, n, k, **fields)
        assert TEMPLATE.supports(of, TARGET) is None
        splits = {"SPLIT": 2} if k > 100 and of["scales"] != "row" else {"SPLIT": 3}
        wanted += [(of, candidate) for candidate in (*candidates(of, 2), *candidates(of, 2, **splits))]
        wanted += [(of, candidate) for candidate in candidates(of, 1, LOADS="tma")]
        wanted += [(of, candidate) for candidate in candidates(of, 1, PRODUCT="vector")]
    assert {candidate.config["PRODUCT"] for _, candidate in wanted} == {"wide", "thin", "vector"}
    assert sum(candidate.config.get("SPLIT", 1) > 1 for _, candidate in wanted) >= 10
    for of, candidate, first, second in run(wanted, tmp_path, zero=("arrivals",)):
        assert fault(of, first) is None, (dict(candidate.config), of.fields)
        assert np.array_equal(first, second), dict(candidate.config)


@pytest.mark.triton
@pytest.mark.parametrize("target", [TARGET, AMPERE])
def test_sampled_configs_become_cubins(tmp_path, target):
    """For both kinds of chip; few spill, none is refused for anything else."""
    kinds = [{"dtype": "bf16"}, {"dtype": "bf16", "layout": "nt"}, {"dtype": "fp16", "epilogue": "bias+gelu+residual"}]
    kinds += [{"dtype": "int8", "layout": "nt"}, {"dtype": "tf32", "layout": "tt"}]
    if target is TARGET:
        kinds += [{"dtype": "fp8e4m3", "layout": "nt", "scales": "block128", "out_dtype": "bf16"}]
    compilers, made = TritonBackend(target, 1), []
    try:
        for number, fields in enumerate(kinds):
            for m, n, k in ((16, 1536, 2048), (1003, 3, 1000)):
                of = a_product(m, n, k, **fields)
                for turn, candidate in enumerate(candidates(of, 2, target)):
                    folder = tmp_path / f"{number}_{m}_{turn}"
                    folder.mkdir()
                    made.append(compilers.compile(candidate, folder))
    finally:
        compilers.close()
    refused = [outcome.reason for outcome in made if not isinstance(outcome, Artifact)]
    assert all(reason.startswith("spill_bytes ") for reason in refused)
    assert len(refused) <= len(made) // 4


def _rng():
    return np.random.default_rng(0)
