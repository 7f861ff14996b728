"""cuda_simt on a GPU: every level in every layout, checked and timed as every study does it."""

import numpy as np
import pytest
from kerntune.cache.records import Measurement
from kerntune.templates.catalogue import op_named, templates_named

pytestmark = [pytest.mark.gpu, pytest.mark.nvrtc]

(TEMPLATE,) = templates_named("gemm", ["cuda_simt"])
LAYOUTS = ("nn", "nt", "tn", "tt")
SHAPES = [(131, 77, 203), (1, 1000, 333), (257, 3, 1025), (640, 512, 384)]


def problem(m, n, k, **fields):
    return op_named("gemm").problem("gpu", **({"m": m, "n": n, "k": k, "dtype": "fp32"} | fields))


@pytest.fixture
def backends(target, tmp_path):
    """As `tune` has it, binary cache and all."""
    from kerntune.tuner.backends.binary_cache import BinaryCache
    from kerntune.tuner.backends.cuda import CudaBackend

    return lambda: {"cuda": CudaBackend(target, 4, BinaryCache(tmp_path / "cache" / "binaries"))}


def candidates(of, target, count, **fixed):
    """Drawn from the feasible configs with the `fixed` values."""
    feasible = TEMPLATE.feasible(of, target)
    drawn = feasible.sample(np.random.default_rng(7), len(feasible))
    configs = [config for config in drawn if fixed.items() <= dict(config).items()][:count]
    return [TEMPLATE.candidate(feasible, of, target, config) for config in configs]


def right(engine, wanted):
    """Whether every candidate compiles, computes what it should, and is timed; what came of the first that does not."""
    compiling = [engine.submit(candidate) for candidate in wanted]
    for candidate, made in zip(wanted, compiling, strict=True):
        outcome = engine.measure(made.result(), 1)
        if not isinstance(outcome, Measurement):
            return f"{dict(candidate.config)}: {outcome}"
    return True


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("level", ["naive", "coalesced", "shared", "registers"])
def test_every_level_is_right_in_every_layout(engine_for, target, level, layout, shape):
    """On sizes that divide nothing, a row, a few columns, and one that divides evenly."""
    of = problem(*shape, layout=layout)
    wanted = candidates(of, target, 4, LEVEL=level)
    assert wanted or (level == "naive" and 1 in shape)
    assert right(engine_for(of), wanted) is True


def test_seeds_of_a_large_product_are_right_and_meet_the_vendor(engine_for, target):
    """The ladder in one playoff, beside cuBLAS."""
    of = problem(1024, 1024, 1024)
    engine = engine_for(of)
    feasible = TEMPLATE.feasible(of, target)
    seeds = [TEMPLATE.candidate(feasible, of, target, config) for config in TEMPLATE.seed_configs(feasible, of, target)]
    assert right(engine, seeds) is True
    artifacts = {str(place): engine.submit(seed).result() for place, seed in enumerate(seeds)}
    result = engine.playoff(artifacts, 1)
    assert result.baseline.name in ("torch.mm", "cupy.matmul")
    assert {candidate.config["LEVEL"] for candidate in seeds} == {"naive", "coalesced", "shared", "registers"}
