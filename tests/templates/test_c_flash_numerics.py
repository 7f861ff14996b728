"""c_flash's numbers against the op's reference: every feature, random configs, guard words, and gcc's sanitizers."""

import ctypes
import subprocess

import numpy as np
import pytest
from builders import a_target
from kerntune.cache.records import Measurement, Policy
from kerntune.spaces.targets import Target
from kerntune.templates.catalogue import op_named, templates_named
from kerntune.tuner.backends.compilers import find_compiler
from kerntune.tuner.backends.cpu import CpuBackend, child_spec
from kerntune.tuner.backends.cpu_target import this_cpu
from kerntune.tuner.engine.local import LocalEngine

pytestmark = pytest.mark.compiler
ATTENTION = op_named("attention")
(TEMPLATE,) = templates_named("attention", ["c_flash"])
GUARD = {"float32": np.float32(1e30), "int32": np.int32(12345678)}
GUARD_WORDS = 64

CASES = [
    {"s": 64},
    {"s": 129, "causal": "yes", "b": 2},
    {"s": 37, "d": 80, "kv_heads": 2, "kv_len": 90, "causal": "lower_right", "lse": "yes"},
    {"s": 60, "d": 128, "kv_heads": 2, "kv_len": 30, "causal": "lower_right", "lse": "yes", "layout": "bshd"},
    {"s": 40, "d": 96, "kv_heads": 1, "kv_len": 70, "causal": "yes", "layout": "bshd"},
    {"s": 19, "d": 256, "kv_len": 33},
    {"s": 50, "d": 33, "window": 9, "causal": "yes", "lse": "yes"},
    {"s": 50, "d": 5, "window": 9, "kv_len": 45},
    {"s": 50, "d": 17, "window": 20, "kv_len": 20, "causal": "lower_right", "lse": "yes"},
    {"s": 40, "d": 96, "soft_cap": 20, "bias": "alibi", "kv_len": 60},
    {"s": 40, "bias": "additive", "kv_len": 33, "lse": "yes", "b": 2},
    {"s": 3, "bias": "additive", "kv_len": 150, "soft_cap": 5, "causal": "lower_right", "lse": "yes"},
    {"s": 60, "kv_heads": 2, "varlen": "yes", "causal": "lower_right", "kv_len": 77, "lse": "yes", "b": 5},
    {"s": 60, "d": 72, "kv_heads": 4, "varlen": "yes", "window": 12, "bias": "alibi", "b": 4},
    {"s": 3, "kv_heads": 2, "paged": 16, "kv_len": 77, "causal": "lower_right", "lse": "yes", "b": 5},
    {"s": 20, "d": 4, "paged": 7, "kv_len": 77, "window": 5, "bias": "alibi", "layout": "bshd", "b": 5},
    {"s": 1, "kv_len": 700},
    {"s": 1, "d": 128, "kv_heads": 1, "kv_len": 333, "lse": "yes", "layout": "bshd"},
    {"s": 1, "d": 67, "h": 1, "kv_len": 900, "lse": "yes", "soft_cap": 30},
    {"s": 1, "kv_heads": 1, "paged": 1, "kv_len": 100, "window": 31, "causal": "lower_right", "b": 4},
]


def attention(**fields):
    return ATTENTION.problem("cpu", **{"b": 1, "h": 4, "d": 64} | fields)


def drawn(problem, count, seed, threads=2):
    """The best seed and random configs, as candidates for this machine."""
    target = Target(this_cpu(threads), a_target("cpu").toolchain)
    feasible = TEMPLATE.feasible(problem, target)
    configs = [TEMPLATE.seed_configs(feasible, problem, target)[0]]
    configs += feasible.sample(np.random.default_rng(seed), count)
    return [TEMPLATE.candidate(feasible, problem, target, config) for config in configs]


@pytest.mark.parametrize("fields", CASES, ids=str)
def test_random_configs_attend_as_the_reference_says(fields, tmp_path):
    """Into outputs full of NaN, between guard words, twice: buffers are kept between calls."""
    problem = attention(**fields)
    for number, candidate in enumerate(drawn(problem, 3, seed=CASES.index(fields))):
        path = tmp_path / f"k{number}.c"
        path.write_text(candidate.source)
        flags = ["-O1", "-march=native", "-std=gnu11", "-fopenmp", "-shared", "-fPIC"]
        subprocess.run(["cc", *flags, path, "-o", path.with_suffix(".so"), "-lm"], check=True)
        kernel = ctypes.CDLL(str(path.with_suffix(".so"))).attention
        arguments = candidate.launch.arguments
        kernel.argtypes = [ctypes.c_void_p if one.value is None else ctypes.c_float for one in arguments]
        whole, arrays = _arrays(problem)
        for _ in range(2):
            for name in {"o", "lse"} & arrays.keys():
                arrays[name][...] = np.nan
            values = [arrays[one.name].ctypes.data if one.value is None else one.value for one in arguments]
            assert kernel(*values) == 0
            computed, expected = ATTENTION.evidence(problem, arrays, np, np.random.default_rng(0))
            assert np.abs(computed - expected).max(initial=0.0) <= 2e-5, candidate.config
        for name, words in whole.items():
            ends = words[:GUARD_WORDS], words[-GUARD_WORDS:]
            assert all((end == GUARD[words.dtype.name]).all() for end in ends), (name, candidate.config)


def _arrays(problem):
    """Allocations, and the buffers inside them; of a bias some pairs, and one row, are not seen at all."""
    random, whole, arrays = np.random.default_rng(0), {}, {}
    for buffer in ATTENTION.buffers(problem):
        values = np.array(buffer.values).reshape(buffer.shape) if buffer.values else random.normal(size=buffer.shape)
        if buffer.name == "bias":
            values[random.random(buffer.shape) < 0.3] = -np.inf
            values[0, 0] = -np.inf
        dtype = np.dtype(np.int32 if buffer.dtype == "int32" else np.float32)
        words = np.full(values.size + 2 * GUARD_WORDS, GUARD[dtype.name], dtype)
        arrays[buffer.name] = words[GUARD_WORDS:-GUARD_WORDS].reshape(buffer.shape)
        arrays[buffer.name][...] = values
        whole[buffer.name] = words
    return whole, arrays


@pytest.mark.parametrize(
    "fields", [{"s": 70, "causal": "yes"}, {"s": 1, "kv_len": 300, "paged": 16, "b": 4, "lse": "yes"}], ids=str
)
def test_the_tuners_engine_measures_it(fields, tmp_path):
    """Its compiler, its flags, its pages that fault beside each buffer, its check."""
    problem, target = attention(**fields), a_target("cpu", threads=2)
    backends = {"cpu": CpuBackend(find_compiler(None))}
    engine = LocalEngine(problem, Policy("warm", "eager"), backends, child_spec(target), tmp_path, 2)
    try:
        for candidate in drawn(problem, 2, seed=5):
            outcome = engine.measure(engine.submit(candidate).result(), seed=1)
            assert isinstance(outcome, Measurement), (outcome, candidate.config)
    finally:
        engine.close()


MAIN = """
#include <stdio.h>
int main(void)
{{
    {reads}
    return attention({given});
}}
"""


@pytest.mark.parametrize("fields", CASES[::2], ids=str)
def test_sanitizers_find_nothing(fields, tmp_path):
    """Reads and writes outside of its own buffers and of the caller's, overflows and misaligned vectors."""
    problem = attention(**fields)
    _, arrays = _arrays(problem)
    for name, array in arrays.items():
        array.tofile(tmp_path / name)
    for number, candidate in enumerate(drawn(problem, 1, seed=100 + CASES.index(fields))):
        reads, given = [], []
        for one in candidate.launch.arguments:
            given.append(one.name if one.value is None else repr(float(one.value)))
            if one.value is None:
                size, path = arrays[one.name].nbytes, tmp_path / one.name
                reads.append(
                    f'void *{one.name} = malloc({size}); FILE *f_{one.name} = fopen("{path}", "rb"); '
                    f"if (fread({one.name}, 1, {size}, f_{one.name}) != {size}) return 2;"
                )
        path = tmp_path / f"k{number}.c"
        path.write_text(candidate.source + MAIN.format(reads="\n    ".join(reads), given=", ".join(given)))
        flags = ["-O1", "-march=native", "-std=gnu11", "-fopenmp", "-fsanitize=address,undefined"]
        binary = path.with_suffix("")
        subprocess.run(["cc", *flags, "-fno-sanitize-recover=all", path, "-o", binary, "-lm"], check=True)
        environment = {"ASAN_OPTIONS": "detect_leaks=0"}
        done = subprocess.run([binary], capture_output=True, text=True, check=False, env=environment)
        assert done.returncode == 0, (done.stderr[-2000:], candidate.config)
