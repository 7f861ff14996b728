"""cuda_flash: attention of many queries in Hopper's own way: TMA into rings of stages, warpgroups that multiply.

Each warpgroup has 64 queries; scores, weights and sums stay in its registers. Two or three of them share what one
thread loads, and take turns on the tensor cores.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...spaces.problems import Problem
from ...spaces.targets import Gpu, Target
from ..template import Argument, KernelTemplate, Launch
from ..tensor_map import TensorMap
from .cuda_flash_seeds import seeds
from .cuda_flash_space import LINE_ELEMENTS, ROWS, flash_space
from .cuda_flash_work import work
from .maps import map_of

DTYPES = ("bf16", "fp16")

MOST_D, D_STEP = 256, 16
"""Dims of a head: one wgmma has up to 256 columns, and takes 16 of the depth."""


def _supports(problem: Problem, target: Target) -> str | None:
    if not isinstance(target.device, Gpu) or target.device.arch != "sm_90":
        return "it runs on a GPU of sm_90: no other has wgmma"
    if problem["dtype"] not in DTYPES:
        return f"it computes {', '.join(DTYPES)}, not {problem['dtype']}"
    if problem["is_varlen"] or problem["is_paged"]:
        return "its sequences have one length and lie in rows: varlen=no, paged=no"
    if problem["bias"] != "none" or problem.dim("soft_cap_value"):
        return "its scores are plain products: no bias, no soft cap"
    if problem.dim("d") > MOST_D or problem.dim("d") % D_STEP:
        return f"it computes heads of {D_STEP}, {2 * D_STEP}, ... {MOST_D} dims, not {problem['d']}"
    return None


def _launch(problem: Problem, target: Target, values: Mapping[str, Any]) -> Launch:
    assert isinstance(target.device, Gpu)
    dynamic, tiles = values["SCHEDULE"] == "dynamic", int(values["tiles"])
    arguments = [
        Argument("q_map", "map", tensor=_map("q", problem, int(values["BLOCK_M"]))),
        Argument("k_map", "map", tensor=_map("k", problem, int(values["BLOCK_N"]))),
        Argument("v_map", "map", tensor=_map("v", problem, int(values["BLOCK_N"]))),
    ]
    if values["STORE"] == "direct":
        arguments.append(Argument("o", "u32 *"))
    else:
        arguments.append(Argument("o_map", "map", tensor=_map("o", problem, ROWS)))
    if problem["has_lse"]:
        arguments.append(Argument("lse", "float *"))
    if dynamic:
        arguments.append(Argument("turns", "int *"))
    arguments.append(Argument("scale", "f32", problem.dim("d") ** -0.5))
    return Launch(
        "flash",
        tuple(arguments),
        (
            tiles if values["SCHEDULE"] == "blocks" else min(tiles, target.device.sm_count * int(values["RESIDENT"])),
            1,
            1,
        ),
        block=(128 * (int(values["WARPGROUPS"]) + 1), 1, 1),
        smem_bytes=int(values["smem_bytes"]),
        workspace={"turns": 8} if dynamic else {},
    )


def _map(name: str, problem: Problem, rows: int) -> TensorMap:
    """A box is so many rows of one head, a line wide; past the dims of a head it holds zeros."""
    return map_of(name, problem, (1, 1, rows, LINE_ELEMENTS), swizzle="128B", l2_promotion="256B")


TEMPLATE = KernelTemplate(
    name="cuda_flash",
    op="attention",
    backend="cuda",
    source="cuda_flash.cu.jinja",
    space=flash_space(),
    supports=_supports,
    launch=_launch,
    seeds=seeds,
    seeds_by_estimate=True,
    work=work,
)
