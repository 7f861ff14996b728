"""triton_decode: attention of few queries, whose cost is to read keys and values once; paged or dense.

A program has all queries of the heads that share a key head, and a part of one sequence's keys. SPLITS parts leave a
mean and its weight each in a workspace, in fp32, and COMBINE puts them together, always in the same order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...spaces.problems import DTYPE_BYTES, Problem
from ...spaces.targets import Gpu, Target
from ..chips import capability
from ..template import Argument, KernelTemplate, Launch
from ..tensor_map import TRITON_DTYPES, TensorMap
from .triton_decode_space import MOST_VECTOR_ROWS, SPLITS, space

TENSOR_ARCH = 80
"""Compute capability times ten: asynchronous copies came with sm_80."""

DTYPES = ("bf16", "fp16", "fp32", "tf32", "tf32x3")

MOST_D, MOST_ROWS, MOST_PLACES = 256, 256, 65535
"""Dims of a head, rows of queries that share keys, and sequences: blocks along y and z (CUDA C++ Programming Guide)."""


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
    if max(problem.dim("b"), problem.dim("kv_heads")) > MOST_PLACES:
        return f"it computes up to {MOST_PLACES:,} sequences and key heads"
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
    b, kv_heads, kv_len, d = (problem.dim(letter) for letter in ("b", "kv_heads", "kv_len", "d"))
    if problem["layout"] == "bhsd":
        shape, box = (b * kv_heads, kv_len, d), (1, values["BLOCK_N"], values["d_block"])
    else:
        shape, box = (b, kv_len, kv_heads, d), (1, values["BLOCK_N"], 1, values["d_block"])
    tensor = TensorMap.row_major(name, str(problem["dtype"]), shape)
    return Argument(name, tensor.triton_type(*box), tensor=tensor)


_SHAPES = (
    # PRODUCT, BLOCK_N, num_stages, num_warps, LOADS, programs a multiprocessor
    ("rows", 64, 3, 4, "tma", 2),
    ("rows", 128, 2, 4, "tma", 2),
    ("rows", 64, 3, 4, "pointer", 2),
    ("keys", 64, 3, 4, "tma", 2),
    ("keys", 128, 3, 4, "tma", 1),
    ("keys", 64, 3, 4, "pointer", 2),
    ("rows", 128, 3, 4, "pointer", 1),
    ("rows", 64, 5, 4, "tma", 1),
    ("rows", 32, 4, 2, "pointer", 3),
    ("rows", 32, 3, 1, "pointer", 4),
    ("keys", 64, 2, 4, "pointer", 4),
    ("vector", 32, 4, 4, "pointer", 3),
    ("vector", 64, 3, 4, "tma", 2),
    ("vector", 32, 1, 4, "pointer", 4),
)
"""64 KB and more of K and V under way a multiprocessor, which 4.3 TB/s draw from 132 of them. Not timed by us yet."""


def _seeds(problem: Problem, target: Target) -> list[dict[str, Any]]:
    """Parts that make one wave of programs, put together by the last of them; then by a kernel, and two waves."""
    assert isinstance(target.device, Gpu)
    rows, sms = problem.dim("s") * problem.dim("group"), target.device.sm_count
    keys, tasks = problem.dim("kv_len"), problem.dim("b") * problem.dim("kv_heads")
    element = DTYPE_BYTES[str(problem["dtype"])]
    guesses = []
    for combine, waves in (("last", 1), ("kernel", 1), ("last", 2)):
        for product, block_n, stages, warps, loads, programs in _SHAPES:
            tiles = 1
            seed: dict[str, Any] = {"PRODUCT": product, "BLOCK_N": block_n, "num_warps": warps, "LOADS": loads}
            if product != "vector":
                smallest = 8 if product == "keys" else 16
                seed["BLOCK_M"] = min(max(smallest, 1 << (rows - 1).bit_length()), 64)
                tiles = -(-rows // seed["BLOCK_M"])
            elif rows > MOST_VECTOR_ROWS:
                continue
            else:
                seed["BLOCK_M"] = 8
            if problem["is_paged"]:
                seed["LOADS"] = "pointer"
            blocks = -(-keys // block_n)
            wanted = max(1, min(sms * programs * waves // (tasks * tiles), blocks // 2))
            splits = max(known for known in SPLITS if known <= wanted)
            seed |= {"SPLITS": splits, "ORDER": "splits" if splits > 1 else "heads"}
            seed["num_stages"] = max(1, min(stages * 2 // element if element < 2 else stages, -(-blocks // splits)))
            if splits > 1:
                seed |= {"COMBINE": combine, "COMBINE_ROWS": min(4, 1 << (rows - 1).bit_length())}
                if combine == "kernel":
                    seed["COMBINE_WARPS"] = 4
                if problem["is_paged"]:
                    seed["SPLIT_BY"] = "size"
            if seed["num_stages"] == 1:
                seed["EVICTION"] = "first"
            guesses.append(seed)
    return guesses


TEMPLATE = KernelTemplate(
    name="triton_decode",
    op="attention",
    backend="triton",
    source="triton_decode.py.jinja",
    space=space(),
    supports=_supports,
    launch=_launch,
    seeds=_seeds,
)
