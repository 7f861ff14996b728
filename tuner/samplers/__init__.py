"""The samplers by name; each is imported when it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...spaces.errors import UnknownName

if TYPE_CHECKING:
    from ...spaces.feasible import FeasibleSpace
    from .sampler import Sampler

SAMPLERS = {"random": "RandomRows", "tpe": "TpeRows"}
DEFAULT = "tpe"


def check_name(name: str) -> str:
    """The name, if a sampler has it. Raises: UnknownName."""
    if name not in SAMPLERS:
        raise UnknownName(name, "a sampler", SAMPLERS, "tuner/samplers/__init__.py")
    return name


def make_sampler(name: str, feasible: FeasibleSpace, seed: int) -> Sampler:
    """A fresh sampler over a feasible space. Raises: UnknownName."""
    from . import optuna_sampler

    return optuna_sampler.OptunaSampler(feasible, getattr(optuna_sampler, SAMPLERS[check_name(name)]), seed)
