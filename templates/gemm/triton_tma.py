"""triton_tma: tiles of C by programs that stay, operands through TMA descriptors; sm_90 and later.

Triton chooses box and swizzle of a descriptor, and pipelines its loads. Rows that TMA cannot address are copied first;
what tensor cores multiply along K only is turned, before or inside. tf32 goes to them as it lies in memory: truncated.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...spaces.problems import DTYPE_BYTES, Problem
from ...spaces.targets import Gpu, Target
from ..template import Argument, KernelTemplate, Launch
from .epilogue import epilogue_arguments
from .launches import sizes, triton_options
from .operands import copies_bytes, result
from .refusals import STORED, TMA_ARCH, other_types
from .triton_tma_operands import laid_out, read
from .triton_tma_space import space
from .triton_tma_work import work

_STORED = {dtype: out for dtype, out in STORED.items() if dtype != "fp32"}


def _supports(problem: Problem, target: Target) -> str | None:
    reason = other_types(problem, target, TMA_ARCH, _STORED)
    if reason is None and problem["scales"] == "block128" and not str(problem["dtype"]).startswith("fp8"):
        return f"it scales blocks of fp8, not of {problem['dtype']}"
    return reason


def _launch(problem: Problem, target: Target, values: Mapping[str, Any]) -> Launch:
    reads = read(problem, values)
    block = {letter: values[f"BLOCK_{letter.upper()}"] for letter in "mnk"}
    arguments = (
        *(x.descriptor(block) for x in reads),
        _c_argument(problem, values),
        *epilogue_arguments(problem, "triton"),
        *sizes(problem),
    )
    return Launch(
        "gemm_tma",
        arguments,
        (values["programs"], 1, 1),
        triton_options(values),
        before=laid_out(problem, values),
        workspace=copies_bytes(*reads),
    )


def _c_argument(problem: Problem, values: Mapping[str, Any]) -> Argument:
    c = result(problem)
    part = values["BLOCK_N"] // values["EPILOGUE_PARTS"]
    return c.pointer() if values["STORE"] == "pointer" else c.descriptor({"m": values["BLOCK_M"], "n": part})


_SEEDS = (
    # BLOCK_M, BLOCK_N, bytes of BLOCK_K, num_stages, num_warps, EPILOGUE_PARTS, PROGRAMS, LOOP
    (128, 256, 128, 4, 8, 2, "sms", "flat"),
    (128, 256, 128, 3, 8, 2, "sms", "flat"),
    (128, 256, 128, 4, 8, 4, "sms", "carried"),
    (128, 256, 128, 3, 8, 2, "sms", "nested"),
    (256, 128, 128, 4, 8, 2, "sms", "flat"),
    (256, 128, 128, 3, 8, 2, "sms_16", "nested"),
    (128, 128, 128, 5, 8, 1, "sms", "flat"),
    (128, 128, 128, 3, 4, 1, "sms_x2", "flat"),
    (128, 128, 128, 3, 4, 1, "tiles", "nested"),
    (64, 256, 128, 4, 4, 1, "sms", "nested"),
    (128, 64, 128, 5, 4, 1, "tiles", "nested"),
    (64, 128, 128, 4, 4, 1, "tiles", "nested"),
    (64, 64, 128, 6, 4, 1, "tiles", "nested"),
    (64, 32, 256, 5, 4, 1, "tiles", "nested"),
    (64, 16, 256, 6, 4, 1, "tiles", "nested"),
)
"""Best first for large products: 128 x 256 x 64 in bf16 with 3 or 4 stages and halves of C gave 772 TFLOP/s at 4096 x
4096 x 4096 on an H200 (2026-11-22, cold L2, CUDA graphs); then guesses at tiles that fill the chip with less."""

_SLOWER = {2**15: 1.0, 2**14: 1.15, 2**13: 1.5, 2**12: 2.2, 2**11: 3.5, 2**10: 6.0}
"""What an element of a tile of so many costs: a smaller tile reads more for each. Guesses."""


def _seeds(problem: Problem, target: Target) -> list[dict[str, Any]]:
    """Those whose last wave wastes least first; of programs that stay, those with more than one tile each."""
    assert isinstance(target.device, Gpu)
    names = ("BLOCK_M", "BLOCK_N", "BLOCK_K", "num_stages", "num_warps", "EPILOGUE_PARTS", "PROGRAMS", "LOOP")
    m, n, batch = (problem.dim(name) for name in ("m", "n", "batch"))
    rest = {"ORDER": "m", "GROUP": 8, "TURNING": "again", "STORE": "pointer" if result(problem).unaligned else "tma"}
    rest |= {"PROMOTE": "never", "TURN": "before"}
    seeds, cost = [], []
    for shape in _SEEDS:
        seed: dict[str, Any] = {**dict(zip(names, shape, strict=True)), **rest}
        seed["BLOCK_K"] //= DTYPE_BYTES[str(problem["dtype"])]
        tiles = -(-m // seed["BLOCK_M"]) * -(-n // seed["BLOCK_N"]) * batch
        if tiles <= target.device.sm_count:
            seed["PROGRAMS"] = "tiles"
        size = seed["BLOCK_M"] * seed["BLOCK_N"]
        seeds.append(seed)
        cost.append(-(-tiles // target.device.sm_count) * size * _SLOWER[size])
    return [seeds[place] for place in sorted(range(len(seeds)), key=cost.__getitem__)]


TEMPLATE = KernelTemplate(
    name="triton_tma",
    op="gemm",
    backend="triton",
    source="triton_tma.py.jinja",
    space=space(),
    supports=_supports,
    launch=_launch,
    seeds=_seeds,
    seeds_by_estimate=True,
    work=work,
)
