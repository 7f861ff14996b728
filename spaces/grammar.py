"""The text form of expressions: a small part of Python's grammar, parsed and never evaluated as Python."""

from __future__ import annotations

import ast
from collections.abc import Collection
from typing import NoReturn

from .errors import SpaceError, UnknownName
from .expressions import Call, Const, Expr, Symbol, Where

MAX_CHARS = 2_000
MAX_DEPTH = 50

_BINARY: dict[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
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
_FUNCTIONS = {"min": "min", "max": "max", "min_": "min", "max_": "max", "ceil_div": "ceil_div"}


def parse(text: str, known: Collection[str]) -> Expr:
    """The expression a text such as `MWG % (MDIMC * VWM) == 0 and VWM in [1, 2]` means.

    `known` are the parameter names; `problem.x` and `target.x` are always understood.
    Raises: SpaceError for what the grammar does not hold, UnknownName for a name nobody defined.
    """
    if len(text) > MAX_CHARS:
        raise SpaceError(f"a constraint of {len(text):,} characters: at most {MAX_CHARS:,} are read.")
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise SpaceError(f'"{text}" is not an expression. Example: MWG % (MDIMC * VWM) == 0') from None
    return _Reader(text, known).read(tree.body, 0)


class _Reader:
    def __init__(self, text: str, known: Collection[str]) -> None:
        self.text, self.known = text, known

    def read(self, node: ast.expr, depth: int) -> Expr:
        if depth > MAX_DEPTH:
            raise SpaceError(f'"{self.text}" is nested deeper than {MAX_DEPTH} levels.')
        reader = getattr(self, f"_{type(node).__name__.lower()}", None)
        if reader is None:
            self._refuse(node)
        expression: Expr = reader(node, depth + 1)
        return expression

    def _refuse(self, node: ast.AST) -> NoReturn:
        raise SpaceError(
            f'"{self.text}": {type(node).__name__} is not part of a constraint. It may hold parameters, numbers, '
            "text, + - * / // %, comparisons, and, or, not, in [..], a if c else b, min, max, ceil_div."
        )

    def _constant(self, node: ast.Constant, depth: int) -> Expr:
        if not isinstance(node.value, int | float | str | bool):
            self._refuse(node)
        return Const(node.value)

    def _name(self, node: ast.Name, depth: int) -> Expr:
        if node.id not in self.known:
            raise UnknownName(node.id, f'a parameter in "{self.text}"', self.known)
        return Symbol(node.id)

    def _attribute(self, node: ast.Attribute, depth: int) -> Expr:
        if not isinstance(node.value, ast.Name) or node.value.id not in ("problem", "target"):
            self._refuse(node)
        return Symbol(f"{node.value.id}.{node.attr}")

    def _binop(self, node: ast.BinOp, depth: int) -> Expr:
        if type(node.op) not in _BINARY:
            self._refuse(node.op)
        return Call(_BINARY[type(node.op)], self.read(node.left, depth), self.read(node.right, depth))

    def _boolop(self, node: ast.BoolOp, depth: int) -> Expr:
        first, *rest = (self.read(value, depth) for value in node.values)
        for operand in rest:
            first = Call("&" if isinstance(node.op, ast.And) else "|", first, operand)
        return first

    def _unaryop(self, node: ast.UnaryOp, depth: int) -> Expr:
        operand = self.read(node.operand, depth)
        if isinstance(node.op, ast.USub):
            return Call("-", operand)
        if isinstance(node.op, ast.Not | ast.Invert):
            return Call("not", operand)
        return operand

    def _compare(self, node: ast.Compare, depth: int) -> Expr:
        joined: Expr | None = None
        left = self.read(node.left, depth)
        for op, right_node in zip(node.ops, node.comparators, strict=True):
            if isinstance(op, ast.In | ast.NotIn):
                link: Expr = self._membership(left, right_node, depth)
                link = link if isinstance(op, ast.In) else Call("not", link)
            elif type(op) in _COMPARISONS:
                right = self.read(right_node, depth)
                link = Call(_COMPARISONS[type(op)], left, right)
                left = right
            else:
                self._refuse(op)
            joined = link if joined is None else Call("&", joined, link)
        assert joined is not None  # ast.Compare always holds a comparison
        return joined

    def _membership(self, left: Expr, node: ast.expr, depth: int) -> Expr:
        if not isinstance(node, ast.List | ast.Tuple | ast.Set) or not node.elts:
            self._refuse(node)
        return Call("in", left, *(self.read(member, depth) for member in node.elts))

    def _ifexp(self, node: ast.IfExp, depth: int) -> Expr:
        return Where(*(self.read(part, depth) for part in (node.test, node.body, node.orelse)))

    def _call(self, node: ast.Call, depth: int) -> Expr:
        if not isinstance(node.func, ast.Name) or node.func.id not in _FUNCTIONS or node.keywords or not node.args:
            self._refuse(node)
        return Call(_FUNCTIONS[node.func.id], *(self.read(argument, depth) for argument in node.args))
