"""triton_tma: its best seeds, its descriptors, and what compiles of it. Its numbers: test_triton_tma_numerics.py."""

import pytest
from gemm_candidates import HOPPER, a_product, candidates, space_of
from kerntune.templates.catalogue import templates_named
from kerntune.tuner.backends.artifact import Artifact
from kerntune.tuner.backends.instructions import instruction_mix

(TEMPLATE,) = templates_named("gemm", ["triton_tma"])
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


def test_the_first_seed_of_a_large_product_is_the_one_that_was_fastest():
    """Of a small one it is a tile that every multiprocessor gets one of."""
    large, small = a_product(4096, 4096, 4096, layout="nt"), a_product(1024, 1024, 1024, layout="nt")
    first = [TEMPLATE.seed_configs(space_of(TEMPLATE, of), of, HOPPER)[0] for of in (large, small)]
    tiles = [(config["BLOCK_M"], config["BLOCK_N"], config["EPILOGUE_PARTS"], config["PROGRAMS"]) for config in first]
    assert tiles == [(128, 256, 2, "sms"), (128, 64, 1, "tiles")]


@pytest.mark.parametrize("fields", [*COMPILED, {"dtype": "fp8e5m2", "epilogue": "bias", "layout": "nn"}])
def test_descriptors_are_what_tma_can_address(fields):
    """Whether rows are aligned or not: what is not lies in a workspace, where it is."""
    for shape in ((777, 3333, 2049), (64, 48, 32)):
        for candidate in candidates(TEMPLATE, a_product(*shape, **fields), 20):
            tensors = [argument.tensor for argument in candidate.launch.arguments if argument.tensor]
            assert all(tensor.refusal is None for tensor in tensors)
            copies = {tensor.buffer: tensor.reach_bytes for tensor in tensors if tensor.buffer.endswith("_copy")}
            assert copies.keys() == candidate.launch.workspace.keys()
            assert all(candidate.launch.workspace[name] >= reach for name, reach in copies.items())


def test_a_refused_config_is_told_why():
    """The reason holds both numbers."""
    of = a_product(4096, 4096, 4096, layout="nt")
    feasible = space_of(TEMPLATE, of)
    config = dict(feasible[0]) | {"BLOCK_M": 128, "BLOCK_N": 256, "BLOCK_K": 64, "num_stages": 4, "num_warps": 8}
    config |= {"PROGRAMS": "sms", "LOOP": "flat", "EPILOGUE_PARTS": 1, "STORE": "tma"}
    assert feasible.explain(config) == (
        "the stages of A and B and a part of C must fit a block's shared memory "
        "(smem_bytes = 263,808 bytes > target.smem_per_block_bytes = 232,448 bytes)"
    )
    assert config | {"EPILOGUE_PARTS": 2} in feasible


@pytest.mark.triton
@pytest.mark.parametrize("fields", COMPILED, ids=lambda fields: " ".join(str(value) for value in fields.values()))
def test_sampled_configs_compile_to_warpgroup_products_within_the_space_s_own_limits(tmp_path, compiled, fields):
    """Nothing spills, and shared memory is no more than the space says."""
    wanted = [
        (of, candidate)
        for of in (a_product(*shape, **fields) for shape in ((4096, 4096, 4096), (777, 3333, 2048)))
        for candidate in candidates(TEMPLATE, of, 2, seed=5)
    ]
    compiled_ones = compiled([(candidate, HOPPER) for _, candidate in wanted], tmp_path)
    for (of, candidate), made in zip(wanted, compiled_ones, strict=True):
        assert isinstance(made, Artifact), made
        values = space_of(TEMPLATE, of).bind(candidate.config)
        one_loop = values.get("LOOP", "nested") != "nested"
        assert made.spill_bytes == 0, dict(candidate.config)
        assert made.smem_bytes <= values["flat_smem_bytes" if one_loop else "smem_bytes"], dict(candidate.config)
        assert any("GMMA" in name for name in instruction_mix(made.path) or {"GMMA": 1})
