"""Arrays of the processor that stand against protected pages, so that a kernel that leaves them is killed on the spot.

Each array has pages of its own. Where it fills them, both its ends touch protected pages in one run; else it stands at
the start of its pages in one run and at their end in another, and there it is aligned to its elements and no more.
That is what the user's arrays may be (a slice of a NumPy array), so it is what a C kernel must accept.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any

import numpy as np

from ...templates.op import Array, Buffer
from .guards import Bands, Stand, StandingSet, band_bytes

_NONE = 0
"""PROT_NONE (sys/mman.h), which Python's mmap module does not name."""

_OPEN = mmap.PROT_READ | mmap.PROT_WRITE

_LAST_WORDS = {
    "start": "its arrays stood right after protected pages: it reads or writes before the start of an array?",
    "end": "its arrays stood right before protected pages: it reads or writes past the end of an array, "
    "or takes it to be aligned to more than its elements?",
    "both": "its arrays stood between protected pages: it reads or writes outside an array?",
}


class PagedSet(StandingSet):
    """See GuardedSet: in every stand but "bands", what touches the arrays is protected while a kernel runs."""

    def __init__(self, buffers: Sequence[Buffer], dtypes: Sequence[Any]) -> None:
        self._pages = [
            _Pages(buffer, np.dtype(dtype), place)
            for place, (buffer, dtype) in enumerate(zip(buffers, dtypes, strict=True))
        ]
        super().__init__(self._pages, _LAST_WORDS)

    @contextmanager
    def shut(self) -> Iterator[None]:
        if self._stand == "bands":
            yield
            return
        with last_words(self._words[self._stand]), ExitStack() as opened:
            for pages in self._pages:
                opened.enter_context(pages.shut(self._stand))
            yield


class _Pages:
    """One array's memory: a page never open, a band, whole pages for the array, a band, a page never open."""

    def __init__(self, buffer: Buffer, dtype: Any, place: int) -> None:
        self.name = buffer.name
        self._buffer, self._dtype, self._place = buffer, dtype, place
        page = mmap.PAGESIZE
        self._band = -(-band_bytes(buffer) // page) * page
        body = -(-buffer.bytes // page) * page
        self.filled = body == buffer.bytes
        self._start = page + self._band
        self._stop = self._start + body
        self._map = mmap.mmap(-1, self._stop + self._band + page, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._memory = np.frombuffer(self._map, np.uint8)
        for offset in (0, self._stop + self._band):
            self._protect(offset, page, _NONE)
        self._at = self._start
        self.place("bands")

    def place(self, stand: Stand) -> None:
        size, page = self._buffer.bytes, mmap.PAGESIZE
        at = self._stop - size if stand == "end" else self._start
        address = self._memory.ctypes.data
        ctypes.memmove(address + at, address + self._at, size)
        self._at = at
        self.array: Array = self._memory[at : at + size].view(self._dtype).reshape(self._buffer.shape)
        before, after = self._memory[page:at], self._memory[at + size : self._stop + self._band]
        self.bands = Bands(np, self.name, self._place, self._dtype, before, after)
        self.bands.fill()

    @contextmanager
    def shut(self, stand: Stand) -> Iterator[None]:
        """Protect the bands that the array touches."""
        shut = []
        if stand == "start" or self.filled:
            shut.append(self._start - self._band)
        if stand == "end" or self.filled:
            shut.append(self._stop)
        for offset in shut:
            self._protect(offset, self._band, _NONE)
        try:
            yield
        finally:
            for offset in shut:
                self._protect(offset, self._band, _OPEN)

    def _protect(self, offset: int, size: int, how: int) -> None:
        if _libc().mprotect(ctypes.c_void_p(self._memory.ctypes.data + offset), ctypes.c_size_t(size), how) != 0:
            raise OSError(ctypes.get_errno(), "mprotect")


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


@contextmanager
def last_words(text: str) -> Iterator[None]:
    """Keep `text` at the end of this process's log meanwhile: the session quotes that end if the process dies."""
    if not stat.S_ISREG(os.fstat(2).st_mode):  # a terminal cannot take words back
        yield
        return
    words = f"\n{text}\n".encode()
    start = os.lseek(2, 0, os.SEEK_CUR)
    os.write(2, words)
    try:
        yield
    finally:
        if os.lseek(2, 0, os.SEEK_CUR) == start + len(words):
            os.lseek(2, start, os.SEEK_SET)
            os.ftruncate(2, start)
        else:  # the kernel printed something behind them
            os.pwrite(2, b" " * len(words), start)
