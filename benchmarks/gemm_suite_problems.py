"""The problems of the GEMM suite: products that real models run, and a few that are hard. Fields of gemm, by part."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MNK = (
    # large
    *((1024, 1024, 1024), (2048, 2048, 2048), (4096, 4096, 4096), (8192, 8192, 8192), (16384, 8192, 8192)),
    # layers of language models, from one token to many
    *((1, 4096, 4096), (16, 6144, 4096), (64, 4096, 14336), (64, 28672, 4096), (256, 4096, 14336)),
    *((512, 6144, 4096), (2048, 28672, 4096), (8192, 4096, 14336), (4096, 10240, 8192)),
    # rows that are not aligned, deep, narrow, wide
    *((1000, 1000, 1000), (777, 3333, 2048), (128, 128, 65536), (4096, 64, 4096), (32, 50304, 768)),
)
LAYOUTS = ("nt", "nn")

OTHER = tuple(
    (dtype, layout, size, size, size)
    for dtype, layout in (("fp32", "nn"), ("tf32", "nn"), ("int8", "nt"), ("fp8", "nt"))
    for size in (1024, 4096)
)
"""dtype, layout, m, n, k."""

PARTS = ("bf16", "other")


@dataclass(frozen=True, slots=True)
class Entry:
    """One problem of the suite."""

    m: int
    n: int
    k: int
    dtype: str
    layout: str

    @property
    def shape(self) -> str:
        return f"{self.m}x{self.n}x{self.k}"

    @property
    def name(self) -> str:
        return f"{self.shape} {self.dtype} {self.layout}"

    def fields(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("m", "n", "k", "dtype", "layout")}


def entries(parts: Sequence[str] = PARTS, suite: Path | None = None, shapes: Sequence[str] = ()) -> list[Entry]:
    """Of these parts, in order; of a suite file (`gemm_bf16`, `gemm_other`) where one is given, these shapes only."""
    data: Mapping[str, Any] = json.loads(suite.read_text()) if suite else {}
    found = [entry for part in parts for entry in {"bf16": _bf16, "other": _other}[part](data)]
    return [entry for entry in found if not shapes or entry.shape in shapes]


def _bf16(data: Mapping[str, Any]) -> Iterator[Entry]:
    said = data.get("gemm_bf16", {"layouts": LAYOUTS, "mnk": MNK})
    for m, n, k in said["mnk"]:
        for layout in said["layouts"]:
            yield Entry(m, n, k, said.get("dtype", "bf16"), layout)


def _other(data: Mapping[str, Any]) -> Iterator[Entry]:
    for dtype, layout, m, n, k in data.get("gemm_other", OTHER):
        yield Entry(m, n, k, dtype, layout)
