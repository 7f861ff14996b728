"""A and B of triton_tma, as descriptors find them: as they lie, or as kernels before lay them out."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

from ...spaces.problems import Problem
from ..template import Argument, Launch
from .copies import COPY_OPTIONS, triton_copy
from .operands import Matrix, operands

_WORDS = {1: "i8", 2: "i16", 4: "i32"}
"""What elements of a size are copied as."""


def read(problem: Problem, values: Mapping[str, Any]) -> tuple[Matrix, Matrix]:
    """A and B as the product reads them; `values` are a config's with what follows from them."""
    a, b = (x.turned() if _turns(x, values) else x.aligned() for x in operands(problem))
    return a, b


def laid_out(problem: Problem, values: Mapping[str, Any]) -> tuple[Launch, ...]:
    """The kernels that lay them out."""
    return tuple(
        _turn(x, values) if _turns(x, values) else triton_copy(x, _WORDS[x.element])
        for x in read(problem, values)
        if x.copied
    )


def _turns(operand: Matrix, values: Mapping[str, Any]) -> bool:
    """Whether a kernel turns it."""
    return bool(values[f"{operand.name}_turns"]) and values["TURN"] == "before"


def _turn(turned: Matrix, values: Mapping[str, Any]) -> Launch:
    arrays = tuple(Argument(name, f"*{_WORDS[turned.element]}") for name in (turned.name, turned.array))
    before = (Argument("ROWS", "i32", turned.columns), Argument("COLS", "i32", turned.rows))
    blocks = -(-turned.rows // values["TURN_BLOCK"]) * -(-turned.columns // values["TURN_BLOCK"])
    return Launch("turn_rows", (*arrays, *before), (blocks, prod(turned.batch), 1), COPY_OPTIONS)
