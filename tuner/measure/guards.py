"""Guard bands: memory around the arrays of a check, filled with a pattern, where a kernel's stray writes show.

The pattern is NaN, or close to the smallest integer, so what a kernel reads out there and uses makes its result NaN or
plainly wrong: masked loads that multiply by zero show (0 · NaN), reads whose value is thrown away do not. Where memory
can be protected (protected_pages.py) or left unmapped (cuda_pages.py) those show too.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal, Protocol

import numpy as np

from ...spaces.problems import DTYPE_BYTES
from ...templates.op import Array, Buffer

Stand = Literal["bands", "start", "end"]
"""Where arrays stand in a checked run: between bands, right after protected or unmapped memory, or right before it."""

BAND_BYTES = 4096
MAX_BAND_BYTES = 65536

_PATTERNS = {
    ("f", 8): 0x7FF85A5A5A5A5A00,
    ("f", 4): 0x7FC5A500,
    ("f", 2): 0x7E50,
    ("u", 2): 0x7FD0,  # bf16 as bits
    ("i", 4): 0x80A5A500,
    ("i", 1): 0x85,
    ("u", 1): 0x7D,  # fp8 as bits
}
"""Bits by kind and bytes of an element: NaN, or a very small integer. Nobody computes one of these payloads."""


class GuardedSet(Protocol):
    """The arrays of one set with guards around them, by buffer name."""

    stands: tuple[Stand, ...]  # of the checked runs, in order; the first is "bands", the second as aligned as it

    @property
    def arrays(self) -> Mapping[str, Array]:
        """Where they stand now."""

    def place(self, stand: Stand) -> None:
        """Move the arrays with what they hold, and fill the bands anew."""

    def shut(self) -> AbstractContextManager[None]:
        """Protect what this stand protects, while a kernel runs; nobody else may look at the bands meanwhile."""

    def stray(self) -> str | None:
        """What was written into the bands, or None."""


def band_bytes(buffer: Buffer) -> int:
    """Width of a band: a row of the array in whole 4 KiB, at most 64 KiB."""
    row_bytes = buffer.shape[-1] * DTYPE_BYTES[buffer.dtype]
    return min(MAX_BAND_BYTES, -(-row_bytes // BAND_BYTES) * BAND_BYTES)


class Bands:
    """What lies before and after one array, as unsigned integers as wide as its elements."""

    def __init__(self, xp: Any, name: str, place: int, dtype: Any, before: Array, after: Array) -> None:
        """`before` and `after` are bytes; `place` differs between arrays: a NaN carried to another band shows."""
        self._xp, self._name = xp, name
        self._bits = _PATTERNS[dtype.kind, dtype.itemsize] + place
        self._element_bytes = dtype.itemsize
        self._before, self._after = (band.view(f"u{dtype.itemsize}") for band in (before, after))

    def fill(self) -> None:
        self._before.fill(self._bits)
        self._after.fill(self._bits)

    def stray(self) -> str | None:
        """`wrote 12 bytes past the end of c, first at +64`: the offset of the nearest, from the end or the start."""
        past = self._xp.flatnonzero(self._after != self._bits)
        if past.size:
            return self._told(past.size, "past the end", f"+{int(past[0]) * self._element_bytes}")
        before = self._xp.flatnonzero(self._before != self._bits)
        if before.size:
            nearest = (int(before[-1]) - self._before.size) * self._element_bytes
            return self._told(before.size, "before the start", str(nearest))
        return None

    def _told(self, count: int, side: str, first: str) -> str:
        return f"wrote {count * self._element_bytes:,} bytes {side} of {self._name}, first at {first}"


def stands_of(filled: Sequence[bool]) -> tuple[Stand, ...]:
    """The stands of a set, by whether each array fills its pages: if all do, none need stand at the end."""
    return ("bands", "start") if all(filled) else ("bands", "start", "end")


class Pages(Protocol):
    """One array with memory of its own, beside which nothing may be touched."""

    name: str
    array: Array  # where it stands now
    bands: Bands
    filled: bool  # whether both its ends touch forbidden memory at once

    def place(self, stand: Stand) -> None:
        """Move the array with what it holds, and fill the bands anew."""


class StandingSet:
    """What the sets share whose arrays stand, in every stand but "bands", beside forbidden memory."""

    def __init__(self, pages: Sequence[Pages], words: Mapping[str, str]) -> None:
        """`words`: what is said of a kernel that touched it at the "start", at the "end" or where it may be "both"."""
        filled = [page.filled for page in pages]
        self._arrays = pages
        self.stands = stands_of(filled)
        self._words = {"end": words["end"], "start": words["both" if any(filled) else "start"]}
        self._stand: Stand = "bands"

    @property
    def arrays(self) -> dict[str, Array]:
        return {page.name: page.array for page in self._arrays}

    def place(self, stand: Stand) -> None:
        self._stand = stand
        for page in self._arrays:
            page.place(stand)

    def stray(self) -> str | None:
        return next(filter(None, (page.bands.stray() for page in self._arrays)), None)


class BandedSet:
    """A GuardedSet where no memory can be protected: bands alone, and the same stand twice. For NumPy and CuPy."""

    stands: tuple[Stand, ...] = ("bands", "bands")

    def __init__(self, xp: Any, buffers: Sequence[Buffer], dtypes: Sequence[Any]) -> None:
        self._arrays: dict[str, Array] = {}
        self._bands: list[Bands] = []
        for place, (buffer, dtype) in enumerate(zip(buffers, map(np.dtype, dtypes), strict=True)):
            band = band_bytes(buffer)  # a multiple of 256: the array is as aligned as the allocation
            memory = xp.empty(2 * band + buffer.bytes, np.uint8)
            inner = slice(band, band + buffer.bytes)
            self._arrays[buffer.name] = memory[inner].view(dtype).reshape(buffer.shape)
            self._bands.append(Bands(xp, buffer.name, place, dtype, memory[: inner.start], memory[inner.stop :]))

    @property
    def arrays(self) -> Mapping[str, Array]:
        return self._arrays

    def place(self, stand: Stand) -> None:
        for bands in self._bands:
            bands.fill()

    def shut(self) -> AbstractContextManager[None]:
        return contextlib.nullcontext()

    def stray(self) -> str | None:
        return next(filter(None, (bands.stray() for bands in self._bands)), None)
