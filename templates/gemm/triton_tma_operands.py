"""A and B of triton_tma, as descriptors find them: as they lie, or as kernels before lay them out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from ...spaces.problems import DTYPE_BYTES, Problem
from ..template import Argument, Launch
from ..tensor_map import TensorMap
from .op import OP
from .triton_tma_space import LINE_BYTES

_WORDS = {1: "*i8", 2: "*i16", 4: "*i32"}
"""What elements of a size are copied as."""

_OPTIONS = {"num_warps": 4, "num_stages": 1}


@dataclass(frozen=True, slots=True)
class Operand:
    """A matrix, or a batch of them, as the product reads it: `rows` and `columns` after any turn."""

    name: str
    dtype: str
    batch: tuple[int, ...]  # one number, or none
    rows: int
    columns: int
    way: str  # "as_is", "copy", "turn"

    @property
    def tensor(self) -> TensorMap:
        """Rows of what a kernel laid out begin at whole lines of 128 bytes."""
        shape = (*self.batch, self.rows, self.columns)
        if self.way == "as_is":
            return TensorMap.row_major(self.name, self.dtype, shape)
        return TensorMap.row_major(f"{self.name}_copy", self.dtype, shape, pitch_bytes=self._pitch * self._element)

    def argument(self, rows: int, columns: int) -> Argument:
        """Its descriptor, loaded in blocks of so many."""
        tensor = self.tensor
        return Argument(tensor.buffer, tensor.triton_type(*(1 for _ in self.batch), rows, columns), tensor=tensor)

    def before(self, values: Mapping[str, Any]) -> tuple[Launch, ...]:
        """The kernel that lays it out."""
        arrays = tuple(Argument(name, _WORDS[self._element]) for name in (self.name, f"{self.name}_copy"))
        if self.way == "turn":
            sizes = (Argument("ROWS", "i32", self.columns), Argument("COLS", "i32", self.rows))
            blocks = -(-self.rows // values["TURN_BLOCK"]) * -(-self.columns // values["TURN_BLOCK"])
            return (Launch("turn_rows", (*arrays, *sizes), (blocks, prod(self.batch), 1), _OPTIONS),)
        if self.way == "copy":
            blocks = prod(self.batch) * self.rows * -(-self._pitch // values["COPY_BLOCK"])
            return (Launch("copy_rows", (*arrays, Argument("COLS", "i32", self.columns)), (blocks, 1, 1), _OPTIONS),)
        return ()

    @property
    def workspace(self) -> dict[str, int]:
        """Bytes of its copy."""
        copied = prod(self.batch) * self.rows * self._pitch * self._element
        return {} if self.way == "as_is" else {f"{self.name}_copy": copied}

    @property
    def _element(self) -> int:
        return DTYPE_BYTES[self.dtype]

    @property
    def _pitch(self) -> int:
        """Elements from one row of a copy to the next."""
        line = LINE_BYTES // self._element
        return -(-self.columns // line) * line


def operands(problem: Problem, values: Mapping[str, Any]) -> tuple[Operand, Operand]:
    """A and B; `values` are a config's with what follows from them."""
    lying = {buffer.name: buffer.shape for buffer in OP.buffers(problem)}
    dtype = str(problem["dtype"])

    def operand(name: str) -> Operand:
        *batch, rows, columns = lying[name]
        if values[f"{name}_turns"] and values["TURN"] == "before":
            return Operand(name, dtype, tuple(batch), columns, rows, "turn")
        return Operand(name, dtype, tuple(batch), rows, columns, "copy" if values[f"{name}_unaligned"] else "as_is")

    return operand("a"), operand("b")
