"""gemm: C[M,N] = A · B, and what its fields mean. What its answer must be: reference.py."""

from __future__ import annotations

from collections.abc import Mapping

from ...spaces.errors import ProblemError
from ...spaces.problems import DTYPE_BYTES, FieldValue, Problem
from ...spaces.targets import DeviceKind
from ..op import DTYPES, Buffer, Field, Op
from . import epilogue, reference

_ACTIVATIONS = ("none", "bias", "relu", "gelu", "silu", "bias+relu", "bias+gelu", "bias+silu")
EPILOGUES = _ACTIVATIONS + tuple(f"{name}+residual" for name in _ACTIVATIONS if name != "none") + ("residual",)


def _complete(chosen: dict[str, FieldValue], device_kind: DeviceKind) -> None:
    chosen.setdefault("dtype", "fp32" if device_kind == "cpu" else "bf16")
    dtype = str(chosen["dtype"])
    chosen.setdefault("out_dtype", "fp32" if dtype.startswith("tf32") else "int32" if dtype == "int8" else dtype)
    chosen.setdefault("acc_dtype", "int32" if dtype == "int8" else "fp32")
    if chosen["out_dtype"] == "int32" and (chosen["epilogue"], chosen["scales"]) != ("none", "none"):
        raise ProblemError(
            "gemm stores sums of integers as they are: with an epilogue or scales, name an out_dtype of bf16, fp16 or "
            "fp32."
        )


def _facts(chosen: Mapping[str, FieldValue]) -> dict[str, FieldValue]:
    m, n, k, batch = (int(chosen[name]) for name in ("m", "n", "k", "batch"))
    element, out = DTYPE_BYTES[str(chosen["dtype"])], DTYPE_BYTES[str(chosen["out_dtype"])]
    read = sum(buffer.bytes for buffer in epilogue.buffers(chosen))
    return {
        "a_bytes": element,  # of one element
        "b_bytes": element,
        "c_bytes": out,
        "flops": 2 * m * n * k * batch,
        "bytes": batch * ((m * k + k * n) * element + m * n * out) + read,  # inputs read once, the output written once
        **epilogue.facts(chosen),
    }


def _buffers(problem: Problem) -> tuple[Buffer, ...]:
    m, n, k, batch = (problem.dim(name) for name in ("m", "n", "k", "batch"))
    layout, dtype = str(problem["layout"]), str(problem["dtype"])
    lead = (batch,) if batch > 1 else ()
    return (
        Buffer("a", (*lead, m, k) if layout[0] == "n" else (*lead, k, m), dtype, "input"),
        Buffer("b", (*lead, k, n) if layout[1] == "n" else (*lead, n, k), dtype, "input"),
        *epilogue.buffers(dict(problem.fields)),
        Buffer("c", (*lead, m, n), str(problem["out_dtype"]), "output"),
    )


OP = Op(
    name="gemm",
    summary="C[M,N] = A · B",
    letters=("m", "n", "k"),
    example="4096x4096x4096",
    fields=(
        Field("dtype", None, "type of A and B; fp32 on a CPU, bf16 on a GPU where left out", DTYPES),
        Field("out_dtype", None, "type of C; as dtype where left out, int32 of int8", DTYPES),
        Field("acc_dtype", None, "type sums are kept in; follows from dtype where left out", ("fp32", "int32", "fp16")),
        Field("layout", "nn", "A then B, n or t as in BLAS: nt is A[M,K] · B[N,K]ᵀ", ("nn", "nt", "tn", "tt")),
        Field("batch", 1, "products of this shape side by side"),
        Field("epilogue", "none", "what is done to C before it is stored", EPILOGUES),
        Field("scales", "none", "scale factors of quantised inputs", ("none", "tensor", "row", "block128")),
    ),
    complete=_complete,
    facts=_facts,
    buffers=_buffers,
    evidence=reference.evidence,
    tolerance=reference.tolerance,
)


def plain_only(problem: Problem) -> str | None:
    """Why a template that does nothing but C = A · B cannot compute the problem, or None."""
    for name, plain in (("batch", 1), ("epilogue", "none"), ("scales", "none")):
        if problem[name] != plain:
            return f"it computes {name}={plain} only, not {problem[name]}"
    return None
