"""What launches of gemm's kernels have in common: the arguments beside A and B, the number of tiles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from ...spaces.problems import Problem
from ..template import Argument
from .epilogue import epilogue_arguments
from .operands import result


def results(problem: Problem, language: Literal["triton", "cuda"]) -> tuple[Argument, ...]:
    """C, and what the epilogue reads."""
    c = result(problem).pointer() if language == "triton" else Argument("c", "out_t *")
    return (c, *epilogue_arguments(problem, language))


def sizes(problem: Problem, letters: str = "mnk") -> tuple[Argument, ...]:
    """M, N and K, or those of them that a kernel takes."""
    return tuple(Argument(letter.upper(), "i32", problem.dim(letter)) for letter in letters)


def triton_options(values: Mapping[str, Any]) -> dict[str, int]:
    """What Triton compiles the main kernel with."""
    return {name: values[name] for name in ("num_warps", "num_stages")}


def tiles_of(problem: Problem, values: Mapping[str, Any]) -> int:
    """Tiles of C of one batch, those over the edge included."""
    return int(-(-problem.dim("m") // values["BLOCK_M"]) * -(-problem.dim("n") // values["BLOCK_N"]))
