"""Arrays beside unmapped addresses: what leaves them faults, what stays inside does not, and nothing is kept."""

import re

import numpy as np
import pytest
from kerntune.cache.records import Failure, Measurement
from kerntune.spaces.config import Config
from kerntune.templates.catalogue import op_named, templates_named
from kerntune.templates.op import Buffer
from kerntune.templates.template import Candidate
from kerntune.tuner.backends.artifact import Artifact

pytestmark = [pytest.mark.gpu, pytest.mark.triton]

(TEMPLATE,) = templates_named("gemm", ["triton_tiled"])

RIGHT = """
import triton
import triton.language as tl
@triton.jit
def gemm_tiled(a, b, c, M, N, K):
    i = tl.arange(0, 64)
    rows = (tl.program_id(0) // (N // 64) * 64 + i)[:, None]
    columns = (tl.program_id(0) % (N // 64) * 64 + i)[None, :]
    sums = tl.zeros((64, 64), tl.float32)
    for k in range(0, K, 64):
        left = tl.load(a + rows * K + k + i[None, :])
        right = tl.load(b + (k + i)[:, None] * N + columns)
        sums = tl.dot(left, right, sums)
    tl.store(c + rows * N + columns, sums.to(tl.float16))
"""
READS = {  # volatile: no compiler leaves it out
    "past b": RIGHT + "    tl.load(b + N * K, volatile=True)\n",
    "before b": RIGHT + "    tl.load(b - 1, volatile=True)\n",
}


def problem(size):
    return op_named("gemm").problem("gpu", m=size, n=size, k=size, dtype="fp16", layout="nn")


def measured(engine, target, of, source):
    """What comes of a kernel of 64 x 64 tiles."""
    launch = TEMPLATE.launch(of, target, {"BLOCK_M": 64, "BLOCK_N": 64, "num_warps": 4, "num_stages": 1})
    candidate = Candidate("hand_written", "triton", Config({"BLOCK_M": 64}), source, ".py", launch)
    return engine.measure(engine.submit(candidate).result(), seed=1)


@pytest.mark.parametrize(
    ("where", "size", "said"),
    [
        ("past b", 64, "stood right before unmapped memory: it reads or writes past the end"),
        ("before b", 64, "stood right after unmapped memory: it reads or writes before the start"),
        ("past b", 1024, "stood between unmapped memory: it reads or writes outside an array"),
    ],
)
def test_a_read_outside_an_array_that_changes_nothing_is_found_out(engine_for, target, where, size, said):
    """One element, thrown away; arrays of 1024 x 1024 fill their memory, and both their ends touch holes at once."""
    of = problem(size)
    engine = engine_for(of)
    outcome = measured(engine, target, of, READS[where])
    assert isinstance(outcome, Failure)
    assert outcome.kind == "runtime"
    assert re.search(f"(?i)illegal.*; its arrays {said}", outcome.reason), outcome.reason
    assert isinstance(measured(engine, target, of, RIGHT), Measurement)


def test_no_config_of_ours_leaves_its_arrays_on_sizes_that_divide_nothing(engine_for, target):
    """Random ones of each way to read rows that are not aligned: elements, 16-byte chunks, and a copy."""
    of = op_named("gemm").problem("gpu", m=131, n=77, k=203, dtype="bf16", layout="nn")
    engine, feasible = engine_for(of), TEMPLATE.feasible(of, target)
    drawn = feasible.sample(np.random.default_rng(5), 400)
    ways = ("direct", "chunks", "copy")
    configs = [config for way in ways for config in [one for one in drawn if one["UNALIGNED"] == way][:8]]
    compiling = [engine.submit(TEMPLATE.candidate(feasible, of, target, config)) for config in configs]
    outcomes = {
        config: engine.measure(made.result(), 1)
        for config, made in zip(configs, compiling, strict=True)
        if isinstance(made.result(), Artifact)  # some spill too much
    }
    assert len(outcomes) >= 16
    assert {config["UNALIGNED"] for config in outcomes} == set(ways)
    assert [outcome for outcome in outcomes.values() if not isinstance(outcome, Measurement)] == []


@pytest.mark.parametrize(
    ("shape", "stands"),
    [
        ((777, 333), ("bands", "start", "end")),
        ((1200, 1001), ("bands", "start", "end")),  # more than half its memory: it overlaps where it stood
        ((1, 1), ("bands", "start", "end")),
        ((1024, 1024), ("bands", "start")),
    ],
)
def test_arrays_keep_what_they_hold_and_their_alignment_in_every_stand(device, shape, stands):
    """256 bytes where runs are compared bit for bit, 16 at the end of their memory, and less than 16 from it."""
    xp = device.xp
    guarded = device.guarded([Buffer(name, shape, "bf16", "input") for name in "ab"])
    assert guarded.stands == stands
    held = {name: device.random(Buffer(name, shape, "bf16", "input"), seed) for seed, name in enumerate("ab")}
    for name, values in held.items():
        guarded.arrays[name][...] = values
    for stand in (*stands, *stands):
        guarded.place(stand)
        assert guarded.stray() is None
        for name, array in guarded.arrays.items():
            assert bool(xp.array_equal(array, held[name]))
            assert array.data.ptr % (16 if stand == "end" else 256) == 0
            if stand == "end":
                assert 0 <= -(array.data.ptr + array.nbytes) % 2**21 < 16


@pytest.mark.parametrize("shape", [(5, 7), (3, 5000), (1024, 1024)])
def test_bands_lie_on_both_sides(device, shape):
    """As where no memory is left unmapped: a write is told with its place."""
    xp = device.xp
    guarded = device.guarded([Buffer(name, shape, "fp32", "output") for name in "ab"])
    for name in "ab":
        array = guarded.arrays[name]
        for offset, said in ((array.nbytes, f"past the end of {name}, first at +0"), (-4, "before the start")):
            guarded.place("bands")
            xp.ndarray(1, np.float32, array.data + offset)[...] = 1
            assert said in guarded.stray()


def test_sets_made_one_after_the_other_take_no_memory_of_the_device(device):
    """A process makes one for each problem it is given."""
    buffers = [Buffer(name, (300, 5000), "fp16", "output") for name in "abc"]

    def used():
        guarded = device.guarded(buffers)
        for stand in guarded.stands:
            guarded.place(stand)
        return guarded

    def free_bytes():
        device.finish()
        device.xp.get_default_memory_pool().free_all_blocks()
        return device.xp.cuda.runtime.memGetInfo()[0]

    used()
    before = free_bytes()
    held = used()
    assert before - free_bytes() >= sum(buffer.bytes for buffer in buffers)
    del held
    for _ in range(50):
        used()
    assert before - free_bytes() < 2**21


def test_an_array_keeps_its_memory_when_its_set_is_gone(device):
    """Nothing is unmapped under what still refers to it."""
    array = device.guarded([Buffer("a", (100, 100), "fp32", "output")]).arrays["a"]
    array.fill(3)
    assert float(array.sum()) == 30_000
