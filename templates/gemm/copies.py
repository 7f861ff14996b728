"""What copies operands before a Triton kernel reads them, where their rows do not begin at multiples of 16 bytes.

The kernel is in copies.py.jinja. Those of CUDA C++ are beside what reads the copies.
"""

from __future__ import annotations

from ..template import Argument, Launch
from ..tensor_map import TRITON_DTYPES
from .operands import Matrix

COPY_BLOCK = 1024
"""Elements one block copies: eight independent loads a thread of four warps."""

COPY_OPTIONS = {"num_warps": 4, "num_stages": 1}


def triton_copies(*read: Matrix) -> tuple[Launch, ...]:
    """One for each that is a copy."""
    return tuple(triton_copy(x) for x in read if x.copied)


def triton_copy(copy: Matrix, element_type: str | None = None) -> Launch:
    """Of an operand that is copied, in elements of its own type where no other is named."""
    pointer = f"*{element_type or TRITON_DTYPES[copy.dtype]}"
    arguments = (Argument(copy.name, pointer), Argument(copy.array, pointer), Argument("COLS", "i32", copy.columns))
    blocks = copy.all_rows * -(-copy.pitch_bytes // copy.element // COPY_BLOCK)
    return Launch("copy_rows", arguments, (blocks, 1, 1), COPY_OPTIONS)
