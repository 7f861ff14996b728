"""c_flash: its space, its seeds, its sources."""

import re
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from builders import a_target
from kerntune.templates.catalogue import op_named, templates_named

ATTENTION = op_named("attention")
(TEMPLATE,) = templates_named("attention", ["c_flash"])
AVX2 = a_target("cpu")
AVX512 = replace(AVX2, device=replace(AVX2.device, isa=("avx", "avx2", "avx512f", "fma")))
SSE = replace(AVX2, device=replace(AVX2.device, isa=()))


def attention(b=1, h=8, s=512, d=64, **fields):
    return ATTENTION.problem("cpu", b=b, h=h, s=s, d=d, **fields)


@pytest.mark.parametrize("target", [SSE, AVX2, AVX512], ids=["sse", "avx2", "avx512"])
@pytest.mark.parametrize(
    "fields", [{}, {"causal": "yes"}, {"s": 1, "kv_len": 4096}, {"d": 128, "kv_heads": 2}], ids=str
)
def test_a_usual_problem_has_thousands_of_configs(target, fields):
    """There is something to search on every processor, and good guesses to begin with."""
    problem = attention(**fields)
    feasible = TEMPLATE.feasible(problem, target)
    assert len(feasible) >= 2000
    assert len(TEMPLATE.seed_configs(feasible, problem, target)) >= 4


@pytest.mark.parametrize("shape", [(1, 1, 1, 4), (1, 1, 1, 5), (3, 2, 7, 33), (1, 1, 1000, 256), (1, 1, 2, 80)])
@pytest.mark.parametrize("threads", [1, 2, 8])
def test_no_shape_is_left_without_configs(shape, threads):
    """The smallest problem still has something to run."""
    target = replace(AVX512, device=replace(AVX512.device, threads=threads, cores=threads))
    assert len(TEMPLATE.feasible(attention(*shape), target)) > 0


@pytest.mark.parametrize(
    ("fields", "why"), [({"dtype": "fp16"}, "computes fp32, not fp16"), ({"d": 3}, "heads of 4 dims or more")], ids=str
)
def test_what_it_does_not_compute_it_says(fields, why):
    """Refused before anything is compiled."""
    assert re.search(why, TEMPLATE.supports(attention(**fields), AVX2))
    assert "processor" in TEMPLATE.supports(attention(), a_target())


@pytest.mark.parametrize("fields", [{}, {"causal": "yes", "kv_heads": 2}, {"s": 1, "kv_len": 512}], ids=str)
def test_each_parameter_alone_changes_the_code(fields):
    """A step in one parameter is a step in the code, not only in a comment."""
    problem = attention(**fields)
    feasible = TEMPLATE.feasible(problem, AVX512)
    for config in feasible.sample(np.random.default_rng(1), 8):
        codes = {_code(problem, feasible, other): other for other in [config, *feasible.neighbours(config)]}
        assert len(codes) == 1 + len(feasible.neighbours(config)), config


def _code(problem, feasible, config):
    source = TEMPLATE.candidate(feasible, problem, AVX512, config).source
    return "\n".join(line for line in source.splitlines() if not line.lstrip().startswith("//"))


@pytest.mark.parametrize("fields", [{}, {"causal": "yes"}, {"s": 1}, {"paged": 16, "b": 5}], ids=str)
def test_the_model_knows_all_configs(fields):
    """A finite time above zero for each."""
    problem = attention(**fields)
    feasible = TEMPLATE.feasible(problem, AVX2)
    rows = [feasible.index(config) for config in feasible.sample(np.random.default_rng(0), 200)]
    estimated_us = TEMPLATE.estimates_us(feasible, problem, AVX2, rows)
    assert (np.isfinite(estimated_us) & (estimated_us > 0)).all()


@pytest.mark.compiler
@pytest.mark.parametrize("target", [SSE, AVX2, AVX512], ids=["sse", "avx2", "avx512"])
def test_a_source_compiles_without_openmp_and_without_warnings(target, tmp_path):
    """A compiler without OpenMP makes the same kernel, on one thread, for any processor."""
    flags = ["-O1", "-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas", "-Wno-psabi", "-std=gnu11", "-fPIC"]
    for turn, fields in enumerate([{"bias": "additive"}, {"s": 1, "kv_len": 99, "paged": 16, "lse": "yes"}]):
        problem = attention(causal="yes", window=40, **fields)
        feasible = TEMPLATE.feasible(problem, target)
        for number, config in enumerate(feasible.sample(np.random.default_rng(2), 2)):
            path = tmp_path / f"k{turn}_{number}.c"
            path.write_text(TEMPLATE.candidate(feasible, problem, target, config).source)
            subprocess.run(["cc", *flags, "-shared", path, "-o", path.with_suffix(".so"), "-lm"], check=True)
