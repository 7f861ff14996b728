"""Calls: what runs for arrays of some shapes, strides and dtypes. The path of every call but the first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from .arrays import Array, Library, VendorProduct, View
from .plan import Plan
from .site import LoadedKernel


class Call(Protocol):
    """Answers calls with arrays as those it was made for. Safe for several threads."""

    plan: Plan

    def run(self, arrays: Sequence[Array], out: Array | None) -> Array:
        """C; `arrays` in the order of the op's buffers: those that are given."""


class Tuned:
    """A kernel of ours, on the caller's current stream."""

    def __init__(
        self,
        library: Library,
        kernel: LoadedKernel,
        plan: Plan,
        make_out: Callable[[], Array],
        views: Mapping[str, View],
    ) -> None:
        self.plan = plan
        self._library, self._launch, self._make_out = library, kernel.launch, make_out
        self._address, self._stream = library.address, _no_stream if plan.device == "cpu" else library.stream
        self._index = int(plan.device.partition(":")[2] or 0)
        self._reach = _Overlap(views)

    def run(self, arrays: Sequence[Array], out: Array | None) -> Array:
        made = self._make_out() if out is None else out
        addresses = (*map(self._address, arrays), self._address(made))
        if out is not None and self._reach.meets(addresses):  # a kernel may write C before it has read its inputs
            made = self._make_out()
            addresses = (*addresses[:-1], self._address(made))
        self._launch(addresses, self._stream(self._index), self._library)
        if out is None:
            return made
        if made is not out:
            self._library.assign(out, made)
        else:
            self._library.written(out)
        return out


def _no_stream(index: int) -> int:
    return 0


class Vendor:
    """The vendor library."""

    def __init__(self, library: Library, product: VendorProduct, plan: Plan, views: Mapping[str, View]) -> None:
        self.plan = plan
        self._library, self._product = library, product
        self._names = [name for name in views if name != "out"]
        self._address, self._reach = library.address, _Overlap(views)

    def run(self, arrays: Sequence[Array], out: Array | None) -> Array:
        named = dict(zip(self._names, arrays, strict=True))
        if out is not None and self._reach.meets((*map(self._address, arrays), self._address(out))):
            self._library.assign(out, self._product(named, None))
            return out
        return self._product(named, out)


class Copying:
    """Another call, on copies of what its kernel cannot take."""

    def __init__(self, library: Library, inner: Call, names: Sequence[str], turned: Mapping[str, bool]) -> None:
        """`names` of the arguments in order, `out` last where it is given; `turned`: how each copied one lies."""
        self.plan = replace(inner.plan, copied=tuple(turned))
        self._library, self._inner = library, inner
        self._turned = [turned.get(name) for name in names if name != "out"]
        self._through = "out" in turned

    def run(self, arrays: Sequence[Array], out: Array | None) -> Array:
        dense = self._library.dense
        pairs = zip(arrays, self._turned, strict=True)
        made = self._inner.run(
            [array if t is None else dense(array, t) for array, t in pairs], None if self._through else out
        )
        if not self._through:
            return made
        self._library.assign(out, made)
        return out


class Nothing:
    """A product without elements."""

    def __init__(self, make_out: Callable[[], Array], plan: Plan) -> None:
        self.plan, self._make_out = plan, make_out

    def run(self, arrays: Sequence[Array], out: Array | None) -> Array:
        return self._make_out() if out is None else out


class _Overlap:
    """Whether `out` shares memory with what is read; views of one shape and stride differ in address alone."""

    def __init__(self, views: Mapping[str, View]) -> None:
        self._reads = [view.reach for name, view in views.items() if name != "out"]
        self._writes = views["out"].reach if "out" in views else (0, 0)

    def meets(self, addresses: Sequence[int]) -> bool:
        """`addresses` of what is read, in order, then of `out`."""
        *reads, out = addresses
        first, end = out + self._writes[0], out + self._writes[1]
        return any(
            first < address + high and address + low < end
            for address, (low, high) in zip(reads, self._reads, strict=True)
        )
