"""triton_tiled: its space, its sources, its binaries, and its numbers in Triton's interpreter."""

import ast

import numpy as np
import pytest
from builders import a_target
from interpreted import a_product, fault, run
from kerntune.templates.catalogue import op_named, templates_named
from kerntune.templates.gemm.triton_tiled import WIDE_INDEX_ELEMENTS
from kerntune.tuner.backends.artifact import Artifact
from kerntune.tuner.backends.triton import TritonBackend

(TEMPLATE,) = templates_named("gemm", ["triton_tiled"])
TARGET = a_target()
LAYOUTS = ("nn", "nt", "tn", "tt")
SHAPES = [(4096, 4096, 4096), (777, 3333, 2048), (1, 1, 1), (17, 5, 3), (1, 4096, 4096), (1000, 1002, 1001)]


def problem(m, n, k, **fields):
    return op_named("gemm").problem("gpu", m=m, n=n, k=k, **fields)


def candidates(of, count, seed=0, **fixed):
    """Drawn from the feasible configs, those with the `fixed` values only."""
    feasible = TEMPLATE.feasible(of, TARGET)
    configs = feasible.sample(np.random.default_rng(seed), len(feasible) if fixed else count)
    configs = [config for config in configs if fixed.items() <= dict(config).items()][:count]
    return [TEMPLATE.candidate(feasible, of, TARGET, config) for config in configs]


def test_a_large_product_has_thousands_of_configs():
    """There is something to search."""
    assert len(TEMPLATE.feasible(problem(4096, 4096, 4096, layout="nt"), TARGET)) >= 2000


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["bf16", "fp32", "tf32x3", "int8", "fp8e4m3"])
def test_every_shape_has_configs_and_seeds(shape, layout, dtype):
    """Neither a tiny nor an odd problem is left without a kernel."""
    of = problem(*shape, layout=layout, dtype=dtype)
    feasible = TEMPLATE.feasible(of, TARGET)
    seeds = TEMPLATE.seed_configs(feasible, of, TARGET)
    assert seeds
    assert all(seed in feasible for seed in seeds)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["bf16", "fp8e5m2"])
def test_every_source_is_python_and_no_two_configs_share_one(shape, layout, dtype):
    """A config that renders another's source would be measured twice."""
    sources = [candidate.source for candidate in candidates(problem(*shape, layout=layout, dtype=dtype), 150)]
    assert len(set(sources)) == len(sources)
    assert all(ast.parse(source) for source in sources)


def test_no_config_needs_more_shared_memory_than_a_block_may_have():
    """What cannot be launched is not compiled."""
    of = problem(4096, 4096, 4096)
    feasible = TEMPLATE.feasible(of, TARGET)
    needed = [feasible.bind(config)["smem_bytes"] for config in feasible.sample(np.random.default_rng(0), 500)]
    assert max(needed) <= TARGET.device.smem_per_block_bytes


def test_a_refused_config_is_told_why():
    """The reason holds both numbers."""
    feasible = TEMPLATE.feasible(problem(4096, 4096, 4096), TARGET)
    config = {"BLOCK_M": 256, "BLOCK_N": 128, "num_warps": 8, "BLOCK_K": 128, "num_stages": 4, "ORDER": "m", "GROUP": 4}
    assert feasible.explain(config) == (
        "the stages of A and B must fit a block's shared memory "
        "(smem_bytes = 393,216 bytes > target.smem_per_block_bytes = 232,448 bytes)"
    )


def test_a_smaller_chip_gets_smaller_tiles():
    """The limits are the target's, not this year's."""
    of = problem(4096, 4096, 4096)
    small = a_target(arch="sm_86", smem_per_block_bytes=101376)
    assert 0 < len(TEMPLATE.feasible(of, small)) < len(TEMPLATE.feasible(of, TARGET))


def test_offsets_take_64_bits_only_where_an_operand_is_that_large():
    """32 bits wrap at 2^31 elements, and 64 cost registers."""
    (large,) = candidates(problem(2**16, 64, 2**15), 1)
    (small,) = candidates(problem(2**15, 64, 2**15), 1)
    assert 2**31 >= WIDE_INDEX_ELEMENTS > 2**30
    assert "tl.int64" in large.source
    assert "tl.int64" not in small.source


@pytest.mark.parametrize(
    ("target", "fields", "reason"),
    [
        (a_target("cpu"), {"dtype": "bf16"}, "it runs on a GPU of sm_80 or later"),
        (a_target(arch="sm_75"), {"dtype": "fp16"}, "it runs on a GPU of sm_80 or later"),
        (a_target(arch="sm_80"), {"dtype": "fp8e5m2"}, "it computes fp8 on a GPU of sm_89 or later"),
        (
            TARGET,
            {"dtype": "bf16", "out_dtype": "int8"},
            "of bf16 it stores bf16, fp16, fp32, fp8e4m3, fp8e5m2, not int8",
        ),
        (TARGET, {"dtype": "bf16", "acc_dtype": "fp16"}, "it sums bf16 in fp32, not in fp16"),
        (TARGET, {"dtype": "int8", "batch": 3}, None),
        (TARGET, {"dtype": "fp8e4m3", "epilogue": "bias+relu", "scales": "block128"}, None),
        (TARGET, {"dtype": "bf16", "out_dtype": "fp32"}, None),
    ],
)
def test_what_it_cannot_compute_is_said(target, fields, reason):
    """A template that is passed over says why."""
    assert TEMPLATE.supports(problem(64, 64, 64, **fields), target) == reason


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


def faults(problems, ways, tmp_path, count=1):
    """What is wrong in so many configs of each way of each problem; those looked at, too."""
    wanted = [
        (of, candidate)
        for number, of in enumerate(problems)
        for way in ways
        for candidate in candidates(of, count, seed=number, **way)
    ]
    ran = run(wanted, tmp_path)
    return wanted, [(of.fields, dict(candidate.config)) for of, candidate, c, _ in ran if fault(of, c)]


@pytest.mark.triton
@pytest.mark.torch
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["fp16", "fp32"])
def test_its_numbers_are_right_on_ragged_shapes(tmp_path, layout, dtype):
    """Sampled configs of each way to load what is not aligned."""
    problems = [a_product(*shape, layout=layout, dtype=dtype) for shape in RAGGED]
    wanted, wrong = faults(problems, WAYS, tmp_path)
    assert len(wanted) >= 9
    assert wrong == []


@pytest.mark.triton
@pytest.mark.torch
@pytest.mark.parametrize("half", [0, 1])
def test_its_numbers_are_right_of_every_type_in_batches_and_with_epilogues(tmp_path, half):
    """Scales inside K and after it, too, of rows that are aligned and of rows that are copied."""
    shapes = [(40, 70, 272), (33, 150, 203)]
    problems = [a_product(*shape, **fields) for fields in KINDS[half::2] for shape in shapes]
    assert {TEMPLATE.supports(of, TARGET) for of in problems} == {None}
    ways = ({}, {"UNALIGNED": "copy"}, {"UNALIGNED": "chunks"}, {"K_TAIL": "peel", "BLOCK_K": 64}, {"PROMOTE": "turn"})
    wanted, wrong = faults(problems, ways, tmp_path)
    assert sum("_copy" in candidate.source for _, candidate in wanted) >= 5
    assert wrong == []


@pytest.mark.triton
def test_sampled_configs_of_every_type_become_cubins(tmp_path):
    """For sm_90; one that spills is refused, and for nothing else."""
    compilers, made = TritonBackend(TARGET, 1), []
    kinds = (*KINDS, {"dtype": "bf16", "batch": 2, "epilogue": "gelu"}, {"dtype": "fp8e5m2", "layout": "nt"})
    problems = [a for fields in kinds for a in (problem(256, 512, 1024, **fields), problem(129, 251, 1003, **fields))]
    try:
        for number, candidate in enumerate(candidate for of in problems for candidate in candidates(of, 1)):
            (tmp_path / str(number)).mkdir()
            made.append(compilers.compile(candidate, tmp_path / str(number)))
    finally:
        compilers.close()
    refused = [outcome.reason for outcome in made if not isinstance(outcome, Artifact)]
    assert all(reason.startswith("spill_bytes ") for reason in refused)
    assert len(refused) < len(made) // 3
