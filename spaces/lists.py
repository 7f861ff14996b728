"""Lists of values as text, such as "[1, 2] + list(range(4, 33, 4))" or "[2**i for i in range(6)]", read and never run.

The auto-tuning community publishes search spaces with such texts (spaces/t1.py).
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np

from .columns import Column, truth
from .errors import SpaceError, UnknownName
from .expressions import Expr, Value
from .parameters import MAX_VALUES
from .reader import PLAIN_VALUES, Reader, is_plain
from .syntax import excerpt, tree_of

MAX_CHARS = 200_000
MAX_NESTING = 8
EXAMPLE = "[16, 32, 64]"

Items = list[Any] | tuple[Any, ...] | range


class Allowance:
    """Items that may still be made, so that lists made only to be thrown away end too."""

    def __init__(self, items: int = 4 * MAX_VALUES) -> None:
        self.left = items

    def take(self, count: int) -> bool:
        self.left -= count
        return self.left >= 0


def read_values(text: str, allowance: Allowance | None = None) -> tuple[Value, ...]:
    """The values a text lists, in order: what Python's `eval` gives where this grammar holds the text.

    Displays, range, list, tuple, sorted, `+`, and comprehensions of one or two clauses, over constants.
    Raises: SpaceError for anything else, and before more than 1,000,000 values would be made.
    """
    tree = tree_of(text, MAX_CHARS, EXAMPLE)
    return tuple(ListReader(text, allowance or Allowance()).items(tree))


def listed_values(listed: object, allowance: Allowance | None = None) -> tuple[Value, ...]:
    """Values given as a list, or as the text of one. Raises: SpaceError for anything else."""
    if isinstance(listed, str):
        return read_values(listed, allowance)
    if not isinstance(listed, Sequence):
        raise SpaceError(f"values are a list or the text of one, not {excerpt(repr(listed))}. Example: {EXAMPLE}")
    for value in listed:
        if not isinstance(value, int | float | str) or not is_plain(value):
            raise SpaceError(f"{excerpt(repr(value))} cannot be a value: {PLAIN_VALUES}.")
    return tuple(listed)


class ListReader:
    """The list nodes of one text as their items."""

    def __init__(self, text: str, allowance: Allowance) -> None:
        self.text, self._allowance = text, allowance

    def items(self, node: ast.expr, depth: int = 0) -> Items:
        """The items of a list, tuple or range. Raises: SpaceError for a node that is none."""
        if depth > MAX_NESTING:
            self._fail(f"lists are nested deeper than {MAX_NESTING} levels")
        reader = _READERS.get(type(node))
        if reader is None:
            self._fail(f"{type(node).__name__} is no list of values. Example: {EXAMPLE}")
        return reader(self, node, depth + 1)

    def _fail(self, trouble: str) -> NoReturn:
        raise SpaceError(f"{excerpt(self.text)}: {trouble}.")

    def _spend(self, count: int) -> None:
        """Refuse items before they are made."""
        if count > MAX_VALUES or not self._allowance.take(count):
            self._fail(f"{count:,} items are too many here: a parameter has at most {MAX_VALUES:,} values")

    def _display(self, node: ast.List | ast.Tuple, depth: int) -> Items:
        self._spend(len(node.elts))
        items: list[Any] = []
        for element in node.elts:
            if isinstance(element, ast.Starred):
                more = self.items(element.value, depth)
                self._spend(len(items) + len(more))
                items += more
            else:
                items.append(self._scalar(element))
        return items if isinstance(node, ast.List) else tuple(items)

    def _plus(self, node: ast.BinOp, depth: int) -> Items:
        terms: list[ast.expr] = []
        first: ast.expr = node
        while isinstance(first, ast.BinOp):  # `a + b + c` leans to the left: read without recursion
            if not isinstance(first.op, ast.Add):
                self._fail("lists are only joined with +")
            terms.append(first.right)
            first = first.left
        items = self.items(first, depth)
        joined = list(items)
        for term in reversed(terms):
            more = self.items(term, depth)
            if type(more) is not type(items) or isinstance(more, range):
                self._fail("only lists are joined with lists, and tuples with tuples: write list(range(…))")
            self._spend(len(joined) + len(more))
            joined += more
        return joined if isinstance(items, list) else tuple(joined)

    def _call(self, node: ast.Call, depth: int) -> Items:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name == "range" and not node.keywords:
            return self._range([self._scalar(argument) for argument in node.args])
        if name not in ("list", "tuple", "sorted") or node.keywords or len(node.args) != 1:
            self._fail(f"a call here is range(…), list(…), tuple(…) or sorted(…). Example: {EXAMPLE}")
        argument = node.args[0]
        generated = isinstance(argument, ast.GeneratorExp)
        items = self._comprehension(argument, depth) if generated else self.items(argument, depth)
        self._spend(len(items))
        try:
            return tuple(items) if name == "tuple" else sorted(items) if name == "sorted" else list(items)
        except TypeError:
            self._fail("numbers and text have no common order")

    def _range(self, bounds: list[Any]) -> range:
        try:
            listed = range(*bounds)
            self._spend(len(listed))
        except (TypeError, ValueError, OverflowError) as error:  # OverflowError: more items than a list can have
            self._fail(f"range{tuple(bounds)} cannot be made ({error})")
        return listed

    def _comprehension(self, node: ast.expr, depth: int) -> list[Any]:
        assert isinstance(node, ast.ListComp | ast.GeneratorExp)
        if len(node.generators) > 2:
            self._fail("a comprehension has one or two for clauses")
        env: dict[str, Column] = {}
        count = 1
        for clause in node.generators:
            if clause.is_async or not isinstance(clause.target, ast.Name):
                self._fail("a for clause has one name: for i in …")
            items = self.items(clause.iter, depth)
            self._spend(count * len(items))
            column = np.empty(len(items), dtype=object)  # objects, so that each item stays the Python value it is
            column[:] = items
            env = {name: np.repeat(values, len(items)) for name, values in env.items()}
            env[clause.target.id] = np.tile(column, count)
            count *= len(items)
            for condition in clause.ifs:
                held = np.broadcast_to(truth(self._column(condition, env, count)), (count,))
                env = {name: values[held] for name, values in env.items()}
                count = int(held.sum())
        column = self._column(node.elt, env, count)
        return [self._checked(value) for value in np.broadcast_to(_boxed(column), (count,)).tolist()]

    def _column(self, node: ast.expr, env: Mapping[str, Column], count: int) -> Column:
        """The values of a scalar for each of `count` rows; nothing is evaluated for no rows."""
        expression = self._read(node, env.keys())
        return self._valued(expression, env) if count else False

    def _scalar(self, node: ast.expr) -> Value:
        if isinstance(node, ast.Constant) and type(node.value) is int:  # most lists are of these
            return self._checked(node.value)
        value = self._valued(self._read(node, ()), {})
        return self._checked(value.item() if isinstance(value, np.generic | np.ndarray) else value)

    def _read(self, node: ast.expr, known: Collection[str]) -> Expr:
        try:
            return Reader(self.text, known, self.items).read(node)
        except UnknownName:
            self._fail("a list reads no names but those of its own for clauses, and a clause reads none")

    def _valued(self, expression: Expr, env: Mapping[str, Column]) -> Column:
        try:
            with np.errstate(all="ignore"):  # as Python: an overflowing float is infinite, without a warning
                return expression.value(env)
        except SpaceError as error:
            self._fail(str(error).rstrip("."))

    def _checked(self, value: Any) -> Value:
        if isinstance(value, int | float | str) and is_plain(value):
            return value
        self._fail(PLAIN_VALUES)


def _boxed(column: Column) -> Column:
    """A column in which text is not cut to the length of numpy's own kind."""
    return np.asarray(column, dtype=object) if isinstance(column, str) else column


_READERS: dict[type[ast.AST], Callable[[ListReader, Any, int], Items]] = {
    ast.List: ListReader._display,
    ast.Tuple: ListReader._display,
    ast.BinOp: ListReader._plus,
    ast.Call: ListReader._call,
    ast.ListComp: ListReader._comprehension,
}
