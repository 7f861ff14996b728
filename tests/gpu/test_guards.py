"""What a wrong kernel does to a GPU, and what the check makes of it."""

import re

import numpy as np
import pytest
from kerntune.cache.records import Failure, Measurement
from kerntune.spaces.config import Config
from kerntune.templates.catalogue import op_named, templates_named
from kerntune.templates.op import Buffer
from kerntune.templates.template import Candidate
from kerntune.tuner.engine import local

pytestmark = [pytest.mark.gpu, pytest.mark.triton]

(TEMPLATE,) = templates_named("gemm", ["triton_tiled"])
PROBLEM = op_named("gemm").problem("gpu", m=64, n=64, k=64, dtype="fp16")

HEAD = """
import triton
import triton.language as tl
@triton.jit
def gemm_tiled(a, b, c, M, N, K):
    i = tl.arange(0, 64)
    left = tl.load(a + i[:, None] * K + i[None, :])
    right = tl.load(b + i[:, None] * N + i[None, :])
    sums = tl.dot(left, right)
"""
STORE = "    tl.store(c + i[:, None] * N + i[None, :], sums.to(tl.float16))\n"
RIGHT = HEAD + STORE
FAULTS = {
    "writes past c": (
        RIGHT + "    tl.store(c + M * N + 32, 1.0)\n",
        "^wrote 2 bytes past the end of c, first at \\+64$",
    ),
    "writes before c": (RIGHT + "    tl.store(c - 4, 1.0)\n", "^wrote 2 bytes before the start of c, first at -8$"),
    "writes b": (RIGHT + "    tl.store(b + N + 3, 9.0)\n", r"^wrote its input b: 1 elements, first \[1, 3\]$"),
    "uses what lies past b": (
        HEAD + "    sums += 0.0 * tl.load(b + N * K + 5).to(tl.float32)\n" + STORE,
        "^4,096 of 4,096 elements are NaN or infinite",
    ),
    "wrong in one element": (
        HEAD + "    sums += tl.where((i == 3)[:, None] & (i == 7)[None, :], 1.0, 0.0)\n" + STORE,
        r"^element \[3, 7\] is",
    ),
}
HANGS = (
    RIGHT
    + """
    word = c.to(tl.pointer_type(tl.int32), bitcast=True)
    seen = tl.atomic_or(word, 1)
    while seen != 0:
        seen = tl.atomic_or(word, 1)
"""
)
ILLEGAL = RIGHT + "    tl.store(c + (tl.program_id(0).to(tl.int64) + 1) * 10000000000000, 1.0)\n"


def measured(engine, target, source):
    """What comes of a kernel of one block that computes PROBLEM."""
    launch = TEMPLATE.launch(PROBLEM, target, {"BLOCK_M": 64, "BLOCK_N": 64, "num_warps": 4, "num_stages": 1})
    candidate = Candidate("hand_written", "triton", Config({"BLOCK_M": 64}), source, ".py", launch)
    return engine.measure(engine.submit(candidate).result(), seed=1)


@pytest.mark.parametrize("name", FAULTS)
def test_a_wrong_kernel_is_incorrect_and_the_next_one_runs(engine_for, target, name):
    """The bands tell where it wrote, and poison what it read."""
    source, reason = FAULTS[name]
    engine = engine_for(PROBLEM)
    outcome = measured(engine, target, source)
    assert isinstance(outcome, Failure)
    assert outcome.kind == "incorrect"
    assert re.search(reason, outcome.reason), outcome.reason
    assert isinstance(measured(engine, target, RIGHT), Measurement)


def test_after_an_illegal_address_the_next_child_runs(engine_for, target):
    """A broken context ends its process."""
    engine = engine_for(PROBLEM)
    outcome = measured(engine, target, ILLEGAL)
    assert outcome.kind == "runtime"
    assert "illegal" in outcome.reason.lower()
    assert isinstance(measured(engine, target, RIGHT), Measurement)


@pytest.mark.slow
def test_after_a_hang_the_next_child_runs(engine_for, target, monkeypatch):
    """It is killed in time, twice, and takes nothing with it."""
    monkeypatch.setattr(local, "GRACE_S", 10.0)
    engine = engine_for(PROBLEM)
    outcome = measured(engine, target, HANGS)
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
