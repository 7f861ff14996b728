"""What is done to a sum before it is stored: C = act(scales · sum + bias) + residual, in fp32.

gelu is the exact one, x/2 · (1 + erf(x/√2)); silu is x / (1 + e^-x). The sources of it are epilogue.py.jinja (Triton)
and epilogue.cu.jinja (CUDA C++), which a template imports. Scales of blocks of 128 change inside K: they are the
template's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from ...spaces.problems import FieldValue, Problem
from ..op import Buffer

if TYPE_CHECKING:
    from ..template import Argument

_ACTIVATIONS = ("relu", "gelu", "silu")

SCALED_BLOCK = 128
"""Elements of K, and of N of B, that share a scale of `block128`: 1 x 128 of A, 128 x 128 of B."""

READ = ("a_scale", "b_scale", "bias", "residual")
"""Buffers beside A, B and C, in the order in which a kernel takes them, after C."""


def facts(chosen: Mapping[str, FieldValue]) -> dict[str, FieldValue]:
    """The parts of the field `epilogue`, for spaces and sources."""
    parts = str(chosen["epilogue"]).split("+")
    return {
        "has_bias": "bias" in parts,
        "activation": next((part for part in parts if part in _ACTIVATIONS), "none"),
        "has_residual": "residual" in parts,
    }


def aux_dtype(out_dtype: str) -> str:
    """Of bias and residual: that of C, or bf16 where C is of 8 bits or of integers."""
    return out_dtype if out_dtype in ("fp32", "bf16", "fp16") else "bf16"


def buffers(chosen: Mapping[str, FieldValue]) -> tuple[Buffer, ...]:
    """What is read beside A and B; scales in fp32, each of a batch its own but for the bias."""
    m, n, k, batch = (int(chosen[name]) for name in ("m", "n", "k", "batch"))
    lead = (batch,) if batch > 1 else ()
    depth = -(-k // SCALED_BLOCK)
    scales = {
        "none": (),
        "tensor": ((1,), (1,)),
        "row": ((m,), (n,)),
        "block128": ((m, depth), (depth, -(-n // SCALED_BLOCK))),
    }[str(chosen["scales"])]
    found = [Buffer(name, (*lead, *shape), "fp32", "input") for name, shape in zip(READ[:2], scales, strict=False)]
    parts, dtype = facts(chosen), aux_dtype(str(chosen["out_dtype"]))
    if parts["has_bias"]:
        found.append(Buffer("bias", (n,), dtype, "input"))
    if parts["has_residual"]:
        found.append(Buffer("residual", (*lead, m, n), dtype, "input"))
    return tuple(found)


def epilogue_arguments(problem: Problem, language: Literal["triton", "cuda"]) -> tuple[Argument, ...]:
    """The pointers that a kernel takes after C."""
    from ..template import Argument  # brings numpy, which what describes the op does without

    read = buffers(dict(problem.fields))
    if language == "triton":
        return tuple(Argument(buffer.name, f"*{buffer.dtype}") for buffer in read)
    spelt = {"fp32": "const float *"}
    return tuple(Argument(buffer.name, spelt.get(buffer.dtype, "const unsigned short *")) for buffer in read)
