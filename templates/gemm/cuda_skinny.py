"""cuda_skinny: a side of C of at most 64, so that each weight is read once and memory sets the time.

The long operand (B where M is the short side, A where N is) is streamed straight into registers or through a ring in
shared memory; products are mma.sync with the weights on the left, and one token costs no more than eight. K is shared
out among warps and among blocks, whose sums meet in a cluster or in a workspace: the same bits at every call.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...spaces.problems import DTYPE_BYTES, Problem
from ...spaces.targets import Gpu, Target
from ..template import Argument, KernelTemplate, Launch
from ..tensor_map import ALIGNED_BYTES, Promotion, Swizzle, TensorMap
from .cuda_skinny_space import BOX_ALIGNMENT, LINE_BYTES, SPLITS, TAIL_BYTES, space
from .cuda_skinny_work import work
from .launches import results
from .refusals import TENSOR_ARCH, before_fp8, other_chip, other_dtype, other_sums

_DTYPES = ("bf16", "fp16", "int8", "fp8e4m3", "fp8e5m2")

MOST_TOKENS = 64
"""On the short side: eight tiles of eight. Above, tiles of both sides are worth more than streaming one."""

SWIZZLES: Mapping[int, Swizzle] = {16: "none", 32: "32B", 64: "64B", 128: "128B"}
PROMOTIONS: Mapping[int, Promotion] = {0: "none", 128: "128B", 256: "256B"}


def _supports(problem: Problem, target: Target) -> str | None:
    reason = other_chip(target, TENSOR_ARCH) or other_dtype(problem, _DTYPES) or before_fp8(problem, target)
    reason = reason or other_sums(problem)
    if reason is not None:
        return reason
    if problem["batch"] != 1 or problem["scales"] == "block128":
        return "it computes batch=1 only, and no scales of blocks"
    if min(problem.dim("m"), problem.dim("n")) > MOST_TOKENS:
        return f"a side of C is at most {MOST_TOKENS}, not {problem.dim('m')} x {problem.dim('n')}"
    return _unaligned(problem)


def _unaligned(problem: Problem) -> str | None:
    """Why the operands cannot be read in pieces of 16 bytes along their rows."""
    weights_along_k, tokens_along_k = _along_k(problem)
    element, k = DTYPE_BYTES[str(problem["dtype"])], problem.dim("k")
    if element == 1 and not (weights_along_k and tokens_along_k):
        return f"it computes {problem['dtype']} with both operands contiguous along K only, not {problem['layout']}"
    side, tokens = _sides(problem)
    lengths = {k if weights_along_k else side, k if tokens_along_k else tokens}
    odd = [length for length in sorted(lengths) if length * element % ALIGNED_BYTES]
    return f"rows of {odd[0]} elements are no multiple of {ALIGNED_BYTES} bytes" if odd else None


def _sides(problem: Problem) -> tuple[int, int]:
    """Rows of weights, and tokens."""
    m, n = problem.dim("m"), problem.dim("n")
    return max(m, n), min(m, n)


def _along_k(problem: Problem) -> tuple[bool, bool]:
    """Whether the weights, and the tokens, are contiguous along K."""
    a, b = str(problem["layout"])[0] == "n", str(problem["layout"])[1] == "t"
    weights, tokens = (a, b) if problem.dim("m") > problem.dim("n") else (b, a)
    return weights, tokens or _sides(problem)[1] == 1


def _launch(problem: Problem, target: Target, values: Mapping[str, Any]) -> Launch:
    weights, tokens = ("a", "b") if values["swapped"] else ("b", "a")
    if values["LOADS"] == "tma":
        read = tuple(Argument(tensor.buffer, "map", tensor=tensor) for tensor in _maps(problem, values))
        smem_bytes = values["ring_bytes"] + TAIL_BYTES + BOX_ALIGNMENT
    else:
        read = tuple(Argument(name, "const unsigned char *") for name in (weights, tokens))
        smem_bytes = values["direct_bytes" if values["LOADS"] == "direct" else "ring_bytes"] + TAIL_BYTES
    arguments = (*read, *results(problem, "cuda"))
    workspace = {}
    if values.get("REDUCE") == "grid":
        arguments = (*arguments, Argument("partials", "Four *"), Argument("arrivals", "int *"))
        workspace = {"partials": values["partial_bytes"], "arrivals": values["strips"] * 4}
    return Launch(
        "gemm_skinny",
        arguments,
        (values["strips"] * values["SPLIT"], 1, 1),
        block=(values["threads"], 1, 1),
        smem_bytes=smem_bytes,
        workspace=workspace,
    )


def _maps(problem: Problem, values: Mapping[str, Any]) -> tuple[TensorMap, TensorMap]:
    """Weights, then tokens, in boxes whose rows are the swizzled rows of a tile."""
    dtype, k = str(problem["dtype"]), problem.dim("k")
    element, block_k = DTYPE_BYTES[dtype], values["BLOCK_K"]
    side, tokens = _sides(problem)
    names = ("a", "b") if values["swapped"] else ("b", "a")

    def mapped(name: str, length: int, along_k: bool, rows: int, promotion: Promotion) -> TensorMap:
        width = LINE_BYTES // element if along_k else min(rows, LINE_BYTES // element)
        shape, box = ((length, k), (rows, width)) if along_k else ((k, length), (block_k, width))
        swizzle = SWIZZLES[width * element]
        return TensorMap.row_major(name, dtype, shape, box, swizzle=swizzle, l2_promotion=promotion)

    return (
        mapped(names[0], side, values["weights_along_k"], values["rows"], PROMOTIONS[values["L2_FETCH"]]),
        mapped(names[1], tokens, values["tokens_along_k"], values["token_tiles"] * 8, "128B"),
    )


_FEW_TOKENS = (
    # LOADS, TILES, WARPS_L, WARPS_K, STAGES, BLOCK_K, most blocks a multiprocessor
    ("direct", 1, 1, 16, 4, 64, 2),
    ("direct", 1, 1, 8, 8, 64, 3),
    ("direct", 2, 1, 8, 4, 64, 2),
    ("direct", 2, 1, 16, 2, 64, 1),
    ("direct", 4, 1, 8, 2, 64, 2),
    ("direct", 4, 1, 4, 2, 64, 4),
    ("tma", 2, 2, 4, 6, 128, 1),
    ("tma", 1, 2, 4, 4, 256, 3),
    ("async", 2, 2, 4, 6, 128, 1),
)
_MANY_TOKENS = (
    ("tma", 2, 8, 1, 5, 64, 1),
    ("tma", 2, 4, 2, 5, 128, 1),
    ("tma", 2, 4, 2, 4, 64, 2),
    ("tma", 1, 4, 2, 4, 128, 2),
    ("tma", 2, 2, 4, 4, 128, 2),
    ("direct", 2, 8, 1, 3, 64, 1),
    ("async", 2, 8, 1, 5, 64, 1),
    ("async", 2, 4, 2, 4, 64, 2),
)
"""Some 64 to 200 kB on their way to each multiprocessor: 1.5 µs of 4.3 TB/s are 49 (Little's law). Not timed yet."""

SHARE_COST = 0.01
"""Of the time, that one more share of K may cost: partial sums written and read."""


def _seeds(problem: Problem, target: Target) -> list[dict[str, Any]]:
    """Guesses with as many shares of K as leave the fewest multiprocessors with less to do than others."""
    assert isinstance(target.device, Gpu)
    count = target.device.sm_count
    side, tokens = _sides(problem)
    names = ("TILES", "WARPS_L", "WARPS_K", "STAGES")
    found: list[dict[str, Any]] = []
    for loads, *shape, block_k, each in _FEW_TOKENS if tokens <= 16 else _MANY_TOKENS:
        strips = -(-side // (16 * shape[0] * shape[1]))

        def evenness(split: int, blocks: int = strips) -> float:
            return blocks * split / (-(-blocks * split // count) * count) - SHARE_COST * split

        fitting = [split for split in SPLITS if split == 1 or strips * split <= each * count]
        seed = {"LOADS": loads, **dict(zip(names, shape, strict=True)), "TOKENS": "shared", "L2_FETCH": 128}
        seed |= {"EVICT": "first"} | ({} if loads == "direct" else {"BLOCK_K": block_k})
        best = max(fitting, key=evenness)
        if best == 1:
            found += [{**seed, "SPLIT": 1}]
        else:
            clustered = max((split for split in (2, 4, 8) if split in (2, *fitting)), key=evenness)
            found += [{**seed, "SPLIT": clustered, "REDUCE": "cluster"}]
            found += [{**seed, "SPLIT": best, "REDUCE": "grid", "ORDER": "k"}]
    if tokens > 2 * 8 or not _along_k(problem)[1]:
        return found
    # Tokens through L1 as well: no shared memory to fill before the first product.
    return found + [{**seed, "TOKENS": "global"} for seed in found if seed["LOADS"] == "direct"]


TEMPLATE = KernelTemplate(
    name="cuda_skinny",
    op="gemm",
    backend="cuda",
    source="cuda_skinny.cu.jinja",
    space=space(),
    supports=_supports,
    launch=_launch,
    seeds=_seeds,
    work=work,
)
