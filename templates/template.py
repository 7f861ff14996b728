"""KernelTemplate, and what it makes of a config: a Candidate, ready to compile."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ..spaces.canonical import digest
from ..spaces.config import Config
from ..spaces.feasible import FeasibleSpace
from ..spaces.problems import Problem
from ..spaces.space import Space
from ..spaces.targets import Target
from .chips import Floats
from .columns import Columns, columns
from .render import render, whole_text
from .roofline import Work, estimates_us
from .tensor_map import TensorMap


@dataclass(frozen=True, slots=True)
class Argument:
    """One kernel argument: a number where there is a value (on a GPU: i32, i64, f32; in C: int, float), a TMA
    descriptor where there is a tensor map, which names its buffer itself; else the buffer of this name."""

    name: str
    type: str  # as the backend spells it: "*bf16", "i32", "tensordesc<bf16[128, 64]>", "const float *"
    value: int | float | None = None
    tensor: TensorMap | None = None

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Argument:
        """Of dataclasses.asdict, as it comes back from JSON."""
        tensor = data.get("tensor")
        return Argument(**{**data, "tensor": tensor and TensorMap.from_dict(tensor)})


@dataclass(frozen=True, slots=True)
class Launch:
    """How a compiled kernel is called."""

    entry: str
    arguments: tuple[Argument, ...]
    grid: tuple[int, int, int] = (1, 1, 1)
    options: Mapping[str, int] = field(default_factory=dict)  # compile options: num_warps, num_stages
    block: tuple[int, int, int] | None = None  # threads, where the source and not the compiler says so: CUDA
    smem_bytes: int = 0  # shared memory a block is given at launch, beside what the source declares: CUDA
    before: tuple[Launch, ...] = ()  # kernels of the same source that run first, in order, at every call
    workspace: Mapping[str, int] = field(
        default_factory=dict
    )  # the kernels' own arrays: bytes; zero at first, then left alone


@dataclass(frozen=True, slots=True)
class Candidate:
    """A Config rendered to source with its launch geometry, ready to compile."""

    template: str
    backend: str
    config: Config
    source: str
    suffix: str  # of the source file
    launch: Launch


@dataclass(frozen=True)
class KernelTemplate:
    """Jinja source + Space + launch geometry + seeds. The reference and the tolerance are the op's."""

    name: str
    op: str
    backend: str  # which tuner/backends/ file compiles it: "cpu", "triton", "cuda"
    source: str  # file name beside the template's module: "c_tiled.c.jinja"
    space: Space
    supports: Callable[[Problem, Target], str | None]
    """None, or why this template cannot compute the problem on the target."""
    launch: Callable[[Problem, Target, Mapping[str, Any]], Launch]
    """(problem, target, parameters and derived values) -> Launch."""
    seeds: Callable[[Problem, Target], Sequence[Mapping[str, Any]]]
    """Good guesses, best first; one that is not feasible here stands for the feasible config nearest to it."""
    work: Callable[[Problem, Target, Columns], Work] | None = None
    """The analytic model: (problem, target, values of many configs by parameter and derived name) -> their Work."""
    seeds_by_estimate: bool = False
    """Whether the analytic model knows better than the list of seeds which one is best."""

    @cached_property
    def digest(self) -> str:
        """Identity of what a time was taken of: the source text and what its parameters mean."""
        return digest({"name": self.name, "source": whole_text(self.op, self.source), "space": self.space.digest})

    @property
    def suffix(self) -> str:
        """Ending of the rendered file: `.c` of `c_tiled.c.jinja`."""
        return "." + self.source.split(".")[-2]

    def feasible(self, problem: Problem, target: Target) -> FeasibleSpace:
        return self.space.on(problem, target)

    def candidate(self, feasible: FeasibleSpace, problem: Problem, target: Target, config: Config) -> Candidate:
        """Render one config. Raises: SpaceError, with the reason, if it is not feasible."""
        feasible.index(config)
        values = feasible.bind(config)
        text = render(self.op, self.source, problem=problem.symbols(), target=target.symbols(), **values)
        return Candidate(self.name, self.backend, config, text, self.suffix, self.launch(problem, target, values))

    def seed_configs(self, feasible: FeasibleSpace, problem: Problem, target: Target) -> list[Config]:
        """The template's seeds, best first, each as the feasible config nearest to it; each once."""
        seeds = list(dict.fromkeys(feasible.nearest(seed) for seed in self.seeds(problem, target)))
        if not self.seeds_by_estimate:
            return seeds
        estimated_us = self.estimates_us(feasible, problem, target, [feasible.index(seed) for seed in seeds])
        assert estimated_us is not None, f"{self.name} has no analytic model"
        return [seeds[place] for place in np.argsort(estimated_us, kind="stable")]

    def estimate(
        self, feasible: FeasibleSpace, problem: Problem, target: Target
    ) -> Callable[[Sequence[int]], Floats] | None:
        """The analytic model as a function of rows; None where the template has none."""
        work = self.work
        if work is None:
            return None

        def of(rows: Sequence[int]) -> Floats:
            return estimates_us(
                work(problem, target, columns(self.space.declaration, feasible, problem, target, rows)), target
            )

        return of

    def estimates_us(
        self, feasible: FeasibleSpace, problem: Problem, target: Target, rows: Sequence[int]
    ) -> Floats | None:
        """µs of rows, by the analytic model; None where the template has none.

        `feasible` may be any space of this template's parameters: its own for the problem, or a list of configs.
        """
        estimate = self.estimate(feasible, problem, target)
        return None if estimate is None else estimate(rows)
