"""Q, K, V and O as TMA copies boxes of them: rows of one head, however the array lies."""

from __future__ import annotations

from ...spaces.problems import DTYPE_BYTES, Problem
from ..tensor_map import Promotion, Swizzle, TensorMap


def map_of(
    name: str,
    problem: Problem,
    box: tuple[int, ...] = (),
    *,
    swizzle: Swizzle = "none",
    l2_promotion: Promotion = "128B",
) -> TensorMap:
    """As [b, heads, length, d]; packed sequences are one, [1, heads, total, d].

    Dims of one come first in a box: where one lies in between, Triton 3.6 takes Q through registers, and ptxas 12.8 and
    13.0 overwrite them in the loop over keys (docs/measured_facts.md).
    """
    heads, length, total = (
        problem.dim(x) for x in (("h", "s", "total_q") if name in "qo" else ("kv_heads", "kv_len", "total_kv"))
    )
    b = problem.dim("b")
    if problem["is_varlen"]:
        b, length = 1, total
    dtype, d = str(problem["dtype"]), problem.dim("d")
    row = d * DTYPE_BYTES[dtype]
    in_heads = problem["layout"] == "bhsd" and not problem["is_varlen"]
    head, token = (length * row, row) if in_heads else (row, heads * row)
    return TensorMap(
        name, dtype, (b, heads, length, d), (heads * length * row, head, token), box, swizzle, l2_promotion
    )
