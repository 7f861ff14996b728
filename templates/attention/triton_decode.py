"""triton_decode: attention of few queries, whose cost is to read keys and values once; paged or dense.

A program has all queries of the heads that share a key head, and a part of one sequence's keys. SPLITS parts leave a
mean and its weight each in a workspace, in fp32, and COMBINE puts them together, always in the same order.
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
from .triton_decode_space import MOST_VECTOR_ROWS, SPLITS, space
from .triton_decode_work import work

TENSOR_ARCH = 80
"""Compute capability times ten: asynchronous copies came with sm_80."""

DTYPES = ("bf16", "fp16", "fp32", "tf32", "tf32x3")

MOST_D, MOST_ROWS, MOST_PLACES, LEAST_ROWS = 256, 256, 65535, 8
"""Dims of a head, queries that share keys, blocks along y and z (CUDA C++ Programming Guide), rows of a tile."""


def _supports(problem: Problem, target: Target) -> str | None:
    if not isinstance(target.device, Gpu) or capability(target.device) < TENSOR_ARCH:
        return f"it runs on a GPU of sm_{TENSOR_ARCH} or later"
    if problem["dtype"] not in DTYPES:
        return f"it computes {', '.join(DTYPES)}, not {problem['dtype']}"
    if problem["is_varlen"]:
        return "its sequences have as many queries each: varlen=no"
    if problem.dim("d") > MOST_D:
        return f"it computes heads of up to {MOST_D} dims, not {problem['d']}"
    rows = problem.dim("s") * problem.dim("group")
    if rows > MOST_ROWS and not problem["is_paged"]:
        return f"it computes up to {MOST_ROWS} queries of heads that share keys, not {rows:,}"
    if max(problem.dim("b"), problem.dim("kv_heads") * -(-rows // LEAST_ROWS)) > MOST_PLACES:
        return f"it computes up to {MOST_PLACES:,} sequences, and as many tiles of {LEAST_ROWS} queries of one"
    return None


def _launch(problem: Problem, target: Target, values: Mapping[str, Any]) -> Launch:
    splits, tma = values["SPLITS"], values["LOADS"] == "tma"
    element = f"*{TRITON_DTYPES[str(problem['dtype'])]}"
    keys = tuple(_mapped(name, problem, values) if tma else Argument(name, element) for name in "kv")
    beside: list[Argument] = []
    if problem["is_paged"]:
        beside += [Argument("page_table", "*i32"), Argument("kv_lens", "*i32")]
    if problem["has_bias"]:
        beside.append(Argument("bias", element))
    if problem["has_alibi"]:
        beside.append(Argument("slopes", "*fp32"))
    reads = (Argument("q", element), *keys, *beside)
    writes = (Argument("o", element), *([Argument("lse", "*fp32")] if problem["has_lse"] else []))
    numbers: tuple[Argument, ...] = (
        Argument("scale", "f32", problem.dim("d") ** -0.5),
        Argument("KV_LEN", "i32", problem.dim("kv_len")),
    )
    if problem["is_paged"]:
        numbers += (Argument("PAGES", "i32", -(-problem.dim("kv_len") // problem.dim("page_size"))),)
    grid = _grid(problem, values)
    options = {name: values[name] for name in ("num_warps", "num_stages")}
    if splits == 1:
        return Launch("decode", (*reads, *writes, *numbers), grid, options)
    tasks, rows = problem.dim("b") * problem.dim("kv_heads"), problem.dim("s") * problem.dim("group")
    workspace = {"partials": tasks * splits * rows * problem.dim("d") * 4, "partial_lse": tasks * splits * rows * 4}
    partials = tuple(Argument(name, "*fp32") for name in workspace)
    if values["COMBINE"] == "last":
        arguments = (*reads, *writes, *partials, Argument("arrivals", "*i32"), *numbers)
        return Launch("decode", arguments, grid, options, workspace=workspace | {"arrivals": tasks * 4})
    return Launch(
        "decode_combine",
        (*writes, *partials),
        (problem.dim("kv_heads") * -(-rows // values["COMBINE_ROWS"]), problem.dim("b"), 1),
        {"num_warps": values["COMBINE_WARPS"], "num_stages": 1},
        before=(Launch("decode", (*reads, *partials, *numbers), grid, options),),
        workspace=workspace,
    )


def _grid(problem: Problem, values: Mapping[str, Any]) -> tuple[int, int, int]:
    heads, splits, sequences = problem.dim("kv_heads") * values["row_tiles"], values["SPLITS"], problem.dim("b")
    return {
        "splits": (splits, heads, sequences),
        "heads": (heads, splits, sequences),
        "sequences": (heads, sequences, splits),
    }[values["ORDER"]]


def _mapped(name: str, problem: Problem, values: Mapping[str, Any]) -> Argument:
    """K or V as TMA reads blocks of it: no block reaches into another head or sequence."""
    tensor = map_of(name, problem)
    return Argument(name, tensor.triton_type(1, 1, values["BLOCK_N"], values["d_block"]), tensor=tensor)


_SHAPES = (
    # PRODUCT, BLOCK_N, num_stages, num_warps, LOADS, programs a multiprocessor
    ("keys", 128, 3, 4, "tma", 1),
    ("rows", 128, 3, 4, "pointer", 1),
    ("keys", 64, 3, 4, "pointer", 2),
    ("rows", 64, 3, 4, "tma", 2),
    ("rows", 32, 3, 1, "pointer", 4),
    ("keys", 64, 2, 4, "pointer", 4),
    ("keys", 64, 1, 4, "pointer", 4),
    ("keys", 128, 3, 2, "tma", 1),
    ("rows", 128, 2, 4, "tma", 2),
    ("rows", 64, 5, 4, "tma", 1),
    ("rows", 32, 4, 2, "pointer", 3),
    ("vector", 32, 3, 4, "tma", 2),
    ("vector", 32, 4, 4, "pointer", 2),
    ("vector", 16, 1, 4, "pointer", 4),
)
"""64 KB and more of K and V under way a multiprocessor. The first six took 64.4 to 66.2 us on an H200 for 8 x 32 heads
and 8,192 keys of 8 (bf16, 2026-11-23, cold caches), the next two 123.3 for 64 x 32 heads and 2,048; cuDNN 67.1 and
124.8."""

_APART = 4
"""Of the shapes, those that are also guessed with a kernel of its own that puts parts together."""


def _seeds(problem: Problem, target: Target) -> list[dict[str, Any]]:
    """Parts that make one wave of programs, put together by the last of a head's; some by a kernel."""
    ways = [("last", shape) for shape in _SHAPES] + [("kernel", shape) for shape in _SHAPES[:_APART]]
    rows = problem.dim("s") * problem.dim("group")
    return [
        _seed(problem, target, combine, shape)
        for combine, shape in ways
        if shape[0] != "vector" or rows <= MOST_VECTOR_ROWS
    ]


def _seed(problem: Problem, target: Target, combine: str, shape: tuple[str, int, int, int, str, int]) -> dict[str, Any]:
    """With the parameters that are there: another one would count as a difference."""
    assert isinstance(target.device, Gpu)
    product, block_n, stages, warps, loads, programs = shape
    rows, paged = problem.dim("s") * problem.dim("group"), bool(problem["is_paged"])
    above = 1 << (rows - 1).bit_length()
    height = min(max(above, 16 if product == "rows" else 8), 64) if product != "vector" else 8
    tiles = 1 if product == "vector" else -(-rows // height)
    tasks, blocks = problem.dim("b") * problem.dim("kv_heads") * tiles, -(-problem.dim("kv_len") // block_n)
    wanted = max(1, min(target.device.sm_count * programs // tasks, blocks // 2))
    splits = max(known for known in SPLITS if known <= wanted)
    turns = -(-blocks // splits)
    # Of pages it is first known which they are, then what they hold.
    staged = 2 * stages - 1 if paged and product != "vector" and stages > 1 else min(stages, max(turns, 1))
    seed: dict[str, Any] = {"PRODUCT": product, "BLOCK_M": height, "BLOCK_N": block_n, "num_warps": warps}
    seed |= {"num_stages": staged, "SPLITS": splits, "ORDER": "splits" if splits > 1 else "heads"}
    seed["LOADS"] = "pointer" if paged else loads
    if splits > 1:
        seed |= {"COMBINE": combine, "COMBINE_ROWS": min(4, above)}
        if combine == "kernel":
            seed["COMBINE_WARPS"] = 4
        if paged:
            seed["SPLIT_BY"] = "size"
    again = staged > 1 and product != "vector" and combine == "last" and height * 4 <= block_n
    seed["Q_LOADS"] = "turn" if again else "once"
    if staged == 1:
        seed["EVICTION"] = "first"
        if product == "vector":
            seed["UNROLL"] = 1
    return seed


TEMPLATE = KernelTemplate(
    name="triton_decode",
    op="attention",
    backend="triton",
    source="triton_decode.py.jinja",
    space=space(),
    supports=_supports,
    launch=_launch,
    seeds=_seeds,
    seeds_by_estimate=True,
    work=work,
)
