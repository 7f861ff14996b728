"""triton_flash: its space, its descriptors, and what compiles of it. Its numbers: test_triton_flash_numerics.py."""

import re
from contextlib import closing

import numpy as np
import pytest
from builders import a_target
from kerntune.templates.catalogue import op_named, templates_named
from kerntune.tuner.backends.artifact import Artifact
from kerntune.tuner.backends.instructions import instruction_mix
from kerntune.tuner.backends.triton import TritonBackend

(TEMPLATE,) = templates_named("attention", ["triton_flash"])
HOPPER = a_target(nvrtc="13.0.88")
SPARED_BYTES = 512
"""Of spills of a thread: what every study lets pass, which some configs of fp32 need, and some with a cap."""


def a_problem(b, h, s, d, **fields):
    return op_named("attention").problem("gpu", b=b, h=h, s=s, d=d, **fields)


USUAL = a_problem(4, 16, 4096, 128, causal="yes")
COMPILED = [
    USUAL,
    a_problem(4, 16, 4096, 64, lse="yes"),
    a_problem(2, 8, 1000, 128, kv_len=777, layout="bshd", causal="lower_right", kv_heads=2),
    a_problem(2, 8, 4096, 128, causal="yes", window=1024),
    a_problem(2, 8, 2000, 96, causal="yes", soft_cap=30, dtype="fp16"),
    a_problem(2, 8, 1024, 256, causal="yes"),
    a_problem(2, 8, 1000, 64, kv_len=900, bias="additive", causal="yes"),
    a_problem(2, 8, 2000, 128, bias="alibi", causal="yes"),
    a_problem(5, 8, 2000, 80, varlen="yes", causal="lower_right", kv_heads=2, lse="yes"),
    a_problem(2, 8, 1024, 128, dtype="tf32", causal="yes"),
    a_problem(2, 8, 1024, 64, dtype="fp32"),
]


def drawn(of, count, seed=3):
    """The feasible space, and candidates of some configs of it."""
    feasible = TEMPLATE.feasible(of, HOPPER)
    configs = feasible.sample(np.random.default_rng(seed), count)
    return feasible, [TEMPLATE.candidate(feasible, of, HOPPER, config) for config in configs]


def test_a_usual_problem_has_thousands_of_configs():
    """And every one has its seeds in its space."""
    assert len(TEMPLATE.feasible(USUAL, HOPPER)) > 5000
    for of in COMPILED:
        feasible = TEMPLATE.feasible(of, HOPPER)
        seeds = TEMPLATE.seed_configs(feasible, of, HOPPER)
        assert len(seeds) >= 6
        assert all(dict(seed) in feasible for seed in seeds)


def test_the_first_seed_is_the_one_that_was_fastest():
    """As it stands: nothing of it is infeasible."""
    first = TEMPLATE.seed_configs(TEMPLATE.feasible(USUAL, HOPPER), USUAL, HOPPER)[0]
    assert [first[name] for name in ("BLOCK_M", "BLOCK_N", "num_stages", "num_warps")] == [128, 64, 2, 8]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"paged": 16}, "paged=no"),
        ({"d": 264}, "up to 256 dims, not 264"),
        ({"s": 2**20, "h": 64, "layout": "bshd"}, "sequences of up to 2,147,483,647 elements"),
        ({"dtype": "int8"}, "not int8"),
    ],
)
def test_a_refusal_says_why(fields, reason):
    """With the number that is too large."""
    of = a_problem(**{"b": 1, "h": 8, "s": 512, "d": 128} | fields)
    assert reason in TEMPLATE.supports(of, HOPPER)


def test_descriptors_are_what_tma_can_address():
    """Of all layouts, of parts of a head as well."""
    for of in COMPILED:
        for candidate in drawn(of, 20)[1]:
            tensors = [argument.tensor for argument in candidate.launch.arguments if argument.tensor]
            assert all(tensor.refusal is None for tensor in tensors)


def test_estimates_are_positive_and_know_small_tiles_from_large():
    """The best seed is among the first third of all configs."""
    feasible = TEMPLATE.feasible(USUAL, HOPPER)
    estimated_us = TEMPLATE.estimates_us(feasible, USUAL, HOPPER, range(len(feasible)))
    assert (estimated_us > 0).all()
    best = feasible.index(TEMPLATE.seed_configs(feasible, USUAL, HOPPER)[0])
    assert (estimated_us < estimated_us[best]).mean() < 1 / 3


@pytest.mark.triton
def test_sampled_configs_compile_within_the_space_s_own_limits(tmp_path, compiled):
    """Shared memory is no more than the space says; of tensor cores nothing spills without a cap."""
    wanted = [(of, drawn(of, 3)) for of in COMPILED]
    flat = [(of, feasible, candidate) for of, (feasible, candidates) in wanted for candidate in candidates]
    for (of, feasible, candidate), made in zip(
        flat, compiled([(candidate, HOPPER) for _, _, candidate in flat], tmp_path), strict=True
    ):
        assert isinstance(made, Artifact), made
        values = feasible.bind(candidate.config)
        assert made.smem_bytes <= values["smem_bytes"], dict(candidate.config)
        assert made.spill_bytes <= (SPARED_BYTES if of["dtype"] == "fp32" or values["MOST_REGISTERS"] else 0), dict(
            candidate.config
        )
        if of["dtype"] in ("bf16", "fp16") and values["BLOCK_M"] >= 64:
            assert any("GMMA" in name for name in instruction_mix(made.path) or {"GMMA": 1})


@pytest.mark.triton
@pytest.mark.parametrize("fields", [{}, {"layout": "bshd"}, {"varlen": "yes"}], ids=str)
def test_queries_are_multiplied_from_shared_memory(fields, tmp_path):
    """Registers that hold them are overwritten in the loop over keys by ptxas 12.8 and 13.0."""
    of = a_problem(5, 8, 2000, 64, causal="yes", **fields)
    feasible = TEMPLATE.feasible(of, HOPPER)
    fixed = {"BLOCK_M": 128, "num_warps": 8, "LOADS": "tma", "MASKS": "all"}.items()
    drawn_configs = feasible.sample(np.random.default_rng(3), 3000)
    config = next(config for config in drawn_configs if fixed <= dict(config).items())
    with closing(TritonBackend(HOPPER, 1)) as backend:
        ptx = backend.ptx(TEMPLATE.candidate(feasible, of, HOPPER, config), tmp_path)
    products = re.findall(r"wgmma\.mma_async\S* \{[^}]*\}, (\{|%rd)", ptx)
    assert set(products) == {"%rd", "{"}, "Q from shared memory, weights from registers"
