"""The words and the search-space language: what can be tuned, and on what. Standard library and numpy only."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .config import Config
    from .description import Description
    from .feasible import FeasibleSpace
    from .functions import ceil_div, in_, max_, min_, position, where
    from .parameters import Parameter, choice, constant, flag, int_range, permutation, pow2
    from .problems import Problem
    from .space import Space
    from .symbols import problem, target
    from .t1 import from_t1
    from .t1_writing import to_t1
    from .targets import Cpu, Gpu, Target, Toolchain

_HOMES = {
    "config": ("Config",),
    "description": ("Description",),
    "functions": ("ceil_div", "in_", "max_", "min_", "position", "where"),
    "feasible": ("FeasibleSpace",),
    "parameters": ("Parameter", "choice", "constant", "flag", "int_range", "permutation", "pow2"),
    "problems": ("Problem",),
    "space": ("Space",),
    "symbols": ("problem", "target"),
    "t1": ("from_t1",),
    "t1_writing": ("to_t1",),
    "targets": ("Cpu", "Gpu", "Target", "Toolchain"),
}

__all__ = [
    "Config",
    "Cpu",
    "Description",
    "FeasibleSpace",
    "Gpu",
    "Parameter",
    "Problem",
    "Space",
    "Target",
    "Toolchain",
    "ceil_div",
    "choice",
    "constant",
    "flag",
    "from_t1",
    "in_",
    "int_range",
    "max_",
    "min_",
    "permutation",
    "position",
    "pow2",
    "problem",
    "target",
    "to_t1",
    "where",
]


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f".{home}", __name__), name)
    raise AttributeError(f"kerntune.spaces has no {name!r}")
