"""Space: parameters, constraints and derived values, written once and bound to a problem and a target later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, overload

from .binding import constants_of
from .declaration import Constraint, Declaration
from .description import Description
from .errors import SpaceError
from .explanation import explain
from .expressions import Expr, Operand, Symbol, Value, as_expr
from .feasible import MEMORY_BYTES, FeasibleSpace
from .grammar import parse
from .lists import listed_values
from .parameters import Parameter, choice
from .problems import Problem
from .targets import Target


class Space:
    """A search space under construction; `on()` gives the configs that are feasible for one problem and target."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._parameters: dict[str, Parameter] = {}
        self._derived: dict[str, Expr] = {}
        self._constraints: list[Constraint] = []
        self._conditions: dict[str, Expr] = {}

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return tuple(self._parameters.values())

    @property
    def declaration(self) -> Declaration:
        """What the space says by now, frozen."""
        return Declaration(
            self.name, self.parameters, tuple(self._constraints), dict(self._derived), dict(self._conditions)
        )

    @property
    def digest(self) -> str:
        return self.declaration.digest

    @overload
    def add(self, parameter: Parameter, /) -> Symbol: ...
    @overload
    def add(self, first: Parameter, second: Parameter, /, *rest: Parameter) -> tuple[Symbol, ...]: ...
    def add(self, *parameters: Parameter) -> Symbol | tuple[Symbol, ...]:
        """Add parameters; gives the symbol of one, or the symbols of several.

        Raises: SpaceError if a name is taken.
        """
        for parameter in parameters:
            self._claim(parameter.name)
            self._parameters[parameter.name] = parameter
        symbols = tuple(Symbol(parameter.name) for parameter in parameters)
        return symbols[0] if len(symbols) == 1 else symbols

    def derive(self, name: str, expression: Operand) -> Symbol:
        """Name a value that follows from others, such as `smem_bytes`; templates read it beside the parameters."""
        self._claim(name)
        self._derived[name] = as_expr(expression)
        return Symbol(name)

    def require(self, expression: Operand, reason: str) -> None:
        """Keep only configs for which `expression` holds. It does not apply where a parameter it reads is absent."""
        if not reason:
            raise SpaceError(f"the constraint `{expression}` needs a reason: it is what a refused config is told.")
        self._constraints.append(Constraint(as_expr(expression), reason))

    def when(self, condition: Operand, symbols: Symbol | Sequence[Symbol]) -> None:
        """Make parameters conditional: absent wherever `condition` does not hold."""
        for symbol in [symbols] if isinstance(symbols, Symbol) else symbols:
            if symbol.name not in self._parameters:
                raise SpaceError(f"when({condition}, …): {symbol.name} is not a parameter of space {self.name}.")
            if symbol.name in self._conditions:
                raise SpaceError(f"parameter {symbol.name} has a condition already: join both with `&`.")
            self._conditions[symbol.name] = as_expr(condition)

    def on(
        self, problem: Problem | None = None, target: Target | None = None, *, memory_bytes: int = MEMORY_BYTES
    ) -> FeasibleSpace:
        """The configs that satisfy every constraint for this problem on this target.

        Raises: SpaceError if an expression cannot be evaluated or the memory budget does not suffice,
        UnknownName for a name nothing binds.
        """
        return FeasibleSpace(self.declaration, problem, target, memory_bytes)

    def explain(self, config: Mapping[str, Any], problem: Problem | None = None, target: Target | None = None) -> str:
        """Why a config is not feasible for this problem on this target, with numbers, or "it is feasible"."""
        return explain(self.declaration, constants_of(problem, target), config)

    def describe(self, problem: Problem | None = None, target: Target | None = None) -> Description:
        """What the space holds for this problem on this target, and how many configs each constraint removes."""
        return self.on(problem, target).describe()

    @staticmethod
    def from_text(name: str, parameters: Mapping[str, Sequence[Value] | str], constraints: Sequence[str] = ()) -> Space:
        """A space from value lists, or text such as "[2**i for i in range(6)]", and constraints as Python expressions.

        Raises: SpaceError where a text is outside the grammar (spaces/lists.py, spaces/grammar.py).
        """
        space = Space(name)
        for parameter, listed in parameters.items():
            try:
                values = listed_values(listed)
            except SpaceError as error:
                raise SpaceError(f"parameter {parameter}: {error}") from None
            space.add(choice(parameter, *values))
        for text in constraints:
            space.require(parse(text, known=parameters), text)
        return space

    def _claim(self, name: str) -> None:
        if name in self._parameters or name in self._derived:
            raise SpaceError(f"{name} is defined twice in space {self.name}.")
