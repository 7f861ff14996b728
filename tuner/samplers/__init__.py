"""The samplers by name, each imported when it is asked for; other packages add theirs as entry points."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ...spaces.errors import UnknownName, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.metadata import EntryPoint

    from ...spaces.feasible import FeasibleSpace
    from ..cost_models.elsewhere import Estimate
    from ..cost_models.known import KnownRows
    from .sampler import Sampler

SAMPLERS = {
    "annealing": "annealing:AnnealingRows",
    "autotvm": "autotvm:AutoTvmRows",
    "exhaustive": "exhaustive:ExhaustiveRows",
    "genetic": "genetic:GeneticRows",
    "random": "random_rows:RandomRows",
    "ranked": "ranked:RankedRows",
    "tpe": "optuna_sampler:TpeRows",
}
"""Name -> file of this folder and its class, which takes rows, seed and, as a SamplerMaker does, what it can use."""

DEFAULT = "ranked"
GROUP = "kerntune.samplers"
"""Entry points of other packages: name -> a SamplerMaker (sampler.py). Ours come first where a name is taken."""


def check_name(name: str) -> str:
    """The name, if a sampler has it. Raises: UnknownName."""
    if name not in SAMPLERS and name not in _installed():
        raise UnknownName(name, "a sampler", {*SAMPLERS, *_installed()}, "tuner/samplers/__init__.py")
    return name


def learns(name: str) -> bool:
    """Whether a sampler can start from what is known of other problems and devices. Raises: UnknownName."""
    return bool(getattr(_loaded(name), "learns", False))


def foretells(name: str) -> bool:
    """Whether a sampler says what it expects to gain (sampler.expected_gain). Raises: UnknownName."""
    return hasattr(_loaded(name), "expected_gain")


def make_sampler(
    name: str,
    feasible: FeasibleSpace,
    seed: int,
    known: Sequence[KnownRows] = (),
    estimate: Estimate | None = None,
) -> Sampler:
    """A fresh sampler over a feasible space; `known` and `estimate` are passed over by one that has no use for them.

    Raises: UnknownName; UsageError for a negative seed, or an installed one that cannot be loaded.
    """
    if seed < 0:
        raise UsageError(f"seed is {seed}: it takes an integer of at least 0 (--seed).")
    made = _loaded(name)
    told: dict[str, Any] = {"known": tuple(known)} if learns(name) else {}
    if getattr(made, "estimates", False):
        told["estimate"] = estimate
    if name not in SAMPLERS:
        sampler: Sampler = made(feasible, seed, **told)
        return sampler
    from .optuna_sampler import OptunaSampler

    return OptunaSampler(feasible, lambda rows, seed: made(rows, seed, **told), seed)


def _loaded(name: str) -> Any:
    """The class of ours, or the SamplerMaker of another package."""
    if check_name(name) in SAMPLERS:
        file, _, made = SAMPLERS[name].partition(":")
        return getattr(import_module(f".{file}", __name__), made)
    entry = _installed()[name]
    try:
        return entry.load()
    except (ImportError, AttributeError) as error:
        raise UsageError(
            f'sampler "{name}" of {entry.value} cannot be loaded: {error}. Mend or remove its package.'
        ) from None


def _installed() -> dict[str, EntryPoint]:
    """Entry points by name."""
    from importlib.metadata import entry_points  # a name of ours needs no look at what is installed

    return {entry.name: entry for entry in entry_points(group=GROUP)}
