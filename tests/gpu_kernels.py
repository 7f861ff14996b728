"""Triton kernels of one block at their worst, written by hand: each with the kind of failure that must come of it."""

from __future__ import annotations

from kerntune.spaces.config import Config
from kerntune.spaces.targets import Target
from kerntune.templates.catalogue import op_named, templates_named
from kerntune.templates.template import Candidate
from saboteur import RIGHT

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


def candidate(target: Target, name: str) -> Candidate:
    """A kernel that computes PROBLEM, or pretends to."""
    launch = TEMPLATE.launch(PROBLEM, target, {"BLOCK_M": 64, "BLOCK_N": 64, "num_warps": 4, "num_stages": 1})
    return Candidate("hand_written", "triton", Config({"BLOCK_M": 64}), SOURCES[name][1], ".py", launch)
