"""attention: O = softmax(Q Kᵀ, masked) V, and what its fields mean. What its answer must be: reference.py.

Query i of a sequence with S queries and T keys stands at position i, or at i + T - S with causal lower_right. Key j is
seen if it is not after that (causal), and less than `window` before it; without causal, less than `window` away to
either side. A query that sees no key gives zeros.
"""

from __future__ import annotations

from collections.abc import Mapping

from ...spaces.errors import ProblemError
from ...spaces.problems import DTYPE_BYTES, FieldValue, Problem
from ...spaces.targets import DeviceKind
from ..op import DTYPES, Buffer, Field, Op
from . import lengths, reference

SWITCH = ("no", "yes")


def _complete(chosen: dict[str, FieldValue], device_kind: DeviceKind) -> None:
    chosen.setdefault("dtype", "fp32" if device_kind == "cpu" else "bf16")
    chosen.setdefault("kv_heads", chosen["h"])
    chosen.setdefault("kv_len", chosen["s"])
    h, kv_heads = chosen["h"], chosen["kv_heads"]
    if int(h) % int(kv_heads):
        raise ProblemError(f"attention.kv_heads is {kv_heads}, and h is {h}: each key head serves as many query heads.")
    batched = [name for name in ("varlen", "paged") if chosen[name] != "no"]
    if len(batched) == 2:
        raise ProblemError("attention: varlen=yes and paged do not go together: leave one out.")
    if batched and chosen["bias"] == "additive":
        raise ProblemError(
            f"attention: an additive bias has one shape for all sequences, {batched[0]} has none: use alibi."
        )
    if chosen["varlen"] == "yes" and chosen["layout"] != "bhsd":
        raise ProblemError("attention: varlen=yes lays tokens after each other, whatever the layout: leave layout out.")
    if chosen["causal"] == "lower_right" and chosen["s"] == chosen["kv_len"] and not batched:
        chosen["causal"] = "yes"  # the same thing, which should not be tuned twice


def _facts(chosen: Mapping[str, FieldValue]) -> dict[str, FieldValue]:
    h, s, d, kv_heads, kv_len = (int(chosen[name]) for name in ("h", "s", "d", "kv_heads", "kv_len"))
    element = DTYPE_BYTES[str(chosen["dtype"])]
    held = lengths.of(chosen)
    pairs = sum(map(lengths.pairs_of(chosen), held.queries, held.keys))
    total_q, total_kv = sum(held.queries), sum(held.keys)
    alike = chosen["varlen"] == chosen["paged"] == "no"
    has_lse, has_bias = chosen["lse"] == "yes", chosen["bias"] == "additive"
    count = {
        name: 0 if chosen[name] in ("none", "no") else int(chosen[name]) for name in ("window", "soft_cap", "paged")
    }
    return {
        "q_bytes": element,  # of one element
        "flops": 4 * h * d * pairs,
        "bytes": element * d * (2 * h * total_q + 2 * kv_heads * total_kv)
        + 4 * h * total_q * has_lse
        + element * h * s * kv_len * has_bias,
        "group": h // kv_heads,
        "is_causal": chosen["causal"] != "no",
        "shift": kv_len - s if chosen["causal"] == "lower_right" and alike else 0,
        "window_size": count["window"],
        "soft_cap_value": count["soft_cap"],
        "page_size": count["paged"],
        "has_bias": has_bias,
        "has_alibi": chosen["bias"] == "alibi",
        "is_varlen": chosen["varlen"] == "yes",
        "is_paged": count["paged"] > 0,
        "has_lse": has_lse,
        "total_q": total_q,
        "total_kv": total_kv,
        "pairs": pairs,  # of one head
    }


def _buffers(problem: Problem) -> tuple[Buffer, ...]:
    b, h, s, d, kv_heads, kv_len = (problem.dim(name) for name in ("b", "h", "s", "d", "kv_heads", "kv_len"))
    dtype, page = str(problem["dtype"]), problem.dim("page_size")
    q: tuple[int, ...] = (b, h, s, d) if problem["layout"] == "bhsd" else (b, s, h, d)
    k: tuple[int, ...] = (b, kv_heads, kv_len, d) if problem["layout"] == "bhsd" else (b, kv_len, kv_heads, d)
    lse: tuple[int, ...] = (b, h, s)
    beside: list[Buffer] = []
    if problem["is_varlen"]:
        held = lengths.of(dict(problem.fields))
        q, k, lse = (problem.dim("total_q"), h, d), (problem.dim("total_kv"), kv_heads, d), (h, problem.dim("total_q"))
        for name, counts in (("q_starts", held.queries), ("kv_starts", held.keys)):
            beside.append(Buffer(name, (b + 1,), "int32", "input", lengths.starts(counts)))
    if page:
        pages = -(-kv_len // page)
        k = (b * pages, page, kv_heads, d)
        beside.append(Buffer("page_table", (b, pages), "int32", "input", lengths.shuffled(b * pages)))
        beside.append(Buffer("kv_lens", (b,), "int32", "input", lengths.of(dict(problem.fields)).keys))
    if problem["has_bias"]:
        beside.append(Buffer("bias", (h, s, kv_len), dtype, "input"))
    if problem["has_alibi"]:
        beside.append(Buffer("slopes", (h,), "fp32", "input", tuple(2.0 ** (-8.0 * (i + 1) / h) for i in range(h))))
    return (
        Buffer("q", q, dtype, "input"),
        Buffer("k", k, dtype, "input"),
        Buffer("v", k, dtype, "input"),
        *beside,
        Buffer("o", q, dtype, "output"),
        *([Buffer("lse", lse, "fp32", "output")] if problem["has_lse"] else []),
    )


OP = Op(
    name="attention",
    summary="O = softmax(Q · Kᵀ, masked) · V",
    letters=("b", "h", "s", "d"),
    example="4x16x4096x128",
    fields=(
        Field("dtype", None, "type of Q, K, V and O; fp32 on a CPU, bf16 on a GPU where left out", DTYPES),
        Field("kv_heads", None, "heads of K and V; as h where left out, 1 is multi-query"),
        Field("kv_len", None, "keys of a sequence; as s where left out"),
        Field(
            "causal", "no", "a query sees no key after it, counted from the first or the last", (*SWITCH, "lower_right")
        ),
        Field("window", "none", "keys that a query sees, its own included", absent="none"),
        Field("soft_cap", "none", "scores x become cap · tanh(x / cap)", absent="none"),
        Field(
            "bias",
            "none",
            "added to scores: of each pair, or by distance with a slope a head",
            ("none", "additive", "alibi"),
        ),
        Field("varlen", "no", "sequences of different lengths, packed one after the other", SWITCH),
        Field("paged", "no", "keys and values in pages of so many", absent="no"),
        Field("layout", "bhsd", "heads before the sequence in memory, or after it", ("bhsd", "bshd")),
        Field("lse", "no", "also the log of the sum of each query's exponentials", SWITCH),
    ),
    complete=_complete,
    facts=_facts,
    buffers=_buffers,
    evidence=reference.evidence,
    tolerance=reference.tolerance,
)
