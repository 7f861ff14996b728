"""c_flash: attention on a processor, fp32: tiles of queries that go over blocks of keys, all masks, packed and paged.

Nothing is packed but the tile's own queries; K and V are read where they lie, or copied block by block.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...spaces.problems import Problem
from ...spaces.targets import Cpu, Target
from ..template import Argument, KernelTemplate, Launch
from .c_flash_space import space
from .c_flash_work import work

LEAST_D = 4
"""Dims of a head: one vector of the narrowest."""


def _supports(problem: Problem, target: Target) -> str | None:
    if not isinstance(target.device, Cpu):
        return "it runs on a processor"
    if problem["dtype"] != "fp32":
        return f"it computes fp32, not {problem['dtype']}"
    if problem.dim("d") < LEAST_D:
        return f"it computes heads of {LEAST_D} dims or more, not {problem['d']}"
    return None


def _launch(problem: Problem, target: Target, values: Mapping[str, Any]) -> Launch:
    names = ["q", "k", "v"]
    beside = []
    if problem["is_varlen"]:
        beside += ["q_starts", "kv_starts"]
    if problem["is_paged"]:
        beside += ["page_table", "kv_lens"]
    floats = (["bias"] if problem["has_bias"] else []) + (["slopes"] if problem["has_alibi"] else [])
    written = ["o"] + (["lse"] if problem["has_lse"] else [])
    return Launch(
        "attention",
        (
            *(Argument(name, "const float *") for name in names),
            *(Argument(name, "const int *") for name in beside),
            *(Argument(name, "const float *") for name in floats),
            *(Argument(name, "float *") for name in written),
            Argument("scale", "float", problem.dim("d") ** -0.5),
        ),
    )


_TILES = {
    16: ((4, 2, 4, 2), (6, 2, 6, 2), (12, 1, 6, 2), (8, 1, 4, 3)),
    32: ((6, 4, 6, 4), (12, 2, 6, 4), (8, 2, 12, 2), (6, 4, 12, 2)),
}
"""(NK, MV, MR, NV) of the seeds by vector registers: enough sums to hide the multiply-add's latency, and no spills."""

_BLOCKS = ((128, 64), (64, 64), (64, 128), (128, 128), (256, 64), (32, 64), (64, 256), (192, 32), (32, 512))


def _seeds(problem: Problem, target: Target) -> list[dict[str, Any]]:
    """Guesses for this processor, as wide as its vectors; for few rows, vectors along dims."""
    assert isinstance(target.device, Cpu)
    registers, vw = target.device.vector_registers, target.device.vector_bytes // 4
    far = problem["layout"] == "bshd" or problem["is_varlen"] or problem["is_paged"]
    group, s = problem.dim("group"), problem.dim("s")
    fixed = {"VW": vw, "KU": 2, "ORDER_QK": "keys", "PREFETCH": "none", "SPLITS": 1, "SHARE": "dynamic"}
    fixed |= {"ORDER": "tiles" if problem["is_causal"] else "heads", "HEADS": "together" if group > 1 else "apart"}
    if s * group <= vw:
        low = 4 if s * group >= 4 else 2 if s * group >= 2 else 1
        few = {**fixed, "QK": "dims", "BLOCK_M": 1 << (s * group - 1).bit_length(), "MV": 1, "COPY": "none", "NV": 4}
        return [
            {**few, "BLOCK_N": n, "NK": nk, "MR": low, "SPLITS": splits, "PREFETCH": ahead}
            for n in (256, 64)
            for nk in (4, 8, 16)
            for splits in (1, 4)
            for ahead in ("none", "v")
        ]
    ways = ("kv", "none") if far else ("none", "kv")
    return [
        {**fixed, "QK": "rows", "BLOCK_M": m, "BLOCK_N": n, "NK": nk, "MV": mv, "MR": mr, "NV": nv, "COPY": copy}
        for copy in ways
        for nk, mv, mr, nv in _TILES[registers]
        for m, n in _BLOCKS[: 9 if copy == ways[0] else 3]
    ]


TEMPLATE = KernelTemplate(
    name="c_flash",
    op="attention",
    backend="cpu",
    source="c_flash.c.jinja",
    space=space(),
    supports=_supports,
    launch=_launch,
    seeds=_seeds,
    work=work,
)
