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
from ..tensor_map import ALIGNED_BYTES, TRITON_DTYPES, TensorMap
from .epilogue import epilogue_arguments
from .op import OP
from .triton_tma_operands import operands
from .triton_tma_space import space
from .triton_tma_work import work

OLDEST_ARCH = 90
"""Compute capability times ten: TMA came with sm_90."""

_FLOATS = ("bf16", "fp16", "fp32", "fp8e4m3", "fp8e5m2")
_OUT_DTYPES: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("bf16", "fp16", "tf32", "tf32x3", "fp8e4m3", "fp8e5m2"), _FLOATS),
    "int8": ("int32", "bf16", "fp16", "fp32"),
}


def _supports(problem: Problem, target: Target) -> str | None:
    if not isinstance(target.device, Gpu) or int(target.device.arch.removeprefix("sm_")) < OLDEST_ARCH:
        return f"it runs on a GPU of sm_{OLDEST_ARCH} or later"
    dtype, out = str(problem["dtype"]), str(problem["out_dtype"])
    if dtype not in _OUT_DTYPES:
        return f"it computes {', '.join(_OUT_DTYPES)}, not {dtype}"
    if out not in _OUT_DTYPES[dtype]:
        return f"of {dtype} it stores {', '.join(_OUT_DTYPES[dtype])}, not {out}"
    summed = "int32" if dtype == "int8" else "fp32"
    if problem["acc_dtype"] != summed:
        return f"it sums {dtype} in {summed}, not in {problem['acc_dtype']}"
    if problem["scales"] == "block128" and not dtype.startswith("fp8"):
        return f"it scales blocks of fp8, not of {dtype}"
    return None


def _launch(problem: Problem, target: Target, values: Mapping[str, Any]) -> Launch:
    a, b = operands(problem, values)
    block = {letter: values[f"BLOCK_{letter.upper()}"] for letter in "mnk"}
    a_along_k = problem["layout"] in ("nn", "nt") or a.way == "turn"
    b_along_k = problem["layout"] in ("nt", "tt") or b.way == "turn"
    arguments = (
        a.argument(*((block["m"], block["k"]) if a_along_k else (block["k"], block["m"]))),
        b.argument(*((block["n"], block["k"]) if b_along_k else (block["k"], block["n"]))),
        _c_argument(problem, values),
        *epilogue_arguments(problem, "triton"),
        *(Argument(letter.upper(), "i32", problem.dim(letter)) for letter in "mnk"),
    )
    return Launch(
        "gemm_tma",
        arguments,
        (values["programs"], 1, 1),
        {name: values[name] for name in ("num_warps", "num_stages")},
        before=(*a.before(values), *b.before(values)),
        workspace={**a.workspace, **b.workspace},
    )


def _c_argument(problem: Problem, values: Mapping[str, Any]) -> Argument:
    out = str(problem["out_dtype"])
    if values["STORE"] == "pointer":
        return Argument("c", f"*{TRITON_DTYPES[out]}")
    tensor = TensorMap.row_major("c", out, OP.buffers(problem)[-1].shape)
    lead = (1,) * (len(tensor.shape) - 2)
    part = values["BLOCK_N"] // values["EPILOGUE_PARTS"]
    return Argument("c", tensor.triton_type(*lead, values["BLOCK_M"], part), tensor=tensor)


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
    aligned = n * DTYPE_BYTES[str(problem["out_dtype"])] % ALIGNED_BYTES == 0
    rest = {"ORDER": "m", "GROUP": 8, "TURNING": "again", "STORE": "tma" if aligned else "pointer"}
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
    work=work,
)
