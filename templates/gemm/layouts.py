"""How A and B lie in memory, in the symbols of a space. Of one problem: operands.py."""

from __future__ import annotations

from ...spaces.expressions import Expr, Operand
from ...spaces.functions import in_, max_, where
from ...spaces.symbols import problem
from ..tensor_map import ALIGNED_BYTES


def along_k(name: str) -> Expr:
    """Whether rows of A or B go along K."""
    return in_(problem.layout, "nn", "nt") if name == "a" else in_(problem.layout, "nt", "tt")


def row_bytes(name: str, side: Operand | None = None, depth: Operand | None = None) -> Expr:
    """Of A or B; or of a tile of it, so many elements wide along M or N and along K."""
    size = problem.m if name == "a" else problem.n
    elements = where(along_k(name), problem.k if depth is None else depth, size if side is None else side)
    return elements * problem.a_bytes


def unaligned(name: str) -> Expr:
    """Whether rows of A or B do not begin at multiples of 16 bytes."""
    return row_bytes(name) % ALIGNED_BYTES != 0


def largest_array() -> Expr:
    """Elements of the largest of A, B and C, of one batch."""
    return max_(problem.m * problem.k, problem.k * problem.n, problem.m * problem.n)
