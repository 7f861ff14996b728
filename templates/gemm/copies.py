"""Operands whose rows TMA does not take, because they do not begin at multiples of 16 bytes: copied before the product.

A copy's rows begin lines of 128 bytes; the kernel that writes it is `copy_rows(rows, copy, columns, pitch)`, one block
of 256 threads a row.
"""

from __future__ import annotations

from ...spaces.problems import DTYPE_BYTES, Problem
from ..template import Argument, Launch
from ..tensor_map import ALIGNED_BYTES

COPY_THREADS = 256

_LINE_BYTES = 128


def _shape(problem: Problem, name: str) -> tuple[int, int]:
    """Rows, of all batches, and columns of A or B as it lies in memory."""
    letter, dims = str(problem["layout"])["ab".index(name)], ("mk", "kn")["ab".index(name)]
    rows, columns = (problem.dim(dim) for dim in (dims if letter == "n" else dims[::-1]))
    return problem.dim("batch") * rows, columns


def pitch(problem: Problem, name: str) -> int:
    """Bytes from one row to the next of what TMA reads: of A or B itself, or of its copy."""
    row = _shape(problem, name)[1] * DTYPE_BYTES[str(problem["dtype"])]
    return row if row % ALIGNED_BYTES == 0 else -(-row // _LINE_BYTES) * _LINE_BYTES


def copied(problem: Problem) -> dict[str, int]:
    """Bytes of the copy of each operand that needs one."""
    element = DTYPE_BYTES[str(problem["dtype"])]
    shapes = {name: _shape(problem, name) for name in "ab"}
    unaligned = {name: shape for name, shape in shapes.items() if shape[1] * element % ALIGNED_BYTES}
    return {name: rows * pitch(problem, name) for name, (rows, _) in unaligned.items()}


def copy_launches(problem: Problem) -> tuple[Launch, ...]:
    """One for each copy."""
    element = DTYPE_BYTES[str(problem["dtype"])]
    return tuple(
        Launch(
            "copy_rows",
            (
                Argument(name, "const in_t *"),
                Argument(f"{name}_copy", "in_t *"),
                Argument("columns", "i32", _shape(problem, name)[1]),
                Argument("pitch", "i32", pitch(problem, name) // element),
            ),
            (_shape(problem, name)[0], 1, 1),
            block=(COPY_THREADS, 1, 1),
        )
        for name in copied(problem)
    )
