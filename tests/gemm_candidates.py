"""What tests take of gemm's templates: spaces, each built once, and candidates drawn of them."""

from functools import lru_cache

import numpy as np
from builders import a_target
from kerntune.templates.catalogue import op_named

LAYOUTS = ("nn", "nt", "tn", "tt")
HOPPER = a_target(nvrtc="13.0.88")
AMPERE = a_target(nvrtc="13.0.88", arch="sm_80", sm_count=108, smem_per_block_bytes=166912)
LARGE, ODD, TINY, ROW = (4096, 4096, 4096), (777, 3333, 2048), (1, 1, 1), (1, 4096, 4096)
SQUARE, STRIP, BARE, LONG = (2048, 2048, 2048), (64, 4096, 14336), (17, 5, 3), (128, 128, 65536)
RAGGED, COLUMN, DECODE, TALL = (1000, 1002, 1001), (4096, 1, 64), (16, 6144, 4096), (4096, 64, 4096)
DEEP, WIDE, HUGE, VOCABULARY = (256, 4096, 14336), (512, 6144, 4096), (2048, 28672, 4096), (32, 50304, 768)
"""Shapes (M, N, K) that tests of several templates name."""

MOST_DRAWN = 5000
"""Configs among which those with given values are looked for."""


def a_product(m, n, k, **fields):
    """On a GPU, where bf16 is what is meant by none."""
    return op_named("gemm").problem("gpu", m=m, n=n, k=k, **fields)


@lru_cache(maxsize=64)
def space_of(template, problem, target=HOPPER):
    """What is feasible, built once."""
    return template.feasible(problem, target)


@lru_cache(maxsize=16)
def _drawn(template, problem, target, seed, count):
    return tuple(space_of(template, problem, target).sample(np.random.default_rng(seed), count))


def candidates(template, problem, count, seed=0, target=HOPPER, **fixed):
    """Drawn from the feasible configs, those with the `fixed` values only."""
    space = space_of(template, problem, target)
    drawn = _drawn(template, problem, target, seed, MOST_DRAWN if fixed else count)
    configs = [config for config in drawn if fixed.items() <= dict(config).items()][:count]
    return [template.candidate(space, problem, target, config) for config in configs]
