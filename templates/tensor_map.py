"""TensorMap: a buffer as a kernel's TMA copies see it, of which the driver makes a CUtensorMap at each address.

TMA copies one box of it at a time; what of a box lies outside the tensor is filled on loads and left alone on stores.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, Literal

from ..spaces.problems import DTYPE_BYTES

Swizzle = Literal["none", "32B", "64B", "128B"]
Promotion = Literal["none", "64B", "128B", "256B"]
Fill = Literal["zeros", "nan"]

SWIZZLES: tuple[Swizzle, ...] = ("none", "32B", "64B", "128B")
PROMOTIONS: tuple[Promotion, ...] = ("none", "64B", "128B", "256B")
FILLS: tuple[Fill, ...] = ("zeros", "nan")
"""All three in the order in which cuda.h counts them."""

MAX_RANK = 5
MAX_DIM = 2**32
STRIDE_LIMIT_BYTES = 2**40
MAX_BOX_DIM = 256
ALIGNED_BYTES = 16
"""What divides an address, a stride and a row of a box.

Source of all five and of the rules below: CUDA Driver API, Tensor Map Object Management, cuTensorMapEncodeTiled, with
interleave none and element strides of one.
"""

TRITON_DTYPES: Mapping[str, str] = {
    **dict.fromkeys(("fp32", "tf32", "tf32x3"), "fp32"),
    **{"bf16": "bf16", "fp16": "fp16", "int8": "i8", "int32": "i32", "fp8e4m3": "fp8e4nv", "fp8e5m2": "fp8e5"},
}


@dataclass(frozen=True, slots=True)
class TensorMap:
    """A tensor of one buffer, the outermost dim first; its innermost dim is contiguous.

    Triton chooses box and swizzle itself: once compiled, its own stand here, and no box where it made no TMA of the
    descriptor.
    """

    buffer: str  # of the op, or an array of the launch's workspace
    dtype: str
    shape: tuple[int, ...]  # elements
    strides_bytes: tuple[int, ...]  # from one index to the next, of all dims but the innermost
    box: tuple[int, ...] = ()  # elements of one copy
    swizzle: Swizzle = "none"
    l2_promotion: Promotion = "128B"  # how much L2 fetches at a time
    fill: Fill = "zeros"  # what loads give outside the tensor

    @classmethod
    def row_major(
        cls,
        buffer: str,
        dtype: str,
        shape: tuple[int, ...],
        box: tuple[int, ...] = (),
        *,
        pitch_bytes: int | None = None,
        swizzle: Swizzle = "none",
        l2_promotion: Promotion = "128B",
        fill: Fill = "zeros",
    ) -> TensorMap:
        """A C-contiguous array, or one whose rows, the innermost dim, begin every `pitch_bytes`."""
        row = shape[-1] * DTYPE_BYTES[dtype] if pitch_bytes is None else pitch_bytes
        strides = tuple(row * prod(shape[dim + 1 : -1]) for dim in range(len(shape) - 1))
        return cls(buffer, dtype, shape, strides, box, swizzle, l2_promotion, fill)

    def triton_type(self, *block: int) -> str:
        """Triton's type of a descriptor of this tensor that is loaded and stored in blocks of this shape."""
        return f"tensordesc<{TRITON_DTYPES[self.dtype]}{list(block)}>"

    @property
    def strides(self) -> tuple[int, ...]:
        """Elements from one index to the next, of all dims."""
        return (*(stride // DTYPE_BYTES[self.dtype] for stride in self.strides_bytes), 1)

    @property
    def reach_bytes(self) -> int:
        """From the first byte of the tensor to the end of its last."""
        steps = zip(self.shape, self.strides_bytes, strict=False)
        return sum((size - 1) * stride for size, stride in steps) + self.shape[-1] * DTYPE_BYTES[self.dtype]

    @property
    def refusal(self) -> str | None:
        """Each rule of TMA that this map breaks, with its numbers; None where it breaks none."""
        return "; ".join(self._shape_faults() or [*self._tensor_faults(), *self._box_faults()]) or None

    def _shape_faults(self) -> list[str]:
        rank = len(self.shape)
        if not 1 <= rank <= MAX_RANK:
            return [f"rank {rank}: a tensor map has 1 to {MAX_RANK} dims"]
        if len(self.strides_bytes) != rank - 1 or len(self.box) not in (0, rank):
            counts = f"{len(self.strides_bytes)} strides and {len(self.box)} dims of a box"
            return [f"{counts} for {rank} dims: a tensor map has a stride for each but the innermost, a box of all"]
        return []

    def _tensor_faults(self) -> Iterator[str]:
        for size in self.shape:
            if not 1 <= size <= MAX_DIM:
                yield f"a dim of {size:,} elements: 1 to {MAX_DIM:,} can be mapped"
        for stride in self.strides_bytes:
            if stride % ALIGNED_BYTES or not 0 < stride < STRIDE_LIMIT_BYTES:
                yield f"a stride of {stride:,} bytes: it is a multiple of {ALIGNED_BYTES} below {STRIDE_LIMIT_BYTES:,}"
        if self.fill == "nan" and self.dtype.startswith(("int", "fp8")):
            yield f"{self.dtype} filled with NaN: TMA copies it as integers"

    def _box_faults(self) -> Iterator[str]:
        for size in self.box:
            if not 1 <= size <= MAX_BOX_DIM:
                yield f"a box of {list(self.box)}: each dim is 1 to {MAX_BOX_DIM}"
                return
        row_bytes = self.box[-1] * DTYPE_BYTES[self.dtype] if self.box else 0
        if row_bytes % ALIGNED_BYTES:
            yield f"a box with rows of {row_bytes} bytes: they are a multiple of {ALIGNED_BYTES}"
        if self.swizzle != "none" and row_bytes > int(self.swizzle.removesuffix("B")):
            yield f"a box with rows of {row_bytes} bytes > {self.swizzle}, which the swizzle spans"

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> TensorMap:
        """Of dataclasses.asdict, as it comes back from JSON."""
        return TensorMap(**{**data, **{name: tuple(data[name]) for name in ("shape", "strides_bytes", "box")}})

    def __str__(self) -> str:
        box = f"box {list(self.box)}, swizzle {self.swizzle}, L2 {self.l2_promotion}, fill {self.fill}"
        return f"{self.dtype}{list(self.shape)}, strides {list(self.strides_bytes)} bytes, {box}"
