"""triton_skinny: what it streams, its model, its binaries, and its numbers in Triton's interpreter."""

import numpy as np
import pytest
from gemm_candidates import AMPERE, HOPPER, a_product, candidates, space_of
from interpreted import fault, run
from kerntune.templates.catalogue import templates_named
from kerntune.tuner.backends.artifact import Artifact

(TEMPLATE,) = templates_named("gemm", ["triton_skinny"])
TURNS = (
    # of fp16 unless said otherwise
    (1, 70, 130, {}),
    (3, 40, 150, {"layout": "nt", "epilogue": "bias+gelu+residual"}),
    (16, 100, 128, {"layout": "nt"}),
    (40, 130, 160, {"layout": "tn", "epilogue": "bias+silu"}),
    (17, 48, 129, {"layout": "tt", "out_dtype": "fp32"}),
    (100, 16, 128, {"layout": "nt", "batch": 2, "scales": "row", "epilogue": "bias+relu+residual"}),
    (40, 5, 110, {"layout": "nn", "batch": 2}),
    (2, 35, 77, {"layout": "tt", "dtype": "fp32", "batch": 3}),
    (64, 100, 256, {"layout": "nt", "dtype": "int8"}),
    (5, 20, 256, {"layout": "nt", "dtype": "int8", "out_dtype": "fp16", "scales": "row", "batch": 2}),
    (40, 48, 384, {"layout": "nt", "dtype": "fp8e4m3", "out_dtype": "fp16", "scales": "tensor"}),
    (10, 140, 384, {"layout": "nt", "dtype": "fp8e4m3", "out_dtype": "fp16", "scales": "block128", "batch": 2}),
    (140, 8, 300, {"layout": "nn", "dtype": "fp8e5m2", "out_dtype": "fp16", "scales": "block128"}),
)


def drawn(of, count, target=HOPPER, **fixed):
    return candidates(TEMPLATE, of, count, seed=1, target=target, **fixed)


@pytest.mark.parametrize(("shape", "streamed"), [((16, 640, 256), "B"), ((640, 16, 256), "A")])
def test_the_larger_operand_is_streamed(shape, streamed):
    """Once: no two programs read the same part of it."""
    (candidate,) = drawn(a_product(*shape, layout="nt"), 1, BLOCK_W=64, SPLIT=2)
    assert f": {streamed} streamed once, 10 tiles of C by 2 parts of K" in candidate.source
    assert candidate.launch.grid == (20, 1, 1)


def test_parts_of_k_meet_in_a_workspace_that_one_part_does_without():
    """Partial sums of each part, and a counter a tile, of each product of a batch."""
    of = a_product(16, 640, 1024, layout="nt", batch=3)
    (split,) = drawn(of, 1, PRODUCT="wide", BLOCK_W=64, SPLIT=4)
    (alone,) = drawn(of, 1, PRODUCT="wide", BLOCK_W=64, SPLIT=1)
    assert split.launch.workspace == {"partials": 3 * 10 * 4 * 64 * 16 * 4, "arrivals": 3 * 10 * 4}
    assert not alone.launch.workspace
    assert "partials" not in alone.source


def seen(parameter, of, target=HOPPER):
    """Values of a parameter among the feasible configs."""
    return {config[parameter] for config in space_of(TEMPLATE, of, target).sample(np.random.default_rng(0), 500)}


def test_vectors_are_for_few_rows():
    """More than eight, and the ordinary cores are slower than memory."""
    assert seen("PRODUCT", a_product(8, 4096, 4096)) == {"wide", "thin", "vector"}
    assert seen("PRODUCT", a_product(9, 4096, 4096)) == {"wide", "thin"}


@pytest.mark.parametrize(("target", "k"), [(AMPERE, 4096), (HOPPER, 4095)])
def test_descriptors_need_a_chip_and_rows_that_have_them(target, k):
    """TMA came with sm_90, and takes rows of whole 16 bytes."""
    assert seen("LOADS", a_product(16, 4096, k, layout="nt"), target) == {"pointer"}


def test_the_model_ranks_bytes_under_way():
    """Of the same strips, more stages wait less; of the same loads, a chip that is half idle waits longer."""
    of = a_product(16, 6144, 4096, layout="nt")
    feasible = space_of(TEMPLATE, of)
    strip = {"PRODUCT": "wide", "BLOCK_W": 64, "BLOCK_K": 128, "num_warps": 4, "SPLIT": 1, "LOADS": "tma"}
    wide = {**strip, "BLOCK_W": 256, "num_warps": 8, "num_stages": 3}
    wanted = [{**strip, "num_stages": 6}, {**strip, "num_stages": 2}, wide]
    rows = [feasible.index(feasible.nearest(config)) for config in wanted]
    deep, shallow, few = TEMPLATE.estimates_us(feasible, of, HOPPER, rows)
    assert deep < shallow
    assert deep < few


@pytest.mark.triton
@pytest.mark.torch
def test_its_numbers_are_right_at_every_call(tmp_path):
    """Ragged sizes, all ways to multiply, load and split, twice over the same workspace: the same bits."""
    wanted = []
    for m, n, k, fields in TURNS:
        of = a_product(m, n, k, **{"dtype": "fp16"} | fields)
        assert TEMPLATE.supports(of, HOPPER) is None
        splits = {"SPLIT": 2} if k > 100 and of["scales"] != "row" else {"SPLIT": 3}
        found = [*drawn(of, 2), *drawn(of, 2, **splits), *drawn(of, 1, LOADS="tma"), *drawn(of, 1, PRODUCT="vector")]
        wanted += [(of, candidate) for candidate in found]
    assert {candidate.config["PRODUCT"] for _, candidate in wanted} == {"wide", "thin", "vector"}
    assert sum(candidate.config.get("SPLIT", 1) > 1 for _, candidate in wanted) >= 20
    for of, candidate, first, second in run(wanted, tmp_path, zero=("arrivals",)):
        assert fault(of, first) is None, (dict(candidate.config), of.fields)
        assert np.array_equal(first, second), dict(candidate.config)


@pytest.mark.triton
@pytest.mark.parametrize("target", [HOPPER, AMPERE], ids=["sm_90", "sm_80"])
def test_sampled_configs_become_cubins(compiled, tmp_path, target):
    """For both kinds of chip; few spill, none is refused for anything else."""
    kinds = [{}, {"layout": "nt"}, {"dtype": "fp16", "epilogue": "bias+gelu+residual"}]
    kinds += [{"dtype": "int8", "layout": "nt"}, {"dtype": "tf32", "layout": "tt"}]
    if target is HOPPER:
        kinds += [{"dtype": "fp8e4m3", "layout": "nt", "scales": "block128", "out_dtype": "bf16"}]
    problems = [a_product(*shape, **fields) for fields in kinds for shape in ((16, 1536, 2048), (1003, 3, 1000))]
    made = compiled([(candidate, target) for of in problems for candidate in drawn(of, 2, target)], tmp_path)
    refused = [outcome.reason for outcome in made if not isinstance(outcome, Artifact)]
    assert all(reason.startswith("spill_bytes ") for reason in refused)
    assert len(refused) <= len(made) // 4
