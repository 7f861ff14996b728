"""triton_flash: attention of many queries, in tiles of one head's queries that go over blocks of keys; not paged.

Tiles of Q, K, V and O through TMA descriptors or pointers; blocks that all rows of a tile see need no mask, and those
that none sees are left out. The scale is taken for zero or more: maxima are found before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...spaces.problems import Problem
from ...spaces.targets import Gpu, Target
from ..chips import capability
from ..template import Argument, KernelTemplate, Launch
from ..tensor_map import TRITON_DTYPES
from .maps import map_of
from .triton_flash_space import MOST_D, space
from .triton_flash_work import work

TENSOR_ARCH = 80
"""Compute capability times ten: asynchronous copies came with sm_80."""

DTYPES = ("bf16", "fp16", "fp32", "tf32", "tf32x3")

MOST_ROW_ELEMENTS = 2**31 - 1
"""Of one head and of one token's heads times its sequence: offsets within a sequence take 32 bits."""


def _supports(problem: Problem, target: Target) -> str | None:
    if not isinstance(target.device, Gpu) or capability(target.device) < TENSOR_ARCH:
        return f"it runs on a GPU of sm_{TENSOR_ARCH} or later"
    if problem["dtype"] not in DTYPES:
        return f"it computes {', '.join(DTYPES)}, not {problem['dtype']}"
    if problem["is_paged"]:
        return "its keys lie one after the other: paged=no"
    if problem.dim("d") > MOST_D:
        return f"it computes heads of up to {MOST_D} dims, not {problem['d']}"
    heads = problem.dim("h") if problem["layout"] == "bshd" or problem["is_varlen"] else 1
    longest = max(problem.dim("s"), problem.dim("kv_len"))
    reach = max(heads * problem.dim("d"), problem.dim("kv_len") if problem["has_bias"] else 1) * (longest + 256)
    if reach > MOST_ROW_ELEMENTS:
        return f"it computes sequences of up to {MOST_ROW_ELEMENTS:,} elements, not {reach:,}"
    return None


def _launch(problem: Problem, target: Target, values: Mapping[str, Any]) -> Launch:
    element = f"*{TRITON_DTYPES[str(problem['dtype'])]}"
    reads, beside, writes = [], [], []
    for name in "qkv":
        reads += _mapped(name, problem, values) if values["LOADS"] == "tma" else [Argument(name, element)]
    if problem["is_varlen"]:
        beside += [Argument("q_starts", "*i32"), Argument("kv_starts", "*i32")]
    if problem["has_bias"]:
        beside.append(Argument("bias", element))
    if problem["has_alibi"]:
        beside.append(Argument("slopes", "*fp32"))
    writes += _mapped("o", problem, values) if values["STORE"] == "tma" else [Argument("o", element)]
    if problem["has_lse"]:
        writes.append(Argument("lse", "*fp32"))
    scale = Argument("scale", "f32", problem.dim("d") ** -0.5)
    options = {name: values[name] for name in ("num_warps", "num_stages")}
    if values["MOST_REGISTERS"]:
        options["maxnreg"] = values["MOST_REGISTERS"]
    return Launch("flash", (*reads, *beside, *writes, scale), (values["programs"], 1, 1), options)


def _mapped(name: str, problem: Problem, values: Mapping[str, Any]) -> list[Argument]:
    """Q, K, V or O as TMA copies tiles of it, a descriptor for each part of a head: no tile reaches into another head
    or, but of packed sequences, into another sequence."""
    block = values["BLOCK_M"] if name in "qo" else values["BLOCK_N"]
    tensor = map_of(name, problem)
    widths = [values["d_first"], *([values["d_rest"]] if values["d_rest"] else [])]
    return [
        Argument(f"{name}_{part}", tensor.triton_type(1, 1, block, width), tensor=tensor)
        for part, width in enumerate(widths)
    ]


_SHAPES = (
    # BLOCK_M, BLOCK_N, num_stages, num_warps, MOST_REGISTERS, MASKS
    (128, 64, 2, 8, 128, "edges"),
    (128, 64, 2, 8, 128, "branch"),
    (64, 64, 3, 4, 0, "branch"),
    (128, 128, 3, 8, 0, "branch"),
    (64, 64, 3, 4, 0, "all"),
    (128, 64, 3, 8, 0, "branch"),
    (64, 64, 2, 4, 128, "branch"),
    (64, 32, 3, 4, 128, "branch"),
    (64, 32, 4, 4, 0, "branch"),
    (128, 128, 2, 8, 128, "branch"),
    (64, 128, 2, 4, 168, "branch"),
    (128, 128, 2, 8, 0, "branch"),
    (128, 32, 3, 8, 128, "branch"),
    (128, 32, 4, 8, 0, "branch"),
    (32, 64, 2, 4, 0, "all"),
    (16, 64, 2, 4, 0, "all"),
    (16, 32, 2, 4, 0, "all"),
)
"""Best first. Of 4 x 16 x 4096 x 128 in bf16, causal, the first one's loops are at .85 of cuDNN's speed; of all keys
64 x 64 with 3 stages at .80, of 4 x 32 x 4096 x 64 that at .88 (H200, 2026-11-23, cold L2, CUDA graphs). The first was
fastest at 125 registers, where two programs share a multiprocessor; with 138 it took 1.3 times as long as 64 x 64."""


def _seeds(problem: Problem, target: Target) -> list[dict[str, Any]]:
    """By TMA, heads of a group side by side and longest first; then programs that stay, and pointers."""
    group = 1 << max(problem.dim("group").bit_length() - 1, 0)
    ways = (
        {"HEADS": max(group, 16)},
        {"HEADS": group, "PROGRAMS": "sms"},
        {"HEADS": 256, "LOADS": "pointer", "STORE": "pointer"},
    )
    rest = {"LOADS": "tma", "STORE": "tma", "PROGRAMS": "tiles", "FIRST": "longest", "DIMS": "two"}
    names = ("BLOCK_M", "BLOCK_N", "num_stages", "num_warps", "MOST_REGISTERS", "MASKS")
    return [rest | way | dict(zip(names, shape, strict=True)) for way in ways for shape in _SHAPES]


TEMPLATE = KernelTemplate(
    name="triton_flash",
    op="attention",
    backend="triton",
    source="triton_flash.py.jinja",
    space=space(),
    supports=_supports,
    launch=_launch,
    seeds=_seeds,
    work=work,
)
