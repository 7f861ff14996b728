"""c_tiled: its space, its sources, its numbers."""

import ctypes
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from builders import a_target
from kerntune.spaces.targets import Target
from kerntune.templates.catalogue import op_named, templates_named
from kerntune.tuner.backends.cpu_target import this_cpu

GEMM = op_named("gemm")
(TEMPLATE,) = templates_named("gemm", ["c_tiled"])
AVX2 = a_target("cpu")
AVX512 = replace(AVX2, device=replace(AVX2.device, isa=("avx", "avx2", "avx512f", "fma")))
SHAPES = [(1, 1, 1), (7, 15, 17), (1, 1000, 3), (1000, 1, 5), (129, 257, 65), (333, 222, 111), (64, 64, 64)]


def gemm(m, n, k, layout="nn"):
    return GEMM.problem("cpu", m=m, n=n, k=k, layout=layout)


@pytest.mark.parametrize("target", [AVX2, AVX512], ids=["avx2", "avx512"])
def test_a_large_product_has_at_least_2000_configs(target):
    """There is something to search on every processor."""
    assert len(TEMPLATE.feasible(gemm(1024, 1024, 1024), target)) >= 2000


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("threads", [1, 2, 8])
def test_no_shape_is_left_without_configs_or_seeds(shape, threads):
    """The smallest product still has something to run."""
    target = replace(AVX512, device=replace(AVX512.device, threads=threads, cores=threads))
    feasible = TEMPLATE.feasible(gemm(*shape), target)
    assert len(feasible) > 0


def test_large_products_have_feasible_seeds_on_every_processor():
    """The search starts from good guesses."""
    for target in (AVX2, AVX512):
        problem = gemm(1024, 1024, 1024)
        assert len(TEMPLATE.seed_configs(TEMPLATE.feasible(problem, target), problem, target)) >= 4


def test_configs_that_differ_render_different_sources():
    """No parameter changes nothing: 400 random configs, 400 sources, parameters left out of comments."""
    problem = gemm(1024, 1024, 1024)
    feasible = TEMPLATE.feasible(problem, AVX512)
    configs = feasible.sample(np.random.default_rng(0), 400)
    sources = {_code(TEMPLATE.candidate(feasible, problem, AVX512, config).source) for config in configs}
    assert len(sources) == 400


@pytest.mark.parametrize("name", [p.name for p in TEMPLATE.space.parameters])
def test_each_parameter_alone_changes_the_code(name):
    """A step in one parameter is a step in the code, not only in a comment."""
    problem = gemm(1024, 1024, 1024)
    feasible = TEMPLATE.feasible(problem, AVX512)
    for config in feasible.sample(np.random.default_rng(1), 20):
        for other in feasible.neighbours(config):
            if other[name] != config[name]:
                one, two = (TEMPLATE.candidate(feasible, problem, AVX512, c).source for c in (config, other))
                assert _code(one) != _code(two), (config, other)


def _code(source: str) -> str:
    return "\n".join(line for line in source.splitlines() if not line.lstrip().startswith("//"))


@pytest.mark.compiler
@pytest.mark.parametrize("layout", ["nn", "nt", "tn", "tt"])
def test_random_configs_compute_the_product_on_ragged_shapes(layout, tmp_path):
    """Each against float64, into a NaN-filled C, with the address sanitizer's red zones replaced by guard words."""
    target = Target(this_cpu(2), AVX2.toolchain)
    rng = np.random.default_rng(0)
    for number, shape in enumerate([(7, 15, 17), (129, 257, 65), (1, 100, 3), (65, 1, 40), (96, 96, 96)]):
        problem = gemm(*shape, layout)
        feasible = TEMPLATE.feasible(problem, target)
        for turn, config in enumerate(feasible.sample(rng, 4)):
            source = TEMPLATE.candidate(feasible, problem, target, config).source
            kernel = _compile(source, tmp_path / f"k{number}_{turn}")
            a, b, c = (_guarded(buffer.shape, rng) for buffer in GEMM.buffers(problem))
            c[1][...] = np.nan
            assert kernel(*(array[1].ctypes.data for array in (a, b, c))) == 0
            left = a[1].T if layout[0] == "t" else a[1]
            right = b[1].T if layout[1] == "t" else b[1]
            expected = left.astype(np.float64) @ right
            assert np.linalg.norm(c[1] - expected) <= 1e-5 * np.linalg.norm(expected), config
            assert all(np.all(whole[:64] == 1e30) and np.all(whole[-64:] == 1e30) for whole, _ in (a, b, c)), config


@pytest.mark.compiler
def test_a_source_compiles_without_openmp_and_without_warnings(tmp_path):
    """A compiler without OpenMP makes the same kernel, on one thread."""
    problem = gemm(100, 90, 80)
    feasible = TEMPLATE.feasible(problem, AVX2)
    for turn, config in enumerate(feasible.sample(np.random.default_rng(2), 6)):
        path = tmp_path / f"k{turn}.c"
        path.write_text(TEMPLATE.candidate(feasible, problem, AVX2, config).source)
        flags = ["-O1", "-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas", "-march=native", "-shared", "-fPIC"]
        subprocess.run(["cc", *flags, path, "-o", path.with_suffix(".so")], check=True)


def _compile(source, path):
    path.with_suffix(".c").write_text(source)
    flags = ["-O2", "-march=native", "-fopenmp", "-shared", "-fPIC"]
    subprocess.run(["cc", *flags, path.with_suffix(".c"), "-o", path.with_suffix(".so")], check=True)
    return _entry(path.with_suffix(".so"))


def _entry(path):
    function = ctypes.CDLL(str(path)).gemm
    function.argtypes = [ctypes.c_void_p] * 3
    return function


def _guarded(shape, rng):
    """The whole allocation and the array inside it: 64 guard words on either side."""
    count = int(np.prod(shape))
    whole = np.full(count + 128, 1e30, np.float32)
    inside = whole[64:-64].reshape(shape)
    inside[...] = rng.standard_normal(shape)
    return whole, inside
