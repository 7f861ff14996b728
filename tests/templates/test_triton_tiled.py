"""triton_tiled: limits of its space, its binaries, and its numbers in Triton's interpreter."""

import numpy as np
import pytest
from builders import a_target
from gemm_candidates import HOPPER, LAYOUTS, a_product, candidates, space_of
from interpreted import fault, run
from kerntune.templates.catalogue import templates_named
from kerntune.templates.gemm.triton_tiled import WIDE_INDEX_ELEMENTS
from kerntune.tuner.backends.artifact import Artifact

(TEMPLATE,) = templates_named("gemm", ["triton_tiled"])


def test_no_config_needs_more_shared_memory_than_a_block_may_have():
    """What cannot be launched is not compiled."""
    of = a_product(4096, 4096, 4096)
    feasible = space_of(TEMPLATE, of)
    needed = [feasible.bind(config)["smem_bytes"] for config in feasible.sample(np.random.default_rng(0), 500)]
    assert max(needed) <= HOPPER.device.smem_per_block_bytes


def test_a_refused_config_is_told_why():
    """The reason holds both numbers."""
    feasible = space_of(TEMPLATE, a_product(4096, 4096, 4096))
    config = {"BLOCK_M": 256, "BLOCK_N": 128, "num_warps": 8, "BLOCK_K": 128, "num_stages": 4, "ORDER": "m", "GROUP": 4}
    assert feasible.explain(config) == (
        "the stages of A and B must fit a block's shared memory "
        "(smem_bytes = 393,216 bytes > target.smem_per_block_bytes = 232,448 bytes)"
    )


def test_a_smaller_chip_gets_smaller_tiles():
    """The limits are the target's, not this year's."""
    of = a_product(4096, 4096, 4096)
    small = a_target(arch="sm_86", smem_per_block_bytes=101376)
    assert 0 < len(space_of(TEMPLATE, of, small)) < len(space_of(TEMPLATE, of))


def test_offsets_take_64_bits_only_where_an_operand_is_that_large():
    """32 bits wrap at 2^31 elements, and 64 cost registers."""
    (large,) = candidates(TEMPLATE, a_product(2**16, 64, 2**15), 1)
    (small,) = candidates(TEMPLATE, a_product(2**15, 64, 2**15), 1)
    assert 2**31 >= WIDE_INDEX_ELEMENTS > 2**30
    assert "tl.int64" in large.source
    assert "tl.int64" not in small.source


RAGGED = [(33, 65, 47), (96, 48, 32), (1, 7, 5), (64, 33, 96), (50, 61, 31), (17, 95, 64)]
# Not stored in 8 bits: the interpreter of Triton 3.6 rounds 31.9 to 16 there.
KINDS = (
    {"dtype": "tf32", "layout": "tn"},
    {"dtype": "tf32x3", "layout": "nt", "epilogue": "relu"},
    {"dtype": "int8", "layout": "nt"},
    {"dtype": "int8", "layout": "nn", "out_dtype": "fp16", "scales": "row", "epilogue": "bias+gelu", "batch": 2},
    {"dtype": "int8", "layout": "tt", "out_dtype": "fp32", "scales": "block128"},
    {"dtype": "fp8e4m3", "layout": "nt", "out_dtype": "fp16", "scales": "tensor", "batch": 2},
    {"dtype": "fp8e4m3", "layout": "tn", "out_dtype": "fp16", "scales": "block128", "batch": 2},
    {"dtype": "fp8e4m3", "layout": "nn", "out_dtype": "fp16", "epilogue": "bias+silu+residual"},
    {"dtype": "fp16", "layout": "nn", "batch": 3, "epilogue": "bias+relu+residual"},
    {"dtype": "fp16", "layout": "tn", "batch": 2, "out_dtype": "fp32"},
)
WAYS = (
    {},
    {"UNALIGNED": "chunks", "BLOCK_K": 16},
    {"UNALIGNED": "copy", "EDGE": "wrap"},
    {"UNALIGNED": "copy", "EDGE": "mask", "BLOCK_K": 16},
    {"K_TAIL": "peel", "BLOCK_K": 16},
)


def faults(problems, ways, tmp_path):
    """What is wrong in a config of each way of each problem; those looked at, too."""
    wanted = [
        (of, candidate)
        for number, of in enumerate(problems)
        for way in ways
        for candidate in candidates(TEMPLATE, of, 1, seed=number, **way)
    ]
    ran = run(wanted, tmp_path, calls=1)
    return wanted, [(of.fields, dict(candidate.config)) for of, candidate, c in ran if fault(of, c)]


@pytest.mark.triton
@pytest.mark.torch
@pytest.mark.parametrize("dtype", ["fp16", "fp32"])
def test_its_numbers_are_right_on_ragged_shapes(tmp_path, dtype):
    """Sampled configs of each way to load what is not aligned, in each layout."""
    problems = [a_product(*shape, layout=layout, dtype=dtype) for layout in LAYOUTS for shape in RAGGED]
    wanted, wrong = faults(problems, WAYS, tmp_path)
    assert len(wanted) >= 9 * len(LAYOUTS)
    assert wrong == []


@pytest.mark.triton
@pytest.mark.torch
def test_its_numbers_are_right_of_every_type_in_batches_and_with_epilogues(tmp_path):
    """Scales inside K and after it, too, of rows that are aligned and of rows that are copied."""
    problems = []
    for fields in KINDS:
        # Blocks of 128 along K, of which there are two or three; else more turns than one of each tile.
        shapes = [(40, 70, 272), (33, 150, 203)] if fields.get("scales") == "block128" else [(24, 38, 80), (33, 54, 75)]
        problems += [a_product(*shape, **fields) for shape in shapes]
    assert {TEMPLATE.supports(of, HOPPER) for of in problems} == {None}
    ways = ({}, {"UNALIGNED": "copy"}, {"UNALIGNED": "chunks"}, {"K_TAIL": "peel", "BLOCK_K": 64}, {"PROMOTE": "turn"})
    wanted, wrong = faults(problems, ways, tmp_path)
    assert sum("_copy" in candidate.source for _, candidate in wanted) >= 10
    assert wrong == []


@pytest.mark.triton
def test_sampled_configs_of_every_type_become_cubins(compiled, tmp_path):
    """For sm_90; one that spills is refused, and for nothing else."""
    kinds = (*KINDS, {"batch": 2, "epilogue": "gelu"}, {"dtype": "fp8e5m2", "layout": "nt"})
    problems = [a_product(*shape, **fields) for fields in kinds for shape in ((256, 512, 1024), (129, 251, 1003))]
    wanted = [(candidate, HOPPER) for of in problems for candidate in candidates(TEMPLATE, of, 1)]
    made = compiled(wanted, tmp_path)
    refused = [outcome.reason for outcome in made if not isinstance(outcome, Artifact)]
    assert all(reason.startswith("spill_bytes ") for reason in refused)
    assert len(refused) < len(made) // 3
