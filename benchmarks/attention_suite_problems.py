"""The problems of the attention suite: prefill and decoding of language models, and encoders, in bf16."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FIELDS = ("b", "h", "kv_heads", "s", "kv_len", "d", "causal")
SHAPES = (
    *((4, 32, 32, 1024, 1024, 64, True), (4, 32, 32, 4096, 4096, 64, True)),
    *((4, 16, 16, 1024, 1024, 128, True), (4, 16, 16, 2048, 2048, 128, True), (4, 16, 16, 4096, 4096, 128, True)),
    *((2, 16, 16, 8192, 8192, 128, True), (1, 16, 16, 16384, 16384, 128, True)),
    *((4, 16, 16, 4096, 4096, 128, False), (1, 16, 16, 16384, 16384, 128, False), (16, 16, 16, 512, 512, 128, False)),
    (2, 32, 8, 4096, 4096, 128, True),
    *((8, 32, 8, 1, 8192, 128, False), (64, 32, 8, 1, 2048, 128, False)),
)

PARTS = ("prefill", "decode")

DECODE_QUERIES = 16
"""Queries of a sequence up to which it is decoding."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One problem of the suite."""

    b: int
    h: int
    kv_heads: int
    s: int
    kv_len: int
    d: int
    causal: bool
    dtype: str = "bf16"

    @property
    def part(self) -> str:
        return "decode" if self.s <= DECODE_QUERIES else "prefill"

    @property
    def shape(self) -> str:
        return f"{self.b}x{self.h}x{self.s}x{self.d}"

    @property
    def name(self) -> str:
        heads = f" kv_heads {self.kv_heads}" if self.kv_heads != self.h else ""
        keys = f" kv_len {self.kv_len}" if self.kv_len != self.s else ""
        return f"{self.shape}{heads}{keys} {'causal' if self.causal else 'full'}"

    def fields(self) -> dict[str, Any]:
        sizes = {name: getattr(self, name) for name in FIELDS[:-1]}
        return {**sizes, "causal": "yes" if self.causal else "no", "dtype": self.dtype}


def entries(parts: Sequence[str] = PARTS, suite: Path | None = None, shapes: Sequence[str] = ()) -> list[Entry]:
    """Of these parts, in order; of a suite file (`attention_bf16`) where one is given, these shapes only."""
    said = json.loads(suite.read_text())["attention_bf16"] if suite else {"fields": FIELDS, "shapes": SHAPES}
    found = [Entry(**dict(zip(said["fields"], shape, strict=True))) for shape in said["shapes"]]
    return [entry for entry in found if entry.part in parts and (not shapes or entry.shape in shapes)]
