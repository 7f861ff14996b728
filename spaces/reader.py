"""What each node of Python's syntax tree means as an expression; nodes that are not listed here are refused."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Collection, Sequence
from functools import cached_property, reduce
from typing import Any, NoReturn
from unicodedata import normalize

from .errors import SpaceError, UnknownName
from .expressions import Call, Const, Expr, Symbol, Value, Where
from .syntax import QUOTED_CHARS, excerpt

MAX_DEPTH = 160
"""Operators between the top of an expression and its innermost name; `a + b + c` has two."""

MAX_COPIES = 2_000
"""Operands that stand for more than they are written: the middle of a chain, the left of an `or` over numbers."""

MAX_INTEGER = 10**18

_BINARY: dict[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Pow: "**",
    ast.BitAnd: "&",
    ast.BitOr: "|",
}
_COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}
_ANY = 10_000
_FUNCTIONS = {
    **dict.fromkeys(("min", "min_"), ("min", 2, _ANY)),
    **dict.fromkeys(("max", "max_"), ("max", 2, _ANY)),
    "abs": ("abs", 1, 1),
    "ceil_div": ("ceil_div", 2, 2),
    "position": ("position", 2, 2),
    "in_": ("in", 2, _ANY),
    "where": ("where", 3, 3),
}
"""Name -> the operation, and how many arguments it takes at least and at most."""

Listed = Callable[[ast.expr], Sequence[Value]]


def joined(word: str, left: Expr, right: Expr) -> Expr:
    """`left and right` or `left or right` as Python means them: the side that decides is the value."""
    if left.is_truth and right.is_truth:
        return Call("&" if word == "and" else "|", left, right)
    return Where(left, right, left) if word == "and" else Where(left, left, right)


def is_plain(value: Value) -> bool:
    """Whether a value may stand in text. numpy drops trailing null characters, and lone surrogates have no UTF-8."""
    if isinstance(value, str):
        return value.isprintable() or value == value.encode(errors="ignore").decode().replace("\0", "")
    return math.isfinite(value) if isinstance(value, float) else abs(value) <= MAX_INTEGER


PLAIN_VALUES = (
    f"values are finite numbers, with integers not above {MAX_INTEGER:,}, "
    "and text without null characters or lone surrogates"
)


class Reader:
    """The nodes of one text as expressions over `known` names; `listed` reads a list of constants such as `range(4)`.

    Raises: SpaceError for what the grammar does not hold, UnknownName for a name nobody defined.
    """

    def __init__(self, text: str, known: Collection[str], listed: Listed) -> None:
        self.text, self.known, self._listed = text, known, listed
        self._copies = 0

    def read(self, node: ast.expr, depth: int = 0) -> Expr:
        if depth > MAX_DEPTH:
            self.fail(f"nested deeper than {MAX_DEPTH} levels: split it into several")
        reader = _READERS.get(type(node))
        if reader is None:
            self._refuse(node)
        return reader(self, node, depth + 1)

    def fail(self, trouble: str) -> NoReturn:
        raise SpaceError(f"{excerpt(self.text)}: {trouble}.")

    def _refuse(self, node: ast.AST) -> NoReturn:
        self.fail(
            f"{type(node).__name__} is not part of the language. It has parameters, numbers, text, + - * / // % **, "
            f"comparisons, and, or, not, in [..], a if c else b, {', '.join(_FUNCTIONS)}"
        )

    def _constant(self, node: ast.Constant, depth: int) -> Expr:
        value = node.value
        if not isinstance(value, int | float | str):
            self.fail(
                f"{type(value).__name__} values are not part of the language: it has numbers, text, True and False"
            )
        if not is_plain(value):
            self.fail(PLAIN_VALUES)
        return Const(value)

    def _name(self, node: ast.Name, depth: int) -> Expr:
        if node.id in self.known and self.text.isascii():
            return Symbol(node.id)
        spellings = self._spellings.get(node.id, [])
        if len(spellings) > 1:
            self.fail(f"Python reads the names {' and '.join(spellings)} as one: rename a parameter")
        if not spellings:
            shown = node.id[:QUOTED_CHARS]
            raise UnknownName(shown, f"a parameter in {excerpt(self.text)}", self.known)
        return Symbol(spellings[0])

    @cached_property
    def _spellings(self) -> dict[str, list[str]]:
        """Known names by what Python's parser makes of them (NFKC)."""
        spellings: dict[str, list[str]] = {}
        for name in self.known:
            spellings.setdefault(normalize("NFKC", name), []).append(name)
        return spellings

    def _attribute(self, node: ast.Attribute, depth: int) -> Expr:
        scope = node.value
        if not isinstance(scope, ast.Name) or scope.id not in ("problem", "target") or node.attr.startswith("_"):
            self._refuse(node)
        return Symbol(f"{scope.id}.{node.attr}")

    def _binop(self, node: ast.BinOp, depth: int) -> Expr:
        links = [node]
        while isinstance(links[-1].left, ast.BinOp):  # `a + b + c` leans to the left: read without recursion
            links.append(links[-1].left)
        depth += len(links) - 1
        left = self.read(links[-1].left, depth)
        for link in reversed(links):
            sign = _BINARY.get(type(link.op))
            if sign is None:
                self._refuse(link.op)
            right = self.read(link.right, depth)
            if sign == "**" and not right.names():
                self._check_exponent(right)
            left = Call(sign, left, right)
            depth -= 1
        return left

    def _check_exponent(self, exponent: Expr) -> None:
        """Refuse now what no value of a parameter could mend."""
        try:
            Call("**", 1, exponent).value({})
        except SpaceError as error:
            self.fail(str(error).rstrip("."))

    def _boolop(self, node: ast.BoolOp, depth: int) -> Expr:
        depth += len(node.values) - 2
        operands = [self.read(value, depth) for value in node.values]
        return self._joined("and" if isinstance(node.op, ast.And) else "or", operands)

    def _joined(self, word: str, operands: Sequence[Expr]) -> Expr:
        if all(operand.is_truth for operand in operands):
            return reduce(lambda left, right: joined(word, left, right), operands)
        return reduce(lambda right, left: self._join(word, left, right), reversed(operands))

    def _join(self, word: str, left: Expr, right: Expr) -> Expr:
        if not (left.is_truth and right.is_truth):
            self._copy(left)
        return joined(word, left, right)

    def _copy(self, operand: Expr) -> None:
        """Count an operand that stands twice: copies of copies would grow without bound."""
        self._copies += 1
        if self._copies > MAX_COPIES:
            self.fail(f"written out it has more than {MAX_COPIES:,} operands: split it into several")
        for part in operand.operands:
            self._copy(part)

    def _unaryop(self, node: ast.UnaryOp, depth: int) -> Expr:
        operand = self.read(node.operand, depth)
        if isinstance(node.op, ast.Not):
            return Call("not", operand)
        if isinstance(node.op, ast.Invert):
            if not operand.is_truth:
                self.fail("~ turns the bits of a number around: write not")
            return Call("not", operand)
        minus = isinstance(node.op, ast.USub)
        if isinstance(operand, Const) and type(operand.constant) in (int, float):
            return Const(-operand.constant) if minus else operand  # type: ignore[operator]  # a number, as just seen
        return Call("-", operand) if minus else Call("+", 0, operand)

    def _compare(self, node: ast.Compare, depth: int) -> Expr:
        depth += len(node.ops) - 1
        links: list[Expr] = []
        left = self.read(node.left, depth)
        for op, right_node in zip(node.ops, node.comparators, strict=True):
            if links:
                self._copy(left)
            sign = _COMPARISONS.get(type(op))
            if sign is not None:
                right = self.read(right_node, depth)
                links.append(Call(sign, left, right))
                left = right
            elif len(node.ops) == 1 and isinstance(op, ast.In | ast.NotIn):
                member = self._membership(left, right_node, depth)
                links.append(member if isinstance(op, ast.In) else Call("not", member))
            else:
                self._refuse(op)
        return links[0] if len(links) == 1 else self._joined("and", links)

    def _membership(self, item: Expr, node: ast.expr, depth: int) -> Expr:
        if isinstance(node, ast.List | ast.Tuple | ast.Set) and not any(isinstance(m, ast.Starred) for m in node.elts):
            members: list[Any] = [self.read(member, depth) for member in node.elts]
        else:
            members = list(self._listed(node))
        return Call("in", item, *members) if members else Const(False)

    def _ifexp(self, node: ast.IfExp, depth: int) -> Expr:
        return Where(self.read(node.test, depth), self.read(node.body, depth), self.read(node.orelse, depth))

    def _call(self, node: ast.Call, depth: int) -> Expr:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name not in _FUNCTIONS or node.keywords:
            self._refuse(node)
        function, least, most = _FUNCTIONS[name]
        arguments = node.args
        if function in ("min", "max") and len(arguments) == 1 and isinstance(arguments[0], ast.List | ast.Tuple):
            arguments = arguments[0].elts
            if len(arguments) == 1:
                return self.read(arguments[0], depth)
        if not least <= len(arguments) <= most:
            self.fail(f"{name} takes {least if least == most else f'{least} or more'} arguments, not {len(arguments)}")
        operands = [self.read(argument, depth) for argument in arguments]
        if function == "position" and not (isinstance(operands[1], Const) and isinstance(operands[1].constant, str)):
            self.fail('position takes a permutation and an item as text: position(LOOPS, "k")')
        return Where(*operands) if function == "where" else Call(function, *operands)


_READERS: dict[type[ast.AST], Callable[[Reader, Any, int], Expr]] = {
    ast.Constant: Reader._constant,
    ast.Name: Reader._name,
    ast.Attribute: Reader._attribute,
    ast.BinOp: Reader._binop,
    ast.BoolOp: Reader._boolop,
    ast.UnaryOp: Reader._unaryop,
    ast.Compare: Reader._compare,
    ast.IfExp: Reader._ifexp,
    ast.Call: Reader._call,
}
