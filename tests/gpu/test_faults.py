"""Kernels at their worst on a GPU: each fault becomes a Failure with its kind, and the next candidate runs."""

import time
from dataclasses import replace

import pytest
from kerntune.cache.records import Failure, Measurement, Policy, RecordKey
from kerntune.spaces.config import Config
from kerntune.templates.catalogue import op_named, templates_named
from kerntune.templates.template import Candidate
from kerntune.tuner.engine import local
from saboteur import RIGHT, sabotaged

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
SPIN = """
    word = c.to(tl.pointer_type(tl.int32), bitcast=True)
    seen = tl.atomic_or(word, 1)
    while seen != 0:
        seen = tl.atomic_or(word, 1)
"""
TRAP = '    tl.inline_asm_elementwise("trap; mov.u32 $0, $1;", "=r,r", [i], dtype=tl.int32, is_pure=False, pack=1)\n'

SOURCES = {
    RIGHT: ("measured", HEAD + STORE),
    "writes past c": ("incorrect", HEAD + STORE + "    tl.store(c + M * N + 32, 1.0)\n"),
    "writes before c": ("incorrect", HEAD + STORE + "    tl.store(c - 4, 1.0)\n"),
    "writes b": ("incorrect", HEAD + STORE + "    tl.store(b + N + 3, 9.0)\n"),
    "uses what lies past b": (
        "incorrect",
        HEAD + "    sums += 0.0 * tl.load(b + N * K + 5).to(tl.float32)\n" + STORE,
    ),
    "wrong in one element": (
        "incorrect",
        HEAD + "    sums += tl.where((i == 3)[:, None] & (i == 7)[None, :], 1.0, 0.0)\n" + STORE,
    ),
    "one product short": (
        "incorrect",
        HEAD.replace("tl.dot(left, right)", "tl.dot(tl.where((i == 9)[None, :], 0.0, left).to(tl.float16), right)")
        + STORE,
    ),
    "writes nothing": ("incorrect", HEAD + "    tl.store(c, 0.0, mask=M < 0)\n"),
    "reads past b": ("runtime", HEAD + "    tl.load(b + N * K + i, volatile=True)\n" + STORE),
    "illegal address": (
        "runtime",
        HEAD + STORE + "    tl.store(c + (tl.program_id(0).to(tl.int64) + 1) * 10000000000000, 1.0)\n",
    ),
    "traps": ("runtime", HEAD + STORE + TRAP),
    "hangs": ("timeout", HEAD + STORE + SPIN),
}
TOO_MUCH_SMEM_BYTES = 240_000


def compiled(engine, target, names):
    """The artifacts of these kernels of one block, which compute PROBLEM or pretend to."""
    launch = TEMPLATE.launch(PROBLEM, target, {"BLOCK_M": 64, "BLOCK_N": 64, "num_warps": 4, "num_stages": 1})
    config = Config({"BLOCK_M": 64})
    sources = {name: Candidate("hand_written", "triton", config, SOURCES[name][1], ".py", launch) for name in names}
    compiling = {name: engine.submit(candidate) for name, candidate in sources.items()}
    return {name: made.result() for name, made in compiling.items()}


@pytest.mark.slow
def test_a_study_of_200_kernels_with_40_faulty_ones_loses_nothing_and_believes_none(engine_for, target, monkeypatch):
    """Hangs, traps, stray reads and writes, refused launches, wrong numbers: each its kind, and a right one wins."""
    monkeypatch.setattr(local, "GRACE_S", 5.0)
    monkeypatch.setattr(local, "PLAYOFF_S", 0.5)
    engine = engine_for(PROBLEM)
    kernels = compiled(engine, target, SOURCES)
    kernels["too much shared memory"] = replace(kernels[RIGHT], smem_bytes=TOO_MUCH_SMEM_BYTES)
    kinds = {name: kind for name, (kind, _) in SOURCES.items()} | {"too much shared memory": "launch"}
    sabotaged(engine, RecordKey(PROBLEM, target, Policy("cold", "graph")), TEMPLATE, kernels, kinds)


def test_after_a_broken_context_the_next_candidate_is_measured_within_four_seconds(engine_for, target):
    """The process ends with its context; a new one opens and proves the device."""
    engine = engine_for(PROBLEM)
    kernels = compiled(engine, target, [RIGHT, "illegal address"])
    assert isinstance(engine.measure(kernels[RIGHT], 1), Measurement)
    took_s = []
    for seed in range(3):
        assert isinstance(engine.measure(kernels["illegal address"], seed), Failure)
        start_s = time.monotonic()
        assert isinstance(engine.measure(kernels[RIGHT], seed), Measurement)
        took_s.append(time.monotonic() - start_s)
    print("respawned and measured in", took_s)  # noqa: T201 -- read by whoever measures
    assert max(took_s) < 4.0
