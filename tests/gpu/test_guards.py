"""What a wrong kernel does to a GPU, and what the check makes of it."""

import re

import numpy as np
import pytest
from gpu_kernels import PROBLEM, TEMPLATE, candidate
from kerntune.cache.records import Failure, Measurement
from kerntune.templates.catalogue import op_named
from kerntune.templates.op import Buffer
from kerntune.tuner.engine import local
from saboteur import RIGHT

pytestmark = [pytest.mark.gpu, pytest.mark.triton]

REASONS = {
    "writes past c": "^wrote 2 bytes past the end of c, first at \\+64$",
    "writes before c": "^wrote 2 bytes before the start of c, first at -8$",
    "writes b": r"^wrote its input b: 1 elements, first \[1, 3\]$",
    "uses what lies past b": "^4,096 of 4,096 elements are NaN or infinite",
    "wrong in one element": r"^element \[3, 7\] is",
}


def measured(engine, target, name):
    """What comes of a kernel."""
    return engine.measure(engine.submit(candidate(target, name)).result(), seed=1)


@pytest.mark.parametrize("name", REASONS)
def test_a_wrong_kernel_is_incorrect_and_the_next_one_runs(engine_for, target, name):
    """The bands tell where it wrote, and poison what it read."""
    engine = engine_for(PROBLEM)
    outcome = measured(engine, target, name)
    assert isinstance(outcome, Failure)
    assert outcome.kind == "incorrect"
    assert re.search(REASONS[name], outcome.reason), outcome.reason
    assert isinstance(measured(engine, target, RIGHT), Measurement)


def test_after_an_illegal_address_the_next_child_runs(engine_for, target):
    """A broken context ends its process."""
    engine = engine_for(PROBLEM)
    outcome = measured(engine, target, "illegal address")
    assert outcome.kind == "runtime"
    assert "illegal" in outcome.reason.lower()
    assert isinstance(measured(engine, target, RIGHT), Measurement)


@pytest.mark.slow
def test_after_a_hang_the_next_child_runs(engine_for, target, monkeypatch):
    """It is killed in time, twice, and takes nothing with it."""
    monkeypatch.setattr(local, "GRACE_S", 10.0)
    engine = engine_for(PROBLEM)
    outcome = measured(engine, target, "hangs")
    assert isinstance(outcome, Failure)
    assert outcome.kind == "timeout"
    assert isinstance(measured(engine, target, RIGHT), Measurement)


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["nn", "tt"])
@pytest.mark.parametrize("shape", [(131, 77, 203), (1, 1, 1), (7, 5, 3), (64, 64, 64)])
def test_no_config_of_ours_leaves_its_arrays(engine_for, target, shape, layout):
    """Chunks that reach past an array's end by less than 16 bytes throw away what they find there."""
    m, n, k = shape
    of = op_named("gemm").problem("gpu", m=m, n=n, k=k, dtype="bf16", layout=layout)
    engine, feasible = engine_for(of), TEMPLATE.feasible(of, target)
    configs = [*TEMPLATE.seed_configs(feasible, of, target), *feasible.sample(np.random.default_rng(1), 16)]
    compiling = [engine.submit(TEMPLATE.candidate(feasible, of, target, config)) for config in configs]
    outcomes = [engine.measure(made.result(), 1) for made in compiling if not isinstance(made.result(), Failure)]
    assert [outcome for outcome in outcomes if not isinstance(outcome, Measurement)] == []


def test_guarded_arrays_are_as_aligned_as_allocations():
    """Wide loads must stay allowed."""
    from kerntune.tuner.measure.cuda_device import CudaDevice

    device = CudaDevice(0)
    guarded = device.guarded([Buffer(name, (777, 333), "bf16", "input") for name in "abc"])
    assert {array.data.ptr % 256 for array in guarded.arrays.values()} == {0}
    guarded.place("bands")
    assert guarded.stray() is None


def test_a_gpu_proves_itself():
    """Its random bytes are those the processor makes."""
    from kerntune.tuner.measure.cuda_device import CudaDevice

    CudaDevice(0).prove()
