"""triton_skinny: products of 64 rows or 64 columns at most, whose other operand is streamed from memory once.

What they cost is that operand's bytes: programs hold a strip of it each, all of them at the same time, or SPLIT of them
share one strip along K and the one that arrives last adds up what they left in L2, always in the same order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...spaces.problems import Problem
from ...spaces.targets import Gpu, Target
from ..chips import capability
from ..template import Argument, KernelTemplate, Launch
from .launches import results, sizes, triton_options
from .operands import operands
from .refusals import TENSOR_ARCH, TMA_ARCH, other_types
from .skinny_space import MOST_THIN, space
from .skinny_work import work


def _supports(problem: Problem, target: Target) -> str | None:
    reason = other_types(problem, target, TENSOR_ARCH)
    if reason is None and min(problem.dim("m"), problem.dim("n")) > MOST_THIN:
        return f"it computes up to {MOST_THIN} rows or columns, not {problem['m']} and {problem['n']}"
    return reason


def _launch(problem: Problem, target: Target, values: Mapping[str, Any]) -> Launch:
    wide, split, batch = _wide(problem), values.get("SPLIT", 1), problem.dim("batch")
    tiles = -(-problem.dim(wide) // values["BLOCK_W"])
    sums = batch * tiles * values["BLOCK_W"] * values["thin_block"]
    summed = "*i32" if problem["dtype"] == "int8" and problem["scales"] != "block128" else "*fp32"
    shared = (Argument("partials", summed), Argument("arrivals", "*i32")) if split > 1 else ()
    return Launch(
        "gemm_skinny",
        (*_inputs(problem, values), *results(problem, "triton"), *shared, *sizes(problem)),
        (tiles * split, batch, 1),
        triton_options(values),
        workspace={"partials": sums * split * 4, "arrivals": batch * tiles * 4} if split > 1 else {},
    )


def _wide(problem: Problem) -> str:
    """The dim that is not thin; that of the operand which is streamed."""
    return "n" if problem.dim("m") <= problem.dim("n") else "m"


def _inputs(problem: Problem, values: Mapping[str, Any]) -> tuple[Argument, ...]:
    """A and B: descriptors or pointers."""
    wide, loads = _wide(problem), values["LOADS"]
    blocks = {"m": values["thin_block"], "n": values["thin_block"], "k": values["BLOCK_K"], wide: values["BLOCK_W"]}
    by_tma = {"tma": "mn", "mixed": wide, "pointer": ""}[loads]  # those with rows or columns along these
    return tuple(x.pointer() if set(x.dims).isdisjoint(by_tma) else x.descriptor(blocks) for x in operands(problem))


_DOTS = (
    # PRODUCT, BLOCK_W, bytes of BLOCK_K, num_stages, num_warps, programs a multiprocessor
    ("wide", 64, 256, 6, 4, 1),
    ("wide", 128, 256, 4, 4, 1),
    ("wide", 128, 128, 4, 4, 2),
    ("wide", 128, 128, 3, 4, 3),
    ("wide", 64, 512, 4, 4, 1),
    ("wide", 64, 256, 3, 4, 2),
    ("wide", 256, 128, 4, 8, 1),
    ("thin", 64, 256, 5, 4, 1),
    ("thin", 32, 512, 4, 4, 2),
    ("thin", 32, 512, 4, 2, 2),
    ("thin", 16, 1024, 3, 4, 3),
)
"""Strips of 64 rows first, which four warps multiply together; in all some 100 KB under way a multiprocessor, three
times what 4.3 TB/s draw from 132 of them in a microsecond. Not timed by us yet."""

_VECTORS = (
    # BLOCK_W, BLOCK_K, num_stages, num_warps, SUMMED where a row of the strip lies along K
    (8, 1024, 1, 4, "end"),
    (4, 1024, 1, 4, "end"),
    (4, 2048, 1, 4, "end"),
    (8, 512, 4, 4, "end"),
    (4, 1024, 3, 4, "turn"),
    (16, 512, 1, 8, "end"),
)

_VECTORS_ACROSS = (
    # the same where it lies across
    (64, 64, 1, 4, "end"),
    (64, 128, 1, 8, "end"),
    (32, 256, 1, 8, "end"),
    (128, 64, 1, 8, "end"),
    (64, 64, 4, 4, "end"),
    (128, 32, 4, 4, "end"),
)


def _seeds(problem: Problem, target: Target) -> list[dict[str, Any]]:
    """Strips in as many parts as fill the multiprocessors; first those that are there all at the same time."""
    assert isinstance(target.device, Gpu)
    wide, element = _wide(problem), problem.dim("a_bytes")
    size, sms = problem.dim(wide) * problem.dim("batch"), target.device.sm_count
    along_k = problem["layout"] in (("nt", "tt") if wide == "n" else ("nn", "nt"))
    streamed = "pointer" if capability(target.device) < TMA_ARCH else "tma"
    guesses: list[dict[str, Any]] = []
    if min(problem.dim("m"), problem.dim("n")) <= 4 and problem["scales"] != "block128":
        names = ("BLOCK_W", "BLOCK_K", "num_stages", "num_warps", "SUMMED")
        for vector in _VECTORS if along_k else _VECTORS_ACROSS:
            seed = dict(zip(names, vector, strict=True)) | {"PRODUCT": "vector", "LOADS": "pointer"}
            if seed["num_stages"] == 1:
                seed["EVICTION"] = "first"
            elif streamed == "tma":
                seed["LOADS"] = "mixed"
            guesses.append(_split(seed, problem, -(-size // vector[0]), sms * 16 // vector[3]))
    in_one_wave = sorted(_DOTS, key=lambda dot: -(-size // dot[1]) > sms * dot[5])
    for product, width, depth_bytes, stages, warps, programs in in_one_wave:
        seed = {"PRODUCT": product, "BLOCK_W": width, "BLOCK_K": depth_bytes // element, "num_stages": stages}
        seed |= {"num_warps": warps, "LOADS": streamed}
        guesses.append(_split(seed, problem, -(-size // width), sms * programs))
    return guesses


def _split(seed: dict[str, Any], problem: Problem, tiles: int, programs: int) -> dict[str, Any]:
    """The seed with the parts of K that make about so many programs."""
    turns = -(-problem.dim("k") // seed["BLOCK_K"])
    if turns > 1:
        seed["SPLIT"] = max(1, min(programs // tiles, turns // 2, 8))
        if seed["SPLIT"] > 1 and tiles > 1:
            seed["ORDER"] = "tiles"
    return seed


TEMPLATE = KernelTemplate(
    name="triton_skinny",
    op="gemm",
    backend="triton",
    source="triton_skinny.py.jinja",
    space=space(),
    supports=_supports,
    launch=_launch,
    seeds=_seeds,
    work=work,
)
