"""Columns: the values of many configs by name, for what is computed over all of them at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..spaces.binding import constants_of
from ..spaces.declaration import Declaration
from ..spaces.feasible import FeasibleSpace
from ..spaces.problems import Problem
from ..spaces.targets import Target

Columns = Mapping[str, NDArray[Any]]


def columns(
    declaration: Declaration, feasible: FeasibleSpace, problem: Problem, target: Target, rows: Sequence[int]
) -> Columns:
    """Parameters and derived values of rows of a space, [rows] each, by name.

    The names are those of `declaration`, which `feasible` need not have all: a parameter that is absent in a row, or in
    the whole space, has its default there. A derived value is there if all that it reads is: a problem from a store has
    no facts.
    """
    indices = feasible.matrix(list(rows))
    places = {parameter.name: place for place, parameter in enumerate(feasible.parameters)}
    found: dict[str, Any] = {}
    for parameter in declaration.parameters:
        place = places.get(parameter.name)
        if place is None:
            found[parameter.name] = np.full(len(indices), parameter.default)
        else:
            values = feasible.parameters[place].values
            found[parameter.name] = np.array([*values, parameter.default])[indices[:, place]]  # ABSENT, -1, is the last
    constants = constants_of(problem, target)
    for name, expression in declaration.derived.items():
        if expression.names() <= constants.keys() | found.keys():
            found[name] = np.broadcast_to(expression.value({**constants, **found}), len(indices))
    return found
