"""Flags of an op's commands, made from its description."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from inspect import Parameter, Signature
from typing import Any

import typer
from typer.core import TyperCommand

from ...templates.catalogue import ops
from ...templates.op import Field, Op

DEVICE_HELP = "auto, cpu, cuda, or cuda:1 for the second GPU"


def flag_name(field: str) -> str:
    """`kv_heads` as `--kv-heads`."""
    return "--" + field.replace("_", "-")


def option(name: str, kind: Any, default: Any, help: str, **more: Any) -> Parameter:
    """A keyword parameter that typer reads as an option."""
    info = typer.Option(default, flag_name(name), help=help, **more)
    return Parameter(name, Parameter.KEYWORD_ONLY, default=info, annotation=kind)


def switch(name: str, default: bool, help: str) -> Parameter:
    """A keyword parameter that typer reads as `--name/--no-name`."""
    info = typer.Option(default, f"{flag_name(name)}/{flag_name('no_' + name)}", help=help)
    return Parameter(name, Parameter.KEYWORD_ONLY, default=info, annotation=bool)


def answer_options() -> list[Parameter]:
    """What every command takes that answers about a problem."""
    return [
        option("policy", str, "cold", "how times are taken: caches cold or warm", metavar="cold|warm"),
        option("db", str | None, None, "SQLAlchemy URL of the database [env KERNTUNE_DB]", metavar="URL"),
        option("json", bool, False, "one JSON object on standard output"),
    ]


def stop_options() -> list[Parameter]:
    """What may end a search before its budget is spent."""
    return [
        option("patience", int | None, None, "stop after so many trials in a row without a better best", metavar="N"),
        option("min_gain", float | None, None, "stop when less is expected, a share as 0.01", metavar="SHARE"),
        option("target_us", float | None, None, "stop at a best of so many µs", metavar="US"),
    ]


def op_options(op: Op) -> list[Parameter]:
    """--shape and every field of the op; the op checks the values, so that the rule and its words live once."""
    shape = option("shape", str, ..., f"{op.shape_format}, such as {op.example}", metavar=op.shape_format)
    return [shape, *(_field_option(field) for field in op.fields)]


def _field_option(field: Field) -> Parameter:
    kind = field.type
    metavar = "|".join(field.choices) if 0 < len(field.choices) <= 4 else None
    metavar = f"{field.absent}|INTEGER" if field.absent else metavar
    help = field.help if metavar or not field.choices else f"{field.help} ({', '.join(field.choices)})"
    return option(field.name, kind | None if field.default is None else kind, field.default, help, metavar=metavar)


class OpCommand(TyperCommand):
    """A command with the options of an op, of which a switch may stand alone: `--causal` says `--causal yes`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """See TyperCommand."""
        switches = {flag_name(field.name) for op in ops().values() for field in op.fields if field.is_switch}
        said: list[str] = []
        for word, following in zip(args, [*args, "-"][1:], strict=True):
            said += [word, "yes"] if word in switches and following.startswith("-") else [word]
        return super().parse_args(ctx, said)


def fields_of(op: Op, values: Mapping[str, Any]) -> dict[str, Any]:
    """Dims and fields of the op among parsed flags. Raises: ShapeError."""
    return {**op.parse_shape(values["shape"]), **{field.name: values[field.name] for field in op.fields}}


def as_asked(op: Op, values: Mapping[str, Any]) -> str:
    """The flags that name a problem and where, without those that say the default."""
    usual = {"shape": None, **{field.name: field.default for field in op.fields}, "device": "auto", "policy": "cold"}
    return " ".join(f"{flag_name(name)} {values[name]}" for name, word in usual.items() if values[name] != word)


def with_signature(
    function: Callable[..., Any], name: str, doc: str, parameters: Sequence[Parameter]
) -> Callable[..., Any]:
    """`function(**values)` dressed as a command with these options."""

    def command(**values: Any) -> Any:
        return function(values)

    command.__name__ = name
    command.__doc__ = doc
    command.__signature__ = Signature(list(parameters))  # type: ignore[attr-defined]  # read by typer
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command
