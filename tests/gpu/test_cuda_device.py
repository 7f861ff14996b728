"""A GPU as a device: data, loading, timing and faults, in this process and through the engine."""

from dataclasses import replace

import numpy as np
import pytest
from kerntune.cache.records import Failure, Measurement
from kerntune.spaces.config import Config
from kerntune.templates.catalogue import op_named, templates_named
from kerntune.templates.op import Buffer
from kerntune.templates.template import Candidate, Launch
from kerntune.tuner.backends.artifact import Artifact

pytestmark = [pytest.mark.gpu, pytest.mark.triton]

(TEMPLATE,) = templates_named("gemm", ["triton_tiled"])
STRAY_STORE = """
import triton, triton.language as tl
@triton.jit
def gemm_tiled(a, b, c, M, N, K):
    tl.store(c + (tl.program_id(0).to(tl.int64) + 1) * 10000000000000, 1.0)
"""
NO_STORE = STRAY_STORE.split("    tl.store")[0] + "    pass\n"


def problem(m, n, k, **fields):
    return op_named("gemm").problem("gpu", m=m, n=n, k=k, **fields)


def seeds(of, target, count=3):
    feasible = TEMPLATE.feasible(of, target)
    configs = TEMPLATE.seed_configs(feasible, of, target)[:count]
    return [TEMPLATE.candidate(feasible, of, target, config) for config in configs]


def faulty(of, target, source):
    launch = TEMPLATE.launch(of, target, {"BLOCK_M": 64, "BLOCK_N": 64, "num_warps": 4, "num_stages": 1})
    return Candidate("faulty", "triton", Config({"BLOCK_M": 64}), source, ".py", launch)


def test_bf16_data_is_normal_and_rounded_to_nearest(device):
    """What a kernel reads is what the reference reads."""
    wide = device.widen(device.random(Buffer("a", (1000, 1000), "bf16", "input"), 3), "bf16").get()
    assert abs(wide.mean()) < 0.01
    assert abs(wide.std() - 1) < 0.01
    assert not (wide.view(np.uint32) & 0xFFFF).any()


@pytest.mark.parametrize("dtype", ["bf16", "fp16", "fp32"])
def test_a_poisoned_array_is_all_nan(device, dtype):
    """An element nobody wrote shows."""
    buffer = Buffer("c", (33, 5), dtype, "output")
    array = device.empty(buffer)
    device.poison(array)
    assert np.isnan(device.widen(array, dtype).get().astype(np.float32)).all()


def test_the_same_seed_gives_the_same_data(device):
    """A failure can be looked at again."""
    buffer = Buffer("a", (77, 13), "fp32", "input")
    assert (device.random(buffer, 5) == device.random(buffer, 5)).all()
    assert not (device.random(buffer, 5) == device.random(buffer, 6)).any()


@pytest.mark.parametrize("layout", ["nn", "nt", "tn", "tt"])
@pytest.mark.parametrize("dtype", ["bf16", "fp16", "fp32"])
def test_ragged_products_are_right_in_every_layout(engine_for, target, layout, dtype):
    """The check of every study passes on sizes that divide nothing."""
    of = problem(131, 77, 203, layout=layout, dtype=dtype)
    engine = engine_for(of)
    compiled = [engine.submit(candidate).result() for candidate in seeds(of, target)]
    artifacts = [
        made for made in compiled if isinstance(made, Artifact)
    ]  # in fp32 some spill too much, and are refused
    assert artifacts
    for artifact in artifacts:
        assert isinstance(engine.measure(artifact, 1), Measurement)


@pytest.mark.parametrize("launch", ["graph", "eager"])
def test_a_playoff_times_the_kernel_and_the_vendor(engine_for, target, launch):
    """Both ways of launching give times of the same order as the vendor's."""
    of = problem(1024, 1024, 1024)
    engine = engine_for(of, launch)
    artifact = engine.submit(*seeds(of, target, 1)).result()
    result = engine.playoff({"best": artifact}, 1)
    assert {vendor.name for vendor in result.vendors} == {"torch.mm (cublas)", "torch.mm (cublaslt)"}
    assert all(vendor.fault is None for vendor in result.vendors)
    assert 0.1 < result.baseline.median_us / result.measurements["best"].median_us < 10


def test_a_kernel_that_writes_nothing_is_incorrect(engine_for, target):
    """The poison is still there."""
    of = problem(64, 64, 64)
    engine = engine_for(of)
    artifact = engine.submit(faulty(of, target, NO_STORE)).result()
    outcome = engine.measure(artifact, 1)
    assert isinstance(outcome, Failure)
    assert outcome.kind == "incorrect"


def test_after_a_stray_store_the_next_kernel_runs(engine_for, target):
    """A broken context ends its process and nothing else."""
    of = problem(64, 64, 64)
    engine = engine_for(of)
    stray, good = (engine.submit(c).result() for c in (faulty(of, target, STRAY_STORE), *seeds(of, target, 1)))
    outcome = engine.measure(stray, 1)
    assert isinstance(outcome, Failure)
    assert outcome.kind == "runtime"
    assert "illegal" in outcome.reason.lower()
    assert isinstance(engine.measure(good, 1), Measurement)


def test_a_grid_the_driver_refuses_is_a_launch_failure(engine_for, target):
    """More than 65,535 blocks in y cannot be launched."""
    of = problem(64, 64, 64)
    engine = engine_for(of)
    candidate = seeds(of, target, 1)[0]
    launch = Launch(candidate.launch.entry, candidate.launch.arguments, (1, 70_000, 1), candidate.launch.options)
    artifact = engine.submit(replace(candidate, launch=launch)).result()
    outcome = engine.measure(artifact, 1)
    assert isinstance(outcome, Failure)
    assert outcome.kind == "launch"
