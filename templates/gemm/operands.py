"""A, B and C of one problem as they lie in memory; and A and B as a kernel reads them, where it needs a copy laid out.

TMA and loads of 16 bytes take rows that begin at multiples of 16 bytes. The same in the symbols of a space: layouts.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod

from ...spaces.problems import DTYPE_BYTES, Problem
from ..template import Argument
from ..tensor_map import ALIGNED_BYTES, TRITON_DTYPES, Promotion, Swizzle, TensorMap

LINE_BYTES = 128
"""What rows of a copy begin at multiples of."""


@dataclass(frozen=True, slots=True)
class Matrix:
    """A matrix, or a batch of them; its rows' elements are contiguous."""

    name: str
    dtype: str
    batch: tuple[int, ...]  # one number, or none
    dims: str  # "mk": rows along M, each with elements along K
    rows: int
    columns: int
    copied: bool = False

    @property
    def all_rows(self) -> int:
        """Of all batches."""
        return prod(self.batch) * self.rows

    @property
    def element(self) -> int:
        """Bytes of one."""
        return DTYPE_BYTES[self.dtype]

    @property
    def row_bytes(self) -> int:
        return self.columns * self.element

    @property
    def unaligned(self) -> bool:
        return self.row_bytes % ALIGNED_BYTES != 0

    @property
    def array(self) -> str:
        """Where it is read from."""
        return f"{self.name}_copy" if self.copied else self.name

    @property
    def pitch_bytes(self) -> int:
        """From one row to the next: in a copy, whole lines."""
        return -(-self.row_bytes // LINE_BYTES) * LINE_BYTES if self.copied else self.row_bytes

    def aligned(self) -> Matrix:
        """A copy where its rows are not, else itself."""
        return replace(self, copied=self.unaligned)

    def turned(self) -> Matrix:
        """A copy in which columns are rows."""
        return replace(self, dims=self.dims[::-1], rows=self.columns, columns=self.rows, copied=True)

    def tensor(
        self, box: tuple[int, ...] = (), swizzle: Swizzle = "none", l2_promotion: Promotion = "128B"
    ) -> TensorMap:
        """Its map; `box` is of one matrix."""
        return TensorMap.row_major(
            self.array,
            self.dtype,
            (*self.batch, self.rows, self.columns),
            (*(1 for _ in self.batch if box), *box),
            pitch_bytes=self.pitch_bytes,
            swizzle=swizzle,
            l2_promotion=l2_promotion,
        )

    def descriptor(self, blocks: Mapping[str, int]) -> Argument:
        """As Triton takes it, loaded in blocks of so many along each dim."""
        tensor = self.tensor()
        block = (*(1 for _ in self.batch), *(blocks[dim] for dim in self.dims))
        return Argument(self.array, tensor.triton_type(*block), tensor=tensor)

    def pointer(self) -> Argument:
        """As Triton takes it."""
        return Argument(self.array, f"*{TRITON_DTYPES[self.dtype]}")


def operands(problem: Problem, aligned: bool = False) -> tuple[Matrix, Matrix]:
    """A and B as they lie, or copies of those whose rows are not aligned."""
    layout, dtype = str(problem["layout"]), str(problem["dtype"])
    a, b = "mk" if layout[0] == "n" else "km", "kn" if layout[1] == "n" else "nk"
    lying = _lying(problem, "a", dtype, a), _lying(problem, "b", dtype, b)
    return (lying[0].aligned(), lying[1].aligned()) if aligned else lying


def result(problem: Problem) -> Matrix:
    """C."""
    return _lying(problem, "c", str(problem["out_dtype"]), "mn")


def copies_bytes(*read: Matrix) -> dict[str, int]:
    """Arrays of the workspace for those that are copies."""
    return {x.array: x.all_rows * x.pitch_bytes for x in read if x.copied}


def _lying(problem: Problem, name: str, dtype: str, dims: str) -> Matrix:
    batch = problem.dim("batch")
    return Matrix(name, dtype, (batch,) if batch > 1 else (), dims, problem.dim(dims[0]), problem.dim(dims[1]))
