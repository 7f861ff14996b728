"""triton_tiled: its space, its sources, and its numbers in Triton's interpreter."""

import ast
import json
import subprocess
import sys
from dataclasses import asdict

import numpy as np
import pytest
from builders import a_target
from kerntune.templates.catalogue import op_named, templates_named
from kerntune.templates.gemm.triton_tiled import WIDE_INDEX_ELEMENTS

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
@pytest.mark.parametrize("dtype", ["bf16", "fp32"])
def test_every_shape_has_configs_and_seeds(shape, layout, dtype):
    """Neither a tiny nor an odd problem is left without a kernel."""
    of = problem(*shape, layout=layout, dtype=dtype)
    feasible = TEMPLATE.feasible(of, TARGET)
    seeds = TEMPLATE.seed_configs(feasible, of, TARGET)
    assert seeds
    assert all(seed in feasible for seed in seeds)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_source_is_python_and_no_two_configs_share_one(shape, layout):
    """A config that renders another's source would be measured twice."""
    sources = [candidate.source for candidate in candidates(problem(*shape, layout=layout), 150)]
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
        (TARGET, {"dtype": "int8"}, "it computes bf16, fp16, fp32, not int8"),
        (TARGET, {"dtype": "bf16", "out_dtype": "fp16"}, "it sums in fp32 and stores bf16 or fp32"),
        (TARGET, {"dtype": "bf16", "epilogue": "relu"}, "it computes epilogue=none only, not relu"),
        (TARGET, {"dtype": "bf16", "out_dtype": "fp32"}, None),
    ],
)
def test_what_it_cannot_compute_is_said(target, fields, reason):
    """A template that is passed over says why."""
    assert TEMPLATE.supports(problem(64, 64, 64, **fields), target) == reason


INTERPRET = """
import importlib.util, json, sys
from pathlib import Path
import torch
torch.manual_seed(0)

def inside_nan(array):
    # What is read past the end of an operand shows as NaN.
    storage = torch.full((array.numel() + 4096,), float("nan"), dtype=array.dtype)
    storage[: array.numel()] = array.flatten()
    return storage[: array.numel()].view(array.shape)

for number, case in enumerate(json.load(sys.stdin)):
    path = Path(sys.argv[1]) / f"kernel_{number}.py"
    path.write_text(case["source"])
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    m, n, k = case["shape"]
    dtype = {"fp16": torch.float16, "fp32": torch.float32}[case["dtype"]]
    a = inside_nan(torch.randn((m, k) if case["layout"][0] == "n" else (k, m)).to(dtype))
    b = inside_nan(torch.randn((k, n) if case["layout"][1] == "n" else (n, k)).to(dtype))
    c = torch.full((m, n), float("nan"), dtype=dtype)
    arrays = {"a": a, "b": b, "c": c}
    for name, size in case["workspace"].items():
        arrays[name] = torch.full((size // 2,), float("nan"), dtype=dtype)
    for launch in case["launches"]:
        given = [arrays[x["name"]] if x["value"] is None else x["value"] for x in launch["arguments"]]
        getattr(module, launch["entry"])[tuple(launch["grid"])](*given)
    left, right = (x if letter == "n" else x.T for x, letter in zip((a, b), case["layout"]))
    reference = left.double() @ right.double()
    error = ((c.double() - reference).norm() / reference.norm()).item()
    print(error if error == error else 1.0)
"""


@pytest.mark.triton
@pytest.mark.torch
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("dtype", "tolerance"), [("fp16", 1e-3), ("fp32", 1e-5)])
def test_its_numbers_are_right_on_ragged_shapes(tmp_path, layout, dtype, tolerance):
    """Sampled configs in the interpreter, in a process of their own: a store out of bounds would corrupt this one.

    Not in bf16, which the interpreter of Triton 3.6 multiplies wrongly (docs/measured_facts.md).
    """
    shapes = [(33, 65, 47), (96, 48, 32), (1, 7, 5), (64, 33, 96), (50, 61, 31), (17, 95, 64)]
    cases = [
        {
            "source": candidate.source,
            "launches": [asdict(launch) for launch in (*candidate.launch.before, candidate.launch)],
            "workspace": candidate.launch.workspace,
            "shape": shape,
            "layout": layout,
            "dtype": dtype,
        }
        for number, shape in enumerate(shapes)
        for fixed in (
            {},
            {"UNALIGNED": "chunks", "BLOCK_K": 16},
            {"UNALIGNED": "copy", "EDGE": "wrap"},
            {"UNALIGNED": "copy", "EDGE": "mask", "BLOCK_K": 16},
            {"K_TAIL": "peel", "BLOCK_K": 16},
        )
        for candidate in candidates(problem(*shape, layout=layout, dtype=dtype), 2, seed=number, **fixed)
    ]
    ran = subprocess.run(
        [sys.executable, "-c", INTERPRET, str(tmp_path)],
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        timeout=250,
        env={"TRITON_INTERPRET": "1", "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        check=False,
    )
    errors = [float(line) for line in ran.stdout.split()]
    assert len(errors) == len(cases), ran.stderr[-2000:]
    assert max(errors) <= tolerance
