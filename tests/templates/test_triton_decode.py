"""triton_decode: what it refuses, its parts and workspaces, its model and its binaries. Numbers: …_numerics.py."""

from itertools import product

import numpy as np
import pytest
from builders import a_target
from kerntune.templates.catalogue import op_named, templates_named
from kerntune.tuner.backends.artifact import Artifact
from kerntune.tuner.backends.instructions import instruction_mix

(TEMPLATE,) = templates_named("attention", ["triton_decode"])
HOPPER = a_target(nvrtc="13.0.88")
AMPERE = a_target(nvrtc="13.0.88", arch="sm_80", sm_count=108, smem_per_block_bytes=166912)
LONG = {"b": 8, "h": 32, "kv_heads": 8, "kv_len": 8192}
COMPILED = [
    LONG,
    {"b": 64, "h": 32, "kv_heads": 8, "kv_len": 2048, "paged": 16},
    {"b": 4, "h": 32, "kv_heads": 8, "s": 4, "kv_len": 4096, "causal": "lower_right", "lse": "yes"},
    {"b": 2, "h": 8, "d": 256, "kv_heads": 2, "kv_len": 4096, "window": 1000, "causal": "lower_right"},
    {"b": 4, "h": 32, "s": 16, "kv_heads": 8, "kv_len": 4096, "bias": "alibi", "soft_cap": 30},
    {"b": 4, "h": 8, "d": 96, "kv_len": 3000, "layout": "bshd", "bias": "additive"},
    {"b": 4, "h": 8, "kv_heads": 2, "kv_len": 2048, "dtype": "fp32"},
    {"b": 4, "h": 8, "d": 80, "s": 4, "kv_heads": 2, "kv_len": 2048, "dtype": "tf32", "paged": 64},
    {"b": 4, "h": 8, "d": 64, "s": 2, "kv_heads": 2, "kv_len": 2048, "dtype": "tf32x3"},
]


def a_problem(**fields):
    return op_named("attention").problem("gpu", **{"b": 2, "h": 8, "s": 1, "d": 128} | fields)


def drawn(of, count, seed=1, target=HOPPER, **fixed):
    """Candidates of feasible configs with the `fixed` values."""
    feasible = TEMPLATE.feasible(of, target)
    configs = feasible.sample(np.random.default_rng(seed), 3000 if fixed else count)
    taken = [config for config in configs if fixed.items() <= dict(config).items()][:count]
    return [TEMPLATE.candidate(feasible, of, target, config) for config in taken]


def seen(parameter, of, target=HOPPER):
    """Values of a parameter among the feasible configs."""
    return {config.get(parameter) for config in TEMPLATE.feasible(of, target).sample(np.random.default_rng(0), 1000)}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"varlen": "yes"}, "varlen=no"),
        ({"dtype": "fp8e4m3"}, "not fp8e4m3"),
        ({"d": 512}, "up to 256 dims, not 512"),
        ({"s": 300, "kv_heads": 8}, "up to 256 queries"),
    ],
)
def test_what_it_cannot_compute_is_refused_with_the_reason(fields, reason):
    """Each with what was asked for."""
    assert reason in TEMPLATE.supports(a_problem(**fields), HOPPER)


def test_parts_meet_in_a_workspace_that_one_part_does_without():
    """A mean and a weight of each row and part, and a counter a head where the last program adds them up."""
    of = a_problem(**LONG)
    (last,), (apart,) = (drawn(of, 1, SPLITS=4, COMBINE=combine) for combine in ("last", "kernel"))
    (alone,) = drawn(of, 1, SPLITS=1)
    sums = {"partials": 64 * 4 * 4 * 128 * 4, "partial_lse": 64 * 4 * 4 * 4}
    assert last.launch.workspace == sums | {"arrivals": 64 * 4}
    assert not last.launch.before
    assert apart.launch.workspace == sums
    assert [launch.entry for launch in apart.launch.before] == ["decode"]
    assert apart.launch.entry == "decode_combine"
    assert not alone.launch.workspace
    assert "partials" not in alone.source


def test_programs_are_one_a_head_sequence_and_part():
    """Whatever their order; heads share a program with those that read the same keys."""
    of = a_problem(**LONG)
    grids = {order: drawn(of, 1, SPLITS=4, COMBINE="last", ORDER=order)[0] for order in seen("ORDER", of)}
    assert {order: found.launch.grid for order, found in grids.items()} == {
        "splits": (4, 8, 8),
        "heads": (8, 4, 8),
        "sequences": (8, 8, 4),
    }


def test_vectors_are_for_few_rows_and_descriptors_for_what_tma_can_address():
    """More than four, and the ordinary cores are slower than memory; pages lie anywhere."""
    assert seen("PRODUCT", a_problem(h=4, kv_heads=1, kv_len=4096)) == {"rows", "keys", "vector"}
    assert seen("PRODUCT", a_problem(h=8, kv_heads=1, kv_len=4096)) == {"rows", "keys"}
    assert seen("LOADS", a_problem(kv_len=4096)) == {"pointer", "tma"}
    assert seen("LOADS", a_problem(kv_len=4096), AMPERE) == {"pointer"}
    assert seen("LOADS", a_problem(kv_len=4096, paged=16)) == {"pointer"}
    assert seen("LOADS", a_problem(kv_len=4096, d=84)) == {"pointer"}


def test_a_usual_problem_has_thousands_of_configs_and_its_seeds_are_among_them():
    """The first of them in one wave of parts that are as long as each other."""
    of = a_problem(**LONG)
    feasible = TEMPLATE.feasible(of, HOPPER)
    assert feasible.total > 10_000
    seeds = TEMPLATE.seed_configs(feasible, of, HOPPER)
    assert len(seeds) >= 16
    assert 64 * seeds[0]["SPLITS"] in (128, 256, 512)


@pytest.mark.parametrize("dtype", ["bf16", "fp32", "tf32", "tf32x3"])
def test_what_it_supports_has_configs(dtype):
    """Heads of any width, one key or many, one row or more than a tile: on both kinds of chip."""
    for d, (s, h, kv_heads), kv_len, paged in product(
        (16, 33, 192, 256), ((1, 8, 8), (16, 16, 1)), (1, 100, 4096), ("no", 16)
    ):
        of = a_problem(d=d, s=s, h=h, kv_heads=kv_heads, kv_len=kv_len, paged=paged, dtype=dtype)
        for target in (HOPPER, AMPERE):
            assert TEMPLATE.supports(of, target) is None
            assert TEMPLATE.feasible(of, target).total, of.fields


def test_a_window_is_all_that_is_read():
    """Parts are of the keys that some query sees, and blocks begin where it does."""
    of = a_problem(kv_len=8192, causal="lower_right", window=256)
    assert max(seen("SPLITS", of)) <= 32
    (candidate,) = drawn(of, 1, SPLITS=2, BLOCK_N=64, COMBINE="last")
    assert "begin = tl.maximum(shift + -255, 0) // 64" in candidate.source


def test_the_model_ranks_bytes_under_way_and_full_chips():
    """More stages wait less; parts that leave multiprocessors idle take longer."""
    of = a_problem(**LONG)
    feasible = TEMPLATE.feasible(of, HOPPER)
    block = {"PRODUCT": "rows", "BLOCK_M": 16, "BLOCK_N": 64, "num_warps": 4, "LOADS": "pointer", "ORDER": "splits"}
    block |= {"COMBINE": "last", "COMBINE_ROWS": 4}
    wanted = [block | {"SPLITS": 4, "num_stages": 4}, block | {"SPLITS": 4, "num_stages": 1}]
    wanted.append(block | {"SPLITS": 1, "ORDER": "heads", "num_stages": 4})
    rows = [feasible.index(feasible.nearest(config)) for config in wanted]
    deep, shallow, few = TEMPLATE.estimates_us(feasible, of, HOPPER, rows)
    assert deep < shallow
    assert deep < few


@pytest.mark.triton
@pytest.mark.parametrize("fields", COMPILED, ids=lambda fields: " ".join(map(str, fields.values())))
def test_sampled_configs_become_cubins_within_the_space_s_own_limits(compiled, tmp_path, fields):
    """None is refused, shared memory is no more than the space says, and loads that run ahead are asynchronous."""
    of = a_problem(**fields)
    wanted = [candidate for way in (None, {"SPLITS": 2}) for candidate in drawn(of, 2, **way or {})]
    feasible = TEMPLATE.feasible(of, HOPPER)
    for candidate, made in zip(wanted, compiled([(it, HOPPER) for it in wanted], tmp_path), strict=True):
        config, values = dict(candidate.config), feasible.bind(candidate.config)
        assert isinstance(made, Artifact), (made, config)
        split = made.before[0] if made.before else made
        assert split.smem_bytes <= values["smem_bytes"], config
        assert split.spill_bytes <= 64, config
        if values["num_stages"] > 1 and of["dtype"] != "tf32x3":
            copies = "UTMALDG" if values["LOADS"] == "tma" else "LDGSTS"
            assert (instruction_mix(split.path) or {copies: 1}).get(copies), config


@pytest.mark.triton
def test_an_older_chip_is_served_without_descriptors(compiled, tmp_path):
    """sm_80 has asynchronous copies."""
    of = a_problem(**LONG)
    made = compiled([(candidate, AMPERE) for candidate in drawn(of, 4, target=AMPERE)], tmp_path)
    assert all(isinstance(outcome, Artifact) for outcome in made), made
