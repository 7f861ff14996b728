"""What an array is to the ops: a View of it, and the port to the Library that made it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ...spaces.problems import DTYPE_BYTES, Problem

Array = Any  # a torch tensor, a CuPy or a NumPy array

BITS = {"bf16": "uint16", "fp8e4m3": "uint8", "fp8e5m2": "uint8"}
"""What an array library without these types keeps them in."""


@dataclass(frozen=True, slots=True)
class View:
    """Where an argument's elements lie."""

    name: str  # of the argument
    shape: tuple[int, ...]
    strides: tuple[int, ...]  # elements
    dtype: str  # kerntune's word, or the library's own where kerntune has none
    device: str  # "cpu", "cuda:0"
    address: int

    @property
    def element_bytes(self) -> int:
        return DTYPE_BYTES.get(self.dtype) or {"uint16": 2, "uint8": 1}.get(self.dtype, 8)

    @property
    def bytes(self) -> int:
        """Of all elements."""
        count = self.element_bytes
        for size in self.shape:
            count *= size
        return count

    @property
    def reach(self) -> tuple[int, int]:
        """First and one past the last byte, from the address on; a stride may be negative."""
        if 0 in self.shape:
            return 0, 0
        steps = [(size - 1) * stride for size, stride in zip(self.shape, self.strides, strict=True)]
        low, high = sum(step for step in steps if step < 0), sum(step for step in steps if step > 0)
        return low * self.element_bytes, (high + 1) * self.element_bytes

    @property
    def is_dense(self) -> bool:
        """Whether it is C-contiguous."""
        return _dense(self.shape, self.strides)

    @property
    def is_turned(self) -> bool:
        """Whether its transpose, of each matrix of a batch, is C-contiguous."""
        turned = (self.shape, self.strides)
        shape, strides = (tuple((*each[:-2], each[-1], each[-2])) for each in turned)
        return _dense(shape, strides)

    def is_stored_as(self, dtype: str) -> bool:
        """Whether its elements can be those of a kernel's buffer of this dtype."""
        return self.dtype in (dtype, BITS.get(dtype)) or (self.dtype == "fp32" and dtype in ("tf32", "tf32x3"))


def _dense(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    expected = 1
    for size, stride in zip(reversed(shape), reversed(strides), strict=True):
        if size != 1 and stride != expected:
            return False
        expected *= size
    return True


class VendorCall(Protocol):
    """What a call gives, of arrays by argument name, in the current stream; written into `out` where that is one."""

    name: str  # of what computes: "torch.matmul"

    def __call__(self, arrays: Mapping[str, Array], out: Array | None) -> Any: ...


class Library(Protocol):
    """Arrays of one package. Every method may be called from several threads."""

    name: str

    def signature(self, array: Array) -> Hashable:
        """All of an array that a plan depends on. Called on the fast path, as address and stream are."""

    def address(self, array: Array) -> int:
        """Of the first element."""

    def view(self, name: str, array: Array) -> View:
        """Raises: ProblemError for an array no kernel can be given."""

    def needs_grad(self, arrays: Mapping[str, Array]) -> bool:
        """Whether a gradient is to flow back through what is computed of these."""

    def dtype_named(self, dtype: Any) -> str | None:
        """kerntune's word for a dtype of the library; None where it is none."""

    def empty(self, shape: tuple[int, ...], dtype: str, device: str) -> Callable[[], Array]:
        """A function of nothing that makes an array, not initialised, in the current stream."""

    def dense(self, array: Array, turned: bool) -> Array:
        """A C-contiguous copy, or one whose transpose is, with memory of its own, in the current stream."""

    def assign(self, out: Array, value: Array) -> None:
        """Copy into `out`, in the current stream."""

    def written(self, out: Array) -> None:
        """Say that a kernel wrote into the caller's array, where the library wants to know."""

    def stream(self, index: int) -> int:
        """Handle of the caller's current stream on a GPU."""

    def scratch(self, size: int, index: int, captured: bool) -> tuple[Array, int]:
        """Bytes in the current stream, as array and address. What a graph captured stays as long as the graph."""

    def swapped(self, array: Array) -> Array:
        """A view with dims 1 and 2 swapped."""

    def product(self, problem: Problem, layout: str) -> VendorCall | str:
        """What computes a gemm without us, `layout` as its arrays say it; or the reason why there is nothing."""

    def attention(self, problem: Problem, scale: float, causal: str) -> VendorCall | str:
        """What attends without us, with causal as the caller says it; or the reason why there is nothing."""
