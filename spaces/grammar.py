"""The text form of expressions: a small part of Python's grammar, parsed and never evaluated as Python."""

from __future__ import annotations

from collections.abc import Collection

from .expressions import Expr
from .lists import Allowance, ListReader
from .reader import Reader
from .syntax import tree_of

MAX_CHARS = 10_000

MAX_MEMBERS = 1_000
"""Items of the lists such as `range(1, 9)` in one constraint."""

EXAMPLE = "MWG % (MDIMC * VWM) == 0"


def parse(text: str, known: Collection[str]) -> Expr:
    """The expression a text such as `MWG % (MDIMC * VWM) == 0 and VWM in [1, 2]` means.

    It has the value Python gives the text, with `~` for `not` where that is a truth value. `known` are the parameter
    names; `problem.x` and `target.x` are always understood, and the functions of spaces/functions.py.
    Raises: SpaceError for what the grammar does not hold, UnknownName for a name nobody defined.
    """
    tree = tree_of(text, MAX_CHARS, EXAMPLE)
    return Reader(text, known, ListReader(text, Allowance(MAX_MEMBERS)).items).read(tree)
