"""Neighbourhood: the feasible rows one change away from a row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .growth import Array
from .parameters import Parameter
from .product import Product
from .rules import Domain


def one_changed(parameters: Sequence[Parameter], product: Product, row: Array) -> Array:
    """Positions of the rows that differ from `row` [width] in exactly one parameter, by any value."""
    changed = [row[None][:0]]
    for place, parameter in enumerate(parameters):
        if row[place] < len(parameter.values):
            rows = np.repeat(row[None], len(parameter.values), axis=0)
            rows[:, place] = np.arange(len(rows))
            changed.append(np.delete(rows, row[place], axis=0))
    ranks = product.ranks(np.concatenate(changed))
    return np.sort(ranks[ranks >= 0])


def one_step(parameters: Sequence[Parameter], domains: Sequence[Domain], product: Product, row: Array) -> Array:
    """Positions of the rows in which one parameter takes a step, and the conditional ones follow.

    A conditional parameter may come, with any value, or go; one that stays keeps its value.
    """
    kept = []
    for domain, index in zip(domains, row, strict=True):
        may = np.arange(domain.size) == index
        if domain.conditional:
            may |= np.arange(domain.size) == len(domain.values)
            may |= index == len(domain.values)
        kept.append(may)
    found = [row[None][:0]]
    for place, parameter in enumerate(parameters):
        if row[place] < len(parameter.values):
            step = np.isin(np.arange(domains[place].size), parameter.neighbours_of(int(row[place])))
            found.append(product.matching([*kept[:place], step, *kept[place + 1 :]]))
    return np.sort(product.ranks(np.concatenate(found)))
