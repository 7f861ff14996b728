"""Calls: what runs for arrays of some shapes, strides and dtypes. The path of every call but the first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from .arrays import Array, Library, VendorCall, View
from .asked import Request
from .plan import Plan
from .site import LoadedKernel


class Call(Protocol):
    """Answers calls with arrays as those it was made for. Safe for several threads."""

    plan: Plan

    def run(self, arrays: Sequence[Array], out: Array | None) -> Any:
        """The output, or all of them where there are several; `arrays` in the order of the op's buffers."""


def makers(library: Library, request: Request) -> tuple[Callable[[], Array], ...]:
    """Functions that make the outputs, not initialised."""
    return tuple(
        _swapping(library, library.empty(o.stored, o.dtype, request.device))
        if o.swapped
        else library.empty(o.shape, o.dtype, request.device)
        for o in request.outputs
    )


def _swapping(library: Library, make: Callable[[], Array]) -> Callable[[], Array]:
    return lambda: library.swapped(make())


class Tuned:
    """A kernel of ours, on the caller's current stream."""

    def __init__(
        self,
        library: Library,
        kernel: LoadedKernel,
        plan: Plan,
        make: Sequence[Callable[[], Array]],
        views: Mapping[str, View],
    ) -> None:
        self.plan = plan
        self._library, self._launch = library, kernel.launch
        self._make_out, *self._make_others = make
        self._address, self._stream = library.address, _no_stream if plan.device == "cpu" else library.stream
        self._index = int(plan.device.partition(":")[2] or 0)
        self._reach = _Overlap(views)

    def run(self, arrays: Sequence[Array], out: Array | None) -> Any:
        made = self._make_out() if out is None else out
        addresses = (*map(self._address, arrays), self._address(made))
        if out is not None and self._reach.meets(addresses):  # a kernel may write C before it has read its inputs
            made = self._make_out()
            addresses = (*addresses[:-1], self._address(made))
        others = [make() for make in self._make_others]
        if others:
            addresses = (*addresses, *map(self._address, others))
        self._launch(addresses, self._stream(self._index), self._library)
        if out is not None:
            if made is not out:
                self._library.assign(out, made)
            else:
                self._library.written(out)
            made = out
        return (made, *others) if others else made


def _no_stream(index: int) -> int:
    return 0


class Vendor:
    """The vendor library."""

    def __init__(self, library: Library, product: VendorCall, plan: Plan, views: Mapping[str, View]) -> None:
        self.plan = plan
        self._library, self._product = library, product
        self._names = [name for name in views if name != "out"]
        self._address, self._reach = library.address, _Overlap(views)

    def run(self, arrays: Sequence[Array], out: Array | None) -> Any:
        named = dict(zip(self._names, arrays, strict=True))
        if out is not None and self._reach.meets((*map(self._address, arrays), self._address(out))):
            made = self._product(named, None)
            first, *others = made if isinstance(made, tuple) else (made,)
            self._library.assign(out, first)
            return (out, *others) if others else out
        return self._product(named, out)


class Copying:
    """Another call, on copies of what its kernel cannot take."""

    def __init__(self, library: Library, inner: Call, names: Sequence[str], turned: Mapping[str, bool]) -> None:
        """`names` of the arguments in order, `out` last where it is given; `turned`: how each copied one lies."""
        self.plan = replace(inner.plan, copied=tuple(turned))
        self._library, self._inner = library, inner
        self._turned = [turned.get(name) for name in names if name != "out"]
        self._through = "out" in turned

    def run(self, arrays: Sequence[Array], out: Array | None) -> Any:
        dense = self._library.dense
        pairs = zip(arrays, self._turned, strict=True)
        made = self._inner.run(
            [array if t is None else dense(array, t) for array, t in pairs], None if self._through else out
        )
        if not self._through:
            return made
        first, *others = made if isinstance(made, tuple) else (made,)
        self._library.assign(out, first)
        return (out, *others) if others else out


class Nothing:
    """An output without elements."""

    def __init__(self, make: Sequence[Callable[[], Array]], plan: Plan) -> None:
        self.plan, self._make = plan, make

    def run(self, arrays: Sequence[Array], out: Array | None) -> Any:
        made = [out if out is not None and not place else make() for place, make in enumerate(self._make)]
        return tuple(made) if len(made) > 1 else made[0]


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
