"""FeasibleSpace: the configs of a Space that satisfy every constraint, counted and ordered without being listed."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .binding import bound_rules, bound_values, constants_of, domains_of
from .canonical import digest
from .config import Config
from .conflict import smallest_conflict
from .declaration import Constraint, Declaration
from .description import Description, describe
from .drawing import distinct_below
from .errors import SpaceError, SpaceTooLarge
from .explanation import explain
from .groups import product_of
from .growth import Budget
from .neighbourhood import one_changed, one_step
from .parameters import Parameter
from .points import ABSENT, IndexTable, Points
from .problems import Problem
from .rules import Rule
from .targets import Target

MEMORY_BYTES = 1 << 30
"""What building a space, or listing it, may take unless the caller says otherwise."""

BLOCK_ROWS = 1 << 14


class FeasibleSpace(Sequence[Config]):
    """Every feasible config, in the order of nested loops over the parameters' values. Immutable.

    The loops nest as the parameters are declared, unless only another order fits the memory allowed: `order` tells.

    Spaces too large to list are counted (`total`), indexed and sampled all the same; what lists them (`matrix()`)
    refuses past the memory budget. `len()` is Python's and ends at 2^63.
    """

    def __init__(
        self,
        declaration: Declaration,
        problem: Problem | None = None,
        target: Target | None = None,
        memory_bytes: int = MEMORY_BYTES,
    ) -> None:
        self.declaration = declaration
        self.parameters: tuple[Parameter, ...] = declaration.parameters
        self.memory_bytes = memory_bytes
        self._constants = constants_of(problem, target)
        self._domains = domains_of(declaration)
        self._points = Points(self.parameters, self._domains)
        self._rules = bound_rules(declaration, self._constants, self._domains)
        self._product = product_of(self._domains, self._rules, Budget(memory_bytes, declaration.name))

    @property
    def total(self) -> int:
        """How many configs there are, exactly, however many."""
        return self._product.count

    def __len__(self) -> int:
        return self.total

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            chosen = range(self.total)[index]
            return self._at(chosen)
        return self._at([range(self.total)[index]])[0]  # as a sequence: from the end where negative, IndexError outside

    def __iter__(self) -> Iterator[Config]:
        for block in self._product.blocks(BLOCK_ROWS):
            yield from self._points.configs(block)

    def __contains__(self, config: object) -> bool:
        return isinstance(config, Mapping) and self.find(config) is not None

    @property
    def order(self) -> tuple[str, ...]:
        """Names of the parameters as the loops nest, outermost first."""
        return tuple(self.parameters[layer.position].name for _, layer in self._product.steps)

    @property
    def cartesian(self) -> int:
        """Configs there would be without any constraint or condition."""
        return math.prod(len(parameter.values) for parameter in self.parameters)

    @cached_property
    def conflict(self) -> tuple[Constraint, ...]:
        """A smallest set of constraints that leaves nothing; empty where something is feasible."""
        if self.total:
            return ()
        among = [rule.source for rule in self._rules if rule.source is not None]
        by_source = {rule.source: rule for rule in self._rules}
        conditions = [rule for rule in self._rules if rule.source is None]

        def satisfiable(sources: Collection[int]) -> bool:
            return self._counted([*conditions, *(by_source[source] for source in sources)]) != 0

        return tuple(self.declaration.constraints[source] for source in smallest_conflict(among, satisfiable))

    @property
    def emptied_by(self) -> str | None:
        """The reasons of the conflict where nothing is feasible."""
        return " and ".join(constraint.reason for constraint in self.conflict) or None

    def describe(self) -> Description:
        """How many configs each constraint removes: in turn, alone, and as the only one to do so."""
        return describe(self.declaration, self._rules, self._counted)

    @cached_property
    def digest(self) -> str:
        """Identity of the configs themselves: the space's, and what it was bound to."""
        constants = {name: value for name, value in self._constants.items() if name in self.declaration.names_read()}
        return digest({"space": self.declaration.digest, "bound": constants})

    def find(self, config: Mapping[str, Any]) -> int | None:
        """Position of a config, or None if it is not feasible here."""
        return self.find_all([config])[0]

    def find_all(self, configs: Iterable[Mapping[str, Any]]) -> list[int | None]:
        """Positions of many configs, some hundred times faster than one by one."""
        rows = [self._points.row(config) for config in configs]
        known = [row for row in rows if row is not None]
        ranks = iter(self._product.ranks(np.stack(known)).tolist() if known else ())
        found = (-1 if row is None else next(ranks) for row in rows)
        return [None if rank < 0 else rank for rank in found]

    def index(self, config: Any, *_: Any) -> int:
        """Position of a config. Raises: SpaceError, with the reason, if it is not feasible here."""
        position = self.find(config)
        if position is None:
            raise SpaceError(f"{dict(config)} is not in space {self.declaration.name}: {self.explain(config)}.")
        return position

    def matrix(self, positions: Sequence[int] | NDArray[Any] | None = None) -> IndexTable:
        """Value indices [configs, parameters] of all configs or of those at these positions; -1 where a conditional
        parameter is absent.

        int8 where no parameter has more than 127 values. The whole is read-only, its columns lie together in memory.
        Raises: SpaceTooLarge where the whole would not fit the memory budget.
        """
        if positions is None:
            return self._matrix
        if "_matrix" in self.__dict__:  # listed before: faster than to count to each position
            return self._matrix[positions]
        return self._points.outside(self._product.rows(np.asarray(positions)))

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the columns of `encode`."""
        return tuple(feature for parameter in self.parameters for feature in parameter.features)

    def encode(self, rows: IndexTable) -> NDArray[np.float32]:
        """Numbers a model reads [configs, features] for rows of value indices; NaN where a parameter is absent."""
        return self._points.encoded(rows)

    @cached_property
    def _matrix(self) -> IndexTable:
        product = self._product
        needed = self.total * (product.index_dtype.itemsize * max(1, len(self.parameters)) + 40)
        if needed > self.memory_bytes:
            raise SpaceTooLarge(
                f"the {self.total:,} configs of space {self.declaration.name} make a list of more than "
                f"{self.memory_bytes / 2**20:,.0f} MiB: sample() and [i] need none, or raise memory_bytes= of on()."
            )
        table = self._points.outside(product.table())
        table.flags.writeable = False
        return table

    def occurring(self) -> dict[str, tuple[int, ...]]:
        """By parameter, the value indices that some config has; -1 first where some config lacks the parameter."""
        listed = (indices.tolist() for indices in self._product.occurring())
        return {
            parameter.name: tuple(sorted(ABSENT if index == len(parameter.values) else index for index in indices))
            for parameter, indices in zip(self.parameters, listed, strict=True)
        }

    def draw(self, rng: np.random.Generator, n: int) -> list[int]:
        """Positions of `n` configs drawn uniformly without repetition; all of them, shuffled, where there are fewer."""
        positions: list[int] = distinct_below(rng, self.total, n).tolist()
        return positions

    def sample(self, rng: np.random.Generator, n: int) -> list[Config]:
        """`n` configs drawn uniformly without repetition; all of them, shuffled, where there are fewer."""
        return self._at(self.draw(rng, n))

    def neighbours(self, config: Mapping[str, Any], kind: Literal["hamming", "adjacent"] = "hamming") -> list[Config]:
        """Feasible configs one change away, in order; a relation that holds both ways.

        `hamming`: exactly one parameter differs, by any value. `adjacent`: one parameter takes a step to a neighbouring
        value (`Parameter.neighbours_of`), and conditional parameters that come or go with it may have any value.
        """
        row = self._inside(self.index(config))
        if kind not in ("hamming", "adjacent"):
            raise SpaceError(f'neighbours are "hamming" or "adjacent", not {kind!r}.')
        if kind == "hamming":
            return self._at(one_changed(self.parameters, self._product, row))
        return self._at(one_step(self.parameters, self._domains, self._product, row))

    def around(self, position: int) -> list[int]:
        """Positions of all neighbours of the config at a position, of either kind."""
        row = self._inside(position)
        near = (
            one_changed(self.parameters, self._product, row),
            one_step(self.parameters, self._domains, self._product, row),
        )
        positions: list[int] = np.unique(np.concatenate(near)).tolist()
        return positions

    def distances(
        self, indices: NDArray[np.integer[Any]], positions: Sequence[int] | NDArray[Any] | None = None
    ) -> NDArray[np.float64]:
        """How far configs, all or those at these positions, are from a point of value indices: the sum over parameters
        of `Parameter.steps_from`, and 1 for a parameter that is there on one side only."""
        table = self.matrix(positions)
        costs = self._points.costs(self._points.inside(np.asarray(indices)))
        distances: NDArray[np.float64] = np.sum([cost[table[:, place]] for place, cost in enumerate(costs)], axis=0)
        return distances

    def nearest(self, config: Mapping[str, Any]) -> Config:
        """The feasible config closest to a point of the space that need not be feasible itself; of equals the first.

        Raises: SpaceError for a name or value the space does not have, or where nothing is feasible.
        """
        row = self._points.row(config)
        if row is None or self.total == 0:
            raise SpaceError(f"nothing near {dict(config)}: {self.explain(config) if self.total else self.emptied_by}.")
        return self._points.configs(self._product.cheapest(self._points.costs(row))[None])[0]

    def bind(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The config's values together with the derived values that apply to it."""
        bound = bound_values(self.declaration, self._constants, config)
        return {name: value for name, value in bound.items() if name not in self._constants}

    def explain(self, config: Mapping[str, Any]) -> str:
        """Why a config is not feasible here, with the numbers on both sides, or "it is feasible"."""
        return explain(self.declaration, self._constants, config)

    def _counted(self, rules: Sequence[Rule]) -> int | None:
        """Configs that keep these rules, or None where they are too wide for the budget or fail to evaluate."""
        try:
            return product_of(self._domains, rules, Budget(self.memory_bytes, self.declaration.name)).count
        except SpaceError:
            return None

    def _inside(self, position: int) -> IndexTable:
        """The row at a position, absence as a diagram has it."""
        row: IndexTable = self._product.rows(np.array([position]))[0].astype(np.int64)
        return row

    def _at(self, ranks: Any) -> list[Config]:
        return self._points.configs(self._product.rows(ranks))
