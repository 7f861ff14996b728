"""Rules that spaces of tiles of C have in common."""

from __future__ import annotations

from ...spaces.expressions import Expr, Symbol
from ...spaces.parameters import choice, pow2
from ...spaces.space import Space
from ...spaces.symbols import target
from ..limits import FULL_WAVES, SMALL_TILE


def require_large(s: Space, tile: Expr, tiles: Expr) -> None:
    """A tile of so many elements of C is small only where there are few."""
    s.require(
        (tile >= SMALL_TILE) | (tiles <= target.sm_count * FULL_WAVES),
        "small tiles read more than they compute, and so many are not needed to fill the chip",
    )


def add_order(s: Space, rows: Expr, columns: Expr) -> tuple[Symbol, Symbol]:
    """The order of a grid of tiles: groups along one dim, which go across it."""
    order, group = s.add(choice("ORDER", "m", "n"), pow2("GROUP", 1, 16, default=8))
    s.require((order != "m") | (group == 1) | (group <= rows), "a group is no higher than the grid of tiles")
    s.require((order != "n") | (group == 1) | (group <= columns), "a group is no wider than the grid of tiles")
    s.require((rows > 1) & (columns > 1) | ((order == "m") & (group == 1)), "a single row of tiles has one order")
    return order, group
