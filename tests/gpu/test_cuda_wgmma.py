"""cuda_wgmma on a Hopper: every way of sharing work, on sizes that divide nothing, checked as every study does it."""

import numpy as np
import pytest
from kerntune.cache.records import Measurement
from kerntune.templates.catalogue import op_named, templates_named

pytestmark = [pytest.mark.gpu, pytest.mark.nvrtc]

(TEMPLATE,) = templates_named("gemm", ["cuda_wgmma"])
CASES = [
    ((1, 1, 1), {"layout": "nn"}),
    ((7, 15, 16), {"layout": "nt"}),
    ((131, 203, 77), {"layout": "tn"}),
    ((129, 257, 65), {"layout": "tt"}),
    ((1, 4096, 520), {"layout": "nn"}),
    ((512, 384, 1000), {"layout": "nt"}),
    ((200, 328, 264), {"layout": "nn", "batch": 3, "epilogue": "bias+gelu+residual"}),
    ((200, 323, 264), {"layout": "tt", "dtype": "fp16", "out_dtype": "fp32", "epilogue": "relu+residual"}),
    ((200, 320, 272), {"layout": "nt", "dtype": "int8"}),
    ((200, 320, 264), {"layout": "nt", "dtype": "tf32"}),
    ((200, 320, 264), {"layout": "nn", "dtype": "tf32", "epilogue": "bias+relu"}),
    ((1000, 333, 1029), {"layout": "nn", "dtype": "tf32", "out_dtype": "bf16"}),
    ((203, 320, 517), {"layout": "tt", "dtype": "tf32", "batch": 2}),
    ((200, 320, 272), {"layout": "nt", "dtype": "fp8", "out_dtype": "bf16", "scales": "row", "epilogue": "bias"}),
    ((64, 320, 528), {"layout": "nt", "dtype": "fp8e5m2"}),
    ((64, 256, 4096), {"layout": "nt"}),
]
CONFIGS = 10


@pytest.fixture
def backends(target, tmp_path):
    from kerntune.tuner.backends.binary_cache import BinaryCache
    from kerntune.tuner.backends.cuda import CudaBackend

    return lambda: {"cuda": CudaBackend(target, 8, BinaryCache(tmp_path / "cache" / "binaries"))}


@pytest.mark.parametrize(("shape", "fields"), CASES)
def test_sampled_configs_are_right(engine_for, target, shape, fields):
    """Clusters, shared depths, pingpong, transposed tiles, copies, epilogues: whatever the draw brings."""
    of = op_named("gemm").problem("gpu", **dict(zip("mnk", shape, strict=True)), **fields)
    feasible = TEMPLATE.feasible(of, target)
    drawn = feasible.sample(np.random.default_rng(shape[0]), min(CONFIGS, len(feasible)))
    engine = engine_for(of)
    compiling = [(c, engine.submit(TEMPLATE.candidate(feasible, of, target, c))) for c in drawn]
    for config, made in compiling:
        outcome = engine.measure(made.result(), 1)
        assert isinstance(outcome, Measurement), f"{dict(config)}: {outcome}"
