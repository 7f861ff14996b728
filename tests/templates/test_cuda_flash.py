"""cuda_flash: its launches, which tiles and keys its blocks go through, and what NVRTC makes of its sources.

Its numbers need a Hopper (tests/gpu).
"""

import ctypes
import re
import subprocess

import numpy as np
import pytest
from builders import a_target
from kerntune.templates.catalogue import op_named, templates_named
from kerntune.tuner.backends.artifact import Artifact

(TEMPLATE,) = templates_named("attention", ["cuda_flash"])
HOPPER = a_target(nvrtc="13.0.88")
MOST_REGISTERS = 65536
LARGE, NARROW, TINY = (4, 16, 4096, 128), (2, 32, 1024, 64), (1, 1, 1, 16)
PROBLEMS = [
    (LARGE, {"causal": "yes"}),
    (NARROW, {"causal": "yes", "layout": "bshd", "lse": "yes"}),
    (TINY, {}),
    ((3, 6, 333, 96), {"kv_heads": 2, "kv_len": 517, "causal": "lower_right", "lse": "yes"}),
    ((2, 4, 700, 80), {"kv_len": 300, "causal": "lower_right", "dtype": "fp16"}),
    ((2, 4, 1000, 256), {"causal": "yes", "window": 100}),
    ((2, 4, 1000, 128), {"kv_len": 1300, "window": 150}),
    ((16, 16, 512, 128), {}),
]


def attention(shape, fields):
    return op_named("attention").problem("gpu", **dict(zip("bhsd", shape, strict=True)), **fields)


def candidates(problem, count, seed=0):
    feasible = TEMPLATE.feasible(problem, HOPPER)
    drawn = feasible.sample(np.random.default_rng(seed), min(count, len(feasible)))
    return [TEMPLATE.candidate(feasible, problem, HOPPER, config) for config in drawn]


@pytest.mark.parametrize(("shape", "fields"), PROBLEMS)
def test_every_launch_fits_the_chip_and_every_map_is_one_that_tma_takes(shape, fields):
    """Boxes and strides as the driver wants them, in both layouts; shared memory a block may have."""
    problem = attention(shape, fields)
    sizes = {buffer.name: np.prod(buffer.shape) * 2 for buffer in op_named("attention").buffers(problem)}
    for candidate in candidates(problem, 60):
        launch, config = candidate.launch, candidate.config
        maps = [argument.tensor for argument in launch.arguments if argument.tensor is not None]
        assert [tensor.refusal for tensor in maps] == [None] * len(maps)
        assert [tensor.reach_bytes for tensor in maps] == [sizes[tensor.buffer] for tensor in maps]
        assert launch.smem_bytes <= HOPPER.device.smem_per_block_bytes
        assert launch.block == (128 * (config["WARPGROUPS"] + 1), 1, 1)


@pytest.mark.parametrize(("shape", "fields"), PROBLEMS)
def test_a_usual_problem_has_thousands_of_configs_and_each_problem_a_seed(shape, fields):
    problem = attention(shape, fields)
    feasible = TEMPLATE.feasible(problem, HOPPER)
    seeds = TEMPLATE.seed_configs(feasible, problem, HOPPER)
    assert len(feasible) >= (5000 if problem.dim("s") >= 300 else 1)
    assert len(seeds) == len(set(seeds)) >= 1
    rows = [feasible.index(seed) for seed in seeds]
    assert np.all(TEMPLATE.estimates_us(feasible, problem, HOPPER, rows) > 0)


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"dtype": "fp32"}, "computes"),
        ({"soft_cap": 30}, "soft cap"),
        ({"bias": "alibi"}, "bias"),
        ({"varlen": "yes"}, "varlen"),
        ({"paged": 16}, "paged"),
        ({"d": 72}, "72"),
    ],
)
def test_it_says_what_it_cannot_compute(fields, word):
    problem = op_named("attention").problem("gpu", **({"b": 2, "h": 4, "s": 128, "d": 64} | fields))
    assert word in TEMPLATE.supports(problem, HOPPER)


HOST = """
#include <algorithm>
#include <cmath>
static int min(int x, int y) { return x < y ? x : y; }
static int max(int x, int y) { return x > y ? x : y; }
#define __device__
#define __forceinline__ inline
#define INFINITE INFINITY
%s
extern "C" int tiles() { return TILES; }
extern "C" void of_tile(int turn, int *found)
{
    const Place at = place(turn);
    const Keys keys = keys_of(at.row);
    const int all[] = {at.row, at.head, at.batch, keys.first, keys.end, keys.masked_from, keys.masked_to};
    std::copy(all, all + 7, found);
}
extern "C" void masked(int row, int column, float *scores)
{
    float s[SCORES];
    std::copy(scores, scores + SCORES, s);
    mask(s, row, column);
    std::copy(s, s + SCORES, scores);
}
"""


def on_host(source, folder):
    """The kernel's own arithmetic of tiles, keys and masks, as functions of a processor."""
    sizes = re.search(r"enum \{.*?\n\};", source, re.DOTALL).group(0)
    rules = source[source.index("struct Place") : source.index("// Scores become weights")]
    (folder / "rules.cpp").write_text(HOST % (sizes + "\n" + rules))
    built = folder / "rules.so"
    subprocess.run(["c++", "-std=c++17", "-w", "-shared", "-fPIC", folder / "rules.cpp", "-o", built], check=True)
    return ctypes.CDLL(str(built))


def seen(problem):
    """Which keys each query sees, as the op says: [s, kv_len]."""
    s, kv_len, window = problem.dim("s"), problem.dim("kv_len"), problem.dim("window_size")
    position = np.arange(s)[:, None] + (kv_len - s if problem["causal"] == "lower_right" else 0)
    distance = position - np.arange(kv_len)
    allowed = np.ones((s, kv_len), bool)
    if problem["is_causal"]:
        allowed &= distance >= 0
    if window:
        allowed &= abs(distance) < window
    return allowed


@pytest.mark.compiler
@pytest.mark.parametrize(("shape", "fields"), [(s, f) for s, f in PROBLEMS if s not in (LARGE, NARROW)])
def test_tiles_come_once_and_go_through_what_their_queries_see(tmp_path, shape, fields):
    """Blocks without a mask are seen whole, those left out by nobody; in the others the mask says it key by key."""
    problem = attention(shape, fields)
    allowed = seen(problem)
    for number, candidate in enumerate(candidates(problem, 3, seed=3)):
        (tmp_path / str(number)).mkdir()
        host = on_host(candidate.source, tmp_path / str(number))
        high, wide = 64 * candidate.config["WARPGROUPS"], candidate.config["BLOCK_N"]
        places = set()
        for turn in range(host.tiles()):
            found = (ctypes.c_int * 7)()
            host.of_tile(turn, found)
            row, head, batch, first, end, masked_from, masked_to = found
            places.add((row, head, batch))
            if head or batch:
                continue
            rows = np.zeros((high, end * wide + wide), bool)
            part = allowed[row : row + high]
            assert not part[:, end * wide :].any()
            assert not part[:, : first * wide].any()
            rows[: len(part), : min(allowed.shape[1], rows.shape[1])] = part[:, : rows.shape[1]]
            for block in range(first, end):
                if not masked_to <= block < masked_from:
                    continue
                assert rows[: len(part), block * wide : (block + 1) * wide].all()
            for block in {first, end - 1} & set(range(first, end)):
                for thread in (0, 5, 127):
                    mine = row + thread // 32 * 16 + thread % 32 // 4
                    column = thread % 4 * 2
                    scores = (ctypes.c_float * (wide // 2))(*([1.0] * (wide // 2)))
                    host.masked(mine, column + block * wide, scores)
                    for place, score in enumerate(scores):
                        i = mine + place % 4 // 2 * 8
                        j = block * wide + column + place // 4 * 8 + place % 2
                        if i < allowed.shape[0]:
                            assert (score == 1.0) == (j < allowed.shape[1] and bool(allowed[i, j]))
        b, h, s, _ = shape
        assert places == {(row, head, batch) for row in range(0, s, high) for head in range(h) for batch in range(b)}
        assert host.tiles() == len(places)


@pytest.mark.nvrtc
@pytest.mark.parametrize(("shape", "fields"), [PROBLEMS[place] for place in (0, 1, 3, 5)])
def test_sampled_configs_compile_and_keep_their_sums_in_registers(compiled, tmp_path, shape, fields):
    """Scores, weights and sums of a wgmma that spill would be spilled for every block of keys."""
    drawn = candidates(attention(shape, fields), 6, seed=shape[2])
    for candidate, made in zip(drawn, compiled([(one, HOPPER) for one in drawn], tmp_path), strict=True):
        assert isinstance(made, Artifact), (dict(candidate.config), made)
        assert made.registers * made.threads_per_block <= MOST_REGISTERS
        assert made.spill_bytes < 64, dict(candidate.config)
