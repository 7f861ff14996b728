"""Workspaces: arrays a kernel's launches keep between calls, one set for each stream that may run beside others.

A kernel finds them zero in its first call and as it left them in each later one (templates/template.py). Two streams
may run at once, and so may a graph and the stream it was captured on: each stream, and each stream of each capture,
has its own. What is captured begins with zeros in every replay.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from .arrays import Library
from .cuda_driver import LEGACY_STREAM, PER_THREAD_STREAM, CudaDriver

KEPT = 64
"""Streams and captures whose workspaces are kept: torch has 32 streams in its pool."""


class Workspaces:
    """The workspaces of one kernel on one GPU. Not thread-safe: a kernel's launches that share one take turns."""

    def __init__(self, driver: CudaDriver, sizes: Mapping[str, int], index: int) -> None:
        self._driver, self._sizes, self._index = driver, tuple(sizes.values()), index
        self._kept: dict[object, tuple[tuple[int, ...], list[Any]]] = {}

    def addresses(self, stream: int, library: Library) -> tuple[int, ...]:
        """Of the arrays for work in a stream, in the order of their sizes; the context is current."""
        capture = self._driver.capture_of(stream)
        key = (stream if capture is not None else self._identity(stream), capture)
        found = self._kept.get(key)
        if found is None:
            while len(self._kept) >= KEPT:  # freed in stream order: work under way keeps what it has
                del self._kept[next(iter(self._kept))]
            found = self._kept[key] = self._made(stream, library, capture is not None)
        return found[0]

    def _identity(self, stream: int) -> object:
        if stream in (0, LEGACY_STREAM):
            return "legacy"
        if stream == PER_THREAD_STREAM:
            return "of thread", threading.get_ident()
        return self._driver.stream_id(stream)

    def _made(self, stream: int, library: Library, captured: bool) -> tuple[tuple[int, ...], list[Any]]:
        with self._driver.relaxed():
            made = [library.scratch(size, self._index, captured) for size in self._sizes]
        for (_, address), size in zip(made, self._sizes, strict=True):
            self._driver.zero(address, size, stream)
        return tuple(address for _, address in made), [array for array, _ in made]
