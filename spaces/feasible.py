"""FeasibleSpace: the configs of a Space that satisfy every constraint, as one table of value indices.

The table grows a parameter at a time; each constraint cuts it as soon as all it reads is bound.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .canonical import digest
from .config import Config
from .declaration import Constraint, Declaration
from .errors import SpaceError
from .expressions import Call, Column, Expr
from .parameters import Parameter
from .problems import Problem
from .targets import Target

ABSENT = -1
"""Value index of a conditional parameter where it does not apply."""

MAX_ROWS = 50_000_000
"""Rows the table may have while it grows; beyond it a space is refused rather than the machine brought down."""

IndexTable = NDArray[np.int32]


class FeasibleSpace(Sequence[Config]):
    """Every feasible config, in the order of nested loops over the parameters' values. Immutable."""

    def __init__(self, declaration: Declaration, problem: Problem | None = None, target: Target | None = None) -> None:
        self.declaration = declaration
        self.parameters: tuple[Parameter, ...] = declaration.parameters
        self._constants: dict[str, Column] = {}
        for scope, bound in (("problem", problem), ("target", target)):
            if bound is not None:
                self._constants |= {f"{scope}.{name}": value for name, value in bound.symbols().items()}
        self.emptied_by: str | None = None  # reason of the constraint that left nothing
        self._table = self._enumerate()

    def __len__(self) -> int:
        return len(self._table)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self._config(row) for row in self._table[index]]
        return self._config(self._table[index])

    def __iter__(self) -> Iterator[Config]:
        return (self._config(row) for row in self._table)

    def __contains__(self, config: object) -> bool:
        return isinstance(config, Mapping) and self.find(config) is not None

    @property
    def cartesian(self) -> int:
        """Configs there would be without any constraint or condition."""
        return math.prod(len(parameter.values) for parameter in self.parameters)

    @cached_property
    def digest(self) -> str:
        """Identity of the configs themselves: the space's, and what it was bound to."""
        constants = {name: value for name, value in self._constants.items() if name in self.declaration.names_read()}
        return digest({"space": self.declaration.digest, "bound": constants})

    def find(self, config: Mapping[str, Any]) -> int | None:
        """Position of a config, or None if it is not feasible here."""
        row = self._row(config)
        return None if row is None else self._positions.get(row.tobytes())

    def index(self, config: Any, *_: Any) -> int:
        """Position of a config. Raises: SpaceError, with the reason, if it is not feasible here."""
        position = self.find(config)
        if position is None:
            raise SpaceError(f"{dict(config)} is not in space {self.declaration.name}: {self.explain(config)}.")
        return position

    def matrix(self) -> IndexTable:
        """Value indices [configs, parameters], -1 where a conditional parameter is absent. Read-only."""
        return self._table

    def sample(self, rng: np.random.Generator, n: int) -> list[Config]:
        """`n` configs drawn uniformly without repetition; all of them, shuffled, where there are fewer."""
        picked = rng.choice(len(self), size=min(n, len(self)), replace=False)
        return [self[int(position)] for position in picked]

    def neighbours(self, config: Mapping[str, Any]) -> list[Config]:
        """Feasible configs that differ from `config` in exactly one parameter."""
        row = self._table[self.index(config)]
        differing = (self._table != row).sum(axis=1)
        return [self._config(other) for other in self._table[differing == 1]]

    def distances(self, indices: NDArray[np.integer[Any]], rows: Any = slice(None)) -> NDArray[np.float64]:
        """How far rows are from a point of value indices: steps over the range for ordered parameters, else 0 or 1."""
        table = self._table[rows]
        spans = np.array([max(1, len(parameter.values) - 1) for parameter in self.parameters])
        ordered = np.array([parameter.ordered for parameter in self.parameters])
        stepwise = ordered & (table != ABSENT) & (indices != ABSENT)
        distances: NDArray[np.float64] = np.where(stepwise, np.abs(table - indices) / spans, table != indices).sum(
            axis=1
        )
        return distances

    def nearest(self, config: Mapping[str, Any]) -> Config:
        """The feasible config closest to a point of the space that need not be feasible itself; of equals the first.

        Raises: SpaceError for a name or value the space does not have, or where nothing is feasible.
        """
        row = self._row(config)
        if row is None or len(self) == 0:
            raise SpaceError(f"nothing near {dict(config)}: {self.explain(config) if len(self) else self.emptied_by}.")
        return self._config(self._table[int(self.distances(row).argmin())])

    def bind(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The config's values together with the derived values that apply to it."""
        env: dict[str, Any] = {**self._constants, **config}
        for name, expression in self.declaration.derived.items():
            if expression.names() <= env.keys():
                env[name] = _plain(expression.value(env))
        return {name: value for name, value in env.items() if name not in self._constants}

    def explain(self, config: Mapping[str, Any]) -> str:
        """Why a config is not feasible here, with the numbers on both sides, or "it is feasible"."""
        by_name = {parameter.name: parameter for parameter in self.parameters}
        for name, value in config.items():
            if name not in by_name:
                return f"{name} is not a parameter (known: {', '.join(by_name)})"
            if value not in by_name[name].values:
                return f"{name}={value!r} is not one of {list(by_name[name].values)}"
        env = {**self._constants, **self.bind(config)}
        for name in by_name:
            condition = self.declaration.conditions.get(name)
            wanted = condition is None or bool(condition.value(env))
            if wanted != (name in config):
                return f"{name} is {'missing' if wanted else f'only there when {condition}'}"
        for constraint in self.declaration.constraints:
            if constraint.expression.names() <= env.keys() and not constraint.expression.value(env):
                return f"{constraint.reason} ({_with_numbers(constraint.expression, env)})"
        return "it is feasible"

    # -- construction ---------------------------------------------------------------------------------------------

    def _enumerate(self) -> IndexTable:
        table: IndexTable = np.zeros((1, 0), dtype=np.int32)
        waiting = list(self.declaration.constraints)
        derived = dict(self.declaration.derived)
        bound = set(self._constants)
        table = self._cut(table, waiting, derived, bound)
        for parameter in self.parameters:
            table = self._grow(table, parameter, bound)
            bound.add(parameter.name)
            table = self._cut(table, waiting, derived, bound)
        for constraint in waiting:
            constraint.expression.value(self._columns(table))  # raises, with the name that nothing binds
        table.flags.writeable = False
        return table

    def _grow(self, table: IndexTable, parameter: Parameter, bound: set[str]) -> IndexTable:
        """Cross the table with a parameter's values, where its condition holds."""
        count, width = table.shape
        condition = self.declaration.conditions.get(parameter.name)
        active = np.ones(count, dtype=bool)
        if condition is not None:
            late = condition.names() - bound - set(self.declaration.derived)
            if late:
                raise SpaceError(f"when({condition}, {parameter.name}): add {', '.join(sorted(late))} before it.")
            active = np.broadcast_to(condition.value(self._columns(table)), count).astype(bool)
        copies = np.where(active, len(parameter.values), 1)
        total = int(copies.sum())
        if total > MAX_ROWS:
            raise SpaceError(
                f"space {self.declaration.name} grows past {MAX_ROWS:,} rows at {parameter.name}: "
                "declare tightly constrained parameters first, or require more."
            )
        grown = np.empty((total, width + 1), dtype=np.int32)
        grown[:, :width] = np.repeat(table, copies, axis=0)
        first = np.repeat(np.cumsum(copies) - copies, copies)
        grown[:, width] = np.where(np.repeat(active, copies), np.arange(total) - first, ABSENT)
        return grown

    def _cut(
        self, table: IndexTable, waiting: list[Constraint], derived: dict[str, Expr], bound: set[str]
    ) -> IndexTable:
        """Apply every waiting constraint whose names are bound by now."""
        for name in [name for name, expression in derived.items() if expression.names() <= bound]:
            bound.add(name)
            del derived[name]
        for constraint in [c for c in waiting if c.expression.names() <= bound]:
            waiting.remove(constraint)
            if len(table) == 0:
                continue
            table = table[self._holds(constraint.expression, table)]
            if len(table) == 0 and self.emptied_by is None:
                self.emptied_by = constraint.reason
        return table

    def _holds(self, expression: Expr, table: IndexTable) -> NDArray[np.bool_]:
        """Row mask: the expression holds, or a parameter it reads is absent."""
        names = self.declaration.parameters_read(expression)
        applies = np.ones(len(table), dtype=bool)
        for position, parameter in enumerate(self.parameters[: table.shape[1]]):
            if parameter.name in names:
                applies &= table[:, position] != ABSENT
        keep = ~applies
        if applies.any():
            keep[applies] = expression.value(self._columns(table[applies]))
        return keep

    def _columns(self, table: IndexTable) -> dict[str, Column]:
        env: dict[str, Column] = dict(self._constants)
        for position, parameter in enumerate(self.parameters[: table.shape[1]]):
            env[parameter.name] = np.asarray(parameter.values)[table[:, position]]
        for name, expression in self.declaration.derived.items():
            if expression.names() <= env.keys():
                env[name] = expression.value(env)
        return env

    # -- rows and configs -----------------------------------------------------------------------------------------

    @cached_property
    def _positions(self) -> dict[bytes, int]:
        return {row.tobytes(): position for position, row in enumerate(self._table)}

    def _config(self, row: NDArray[np.int32]) -> Config:
        pairs = zip(self.parameters, row, strict=True)
        return Config({p.name: p.values[index] for p, index in pairs if index != ABSENT})

    def _row(self, config: Mapping[str, Any]) -> NDArray[np.int32] | None:
        known = {parameter.name for parameter in self.parameters}
        if not config.keys() <= known:
            return None
        row = np.full(len(self.parameters), ABSENT, dtype=np.int32)
        for position, parameter in enumerate(self.parameters):
            if parameter.name in config:
                value = config[parameter.name]
                if value not in parameter.values:
                    return None
                row[position] = parameter.values.index(value)
        return row


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _with_numbers(expression: Expr, env: Mapping[str, Any]) -> str:
    """A refused comparison with the numbers on both sides: `smem_bytes 114,688 <= target.smem… 101,376`."""
    if not isinstance(expression, Call) or len(expression.operands) != 2:
        return str(expression)
    left, right = (f"{side} = {_plain(side.value(env))}" if side.names() else str(side) for side in expression.operands)
    return f"{left} {expression.function} {right}"
