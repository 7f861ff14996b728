"""triton_tma: its space, its sources, what compiles of it, and its numbers in Triton's interpreter."""

import ast

import numpy as np
import pytest
from builders import a_target
from kerntune.templates.catalogue import op_named, templates_named
from kerntune.tuner.backends.artifact import Artifact
from kerntune.tuner.backends.instructions import instruction_mix
from kerntune.tuner.backends.triton import TritonBackend

(TEMPLATE,) = templates_named("gemm", ["triton_tma"])
TARGET = a_target()
LAYOUTS = ("nn", "nt", "tn", "tt")
SHAPES = [(4096, 4096, 4096), (777, 3333, 2048), (1, 1, 1), (17, 5, 3), (1, 4096, 4096), (1000, 1002, 1001)]
BLOCKWISE = {"dtype": "fp8e4m3", "scales": "block128", "out_dtype": "bf16", "layout": "nt"}
COMPILED = [
    {"layout": "nt"},
    {"layout": "tn", "epilogue": "bias+gelu+residual", "batch": 2},
    {"dtype": "fp16", "out_dtype": "fp32", "layout": "tt", "epilogue": "silu+residual"},
    {"dtype": "tf32", "layout": "nn"},
    {"dtype": "tf32x3", "layout": "nn"},
    {"dtype": "int8", "layout": "nn"},
    {"dtype": "fp8e4m3", "layout": "tt", "scales": "row"},
    BLOCKWISE,
]


def problem(m, n, k, **fields):
    return op_named("gemm").problem("gpu", m=m, n=n, k=k, **fields)


def candidates(of, count, seed=0, **fixed):
    """Drawn from the feasible configs, those with the `fixed` values only."""
    feasible = TEMPLATE.feasible(of, TARGET)
    configs = feasible.sample(np.random.default_rng(seed), min(len(feasible), 4000) if fixed else count)
    configs = [config for config in configs if fixed.items() <= dict(config).items()][:count]
    return [TEMPLATE.candidate(feasible, of, TARGET, config) for config in configs]


def test_a_large_product_has_thousands_of_configs():
    """There is something to search."""
    assert len(TEMPLATE.feasible(problem(4096, 4096, 4096, layout="nt"), TARGET)) >= 2000


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["bf16", "tf32", "tf32x3", "int8", "fp8e5m2"])
def test_every_shape_has_configs_and_seeds(shape, layout, dtype):
    """Neither a tiny nor an odd problem is left without a kernel."""
    of = problem(*shape, layout=layout, dtype=dtype)
    feasible = TEMPLATE.feasible(of, TARGET)
    seeds = TEMPLATE.seed_configs(feasible, of, TARGET)
    assert seeds
    assert all(seed in feasible for seed in seeds)
    assert (TEMPLATE.estimates_us(feasible, of, TARGET, range(min(20, len(feasible)))) > 0).all()


def test_the_first_seed_of_a_large_product_is_the_one_that_was_fastest():
    """Of a small one it is a tile that every multiprocessor gets one of."""
    large, small = problem(4096, 4096, 4096, layout="nt"), problem(1024, 1024, 1024, layout="nt")
    first = [TEMPLATE.seed_configs(TEMPLATE.feasible(of, TARGET), of, TARGET)[0] for of in (large, small)]
    tiles = [(config["BLOCK_M"], config["BLOCK_N"], config["EPILOGUE_PARTS"], config["PROGRAMS"]) for config in first]
    assert tiles == [(128, 256, 2, "sms"), (128, 64, 1, "tiles")]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_source_is_python_and_no_two_configs_share_one(shape, layout):
    """A config that renders another's source would be measured twice."""
    sources = [candidate.source for candidate in candidates(problem(*shape, layout=layout), 100)]
    assert len(set(sources)) == len(sources)
    assert all(ast.parse(source) for source in sources)


@pytest.mark.parametrize("fields", [*COMPILED, {"dtype": "fp8e5m2", "epilogue": "bias", "layout": "nn"}])
def test_descriptors_are_what_tma_can_address(fields):
    """Whether rows are aligned or not: what is not lies in a workspace, where it is."""
    for shape in ((777, 3333, 2049), (64, 48, 32)):
        for candidate in candidates(problem(*shape, **fields), 20):
            tensors = [argument.tensor for argument in candidate.launch.arguments if argument.tensor]
            assert all(tensor.refusal is None for tensor in tensors)
            copies = {tensor.buffer: tensor.reach_bytes for tensor in tensors if tensor.buffer.endswith("_copy")}
            assert copies.keys() == candidate.launch.workspace.keys()
            assert all(candidate.launch.workspace[name] >= reach for name, reach in copies.items())


def test_a_refused_config_is_told_why():
    """The reason holds both numbers."""
    of = problem(4096, 4096, 4096, layout="nt")
    feasible = TEMPLATE.feasible(of, TARGET)
    config = dict(feasible[0]) | {"BLOCK_M": 128, "BLOCK_N": 256, "BLOCK_K": 64, "num_stages": 4, "num_warps": 8}
    config |= {"PROGRAMS": "sms", "LOOP": "flat", "EPILOGUE_PARTS": 1, "STORE": "tma"}
    assert feasible.explain(config) == (
        "the stages of A and B and a part of C must fit a block's shared memory "
        "(smem_bytes = 263,808 bytes > target.smem_per_block_bytes = 232,448 bytes)"
    )
    assert config | {"EPILOGUE_PARTS": 2} in feasible


@pytest.mark.parametrize(
    ("target", "fields", "reason"),
    [
        (a_target("cpu"), {"dtype": "bf16"}, "it runs on a GPU of sm_90 or later"),
        (a_target(arch="sm_89"), {"dtype": "fp16"}, "it runs on a GPU of sm_90 or later"),
        (
            TARGET,
            {"dtype": "fp32"},
            "it computes bf16, fp16, tf32, tf32x3, fp8e4m3, fp8e5m2, int8, not fp32",
        ),
        (TARGET, {"dtype": "fp16", "acc_dtype": "fp16"}, "it sums fp16 in fp32, not in fp16"),
        (TARGET, {"dtype": "bf16", "scales": "block128"}, "it scales blocks of fp8, not of bf16"),
        (
            TARGET,
            {"dtype": "bf16", "out_dtype": "int32"},
            "of bf16 it stores bf16, fp16, fp32, fp8e4m3, fp8e5m2, not int32",
        ),
        (TARGET, {"dtype": "int8", "scales": "row", "out_dtype": "bf16", "epilogue": "bias+relu", "batch": 2}, None),
    ],
)
def test_what_it_cannot_compute_is_said(target, fields, reason):
    """A template that is passed over says why."""
    assert TEMPLATE.supports(problem(64, 64, 64, **fields), target) == reason


@pytest.fixture(scope="module")
def compiler():
    """A compile process that all tests here share."""
    made = TritonBackend(TARGET, 1)
    yield made
    made.close()


@pytest.mark.triton
@pytest.mark.parametrize("shape", [(4096, 4096, 4096), (777, 3333, 2048)])
@pytest.mark.parametrize("fields", COMPILED, ids=lambda fields: " ".join(str(value) for value in fields.values()))
def test_sampled_configs_compile_to_warpgroup_products_within_the_space_s_own_limits(tmp_path, compiler, fields, shape):
    """Nothing spills, and shared memory is no more than the space says."""
    of = problem(*shape, **fields)
    feasible = TEMPLATE.feasible(of, TARGET)
    for candidate in candidates(of, 3, seed=5):
        made = compiler.compile(candidate, tmp_path)
        assert isinstance(made, Artifact), made
        values = feasible.bind(candidate.config)
        one_loop = values.get("LOOP", "nested") != "nested"
        assert made.spill_bytes == 0, dict(candidate.config)
        assert made.smem_bytes <= values["flat_smem_bytes" if one_loop else "smem_bytes"], dict(candidate.config)
        assert any("GMMA" in name for name in instruction_mix(made.path) or {"GMMA": 1})
