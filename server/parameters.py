"""The query parameters of an op, made from its description, and the door they come through."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from inspect import Parameter, Signature
from typing import Annotated, Any

from fastapi import Query, Request, Response
from pydantic import WithJsonSchema

from ..cache.records import CacheState, Match
from ..spaces.errors import UnknownName, UsageError
from ..spaces.targets import TOOLCHAIN_FIELDS
from ..templates.op import Field, Op
from .errors import quoted

MAX_VALUE_CHARS = 200
MAX_FLAGS_CHARS = 2000
"""Of compiler and flags, which hold whole command lines."""

_TOOLCHAIN_HELP = "of the toolchain the kernel will meet; without target or toolchain a match is at best stale"


def signature_of(op: Op) -> Signature:
    """The signature FastAPI reads: shape, every field of the op, the place, the policy."""
    return Signature(
        [
            _parameter("request", Request),
            _parameter("shape", str, f"{op.shape_format}, such as {op.example}", examples=[op.example]),
            *(_field_parameter(field) for field in op.fields),
            _parameter("device", str, "name as recorded, or cpu, gpu, cuda where one is known; the only one", None),
            _parameter("target", str, "digest of a target the server knows, instead of a toolchain", None),
            *(_parameter(name, str, f"{name} {_TOOLCHAIN_HELP}", None) for name in TOOLCHAIN_FIELDS),
            _parameter("policy", CacheState, "how times were taken: with a cold cache or a warm one", "cold"),
            _parameter("min_match", Match, "the farthest kind of match that is accepted", "stale"),
            _parameter(
                "generation", int, "answer from this frozen generation alone", None, json_schema_extra={"minimum": 1}
            ),
        ],
        return_annotation=Response,
    )


def only(names: Sequence[str]) -> Callable[[Request], None]:
    """A check of the whole query string: a name that is not known, or twice there, would ask another problem."""

    def check(request: Request) -> None:
        seen: set[str] = set()
        for name, value in request.query_params.multi_items():
            if name not in names:
                raise UnknownName(quoted(name), "a query parameter here", names)
            if name in seen:
                raise UsageError(f"{name} is given twice: give it once.")
            seen.add(name)
            _check_value(name, value)

    return check


def _check_value(name: str, value: str) -> None:
    limit = MAX_FLAGS_CHARS if name in ("compiler", "flags") else MAX_VALUE_CHARS
    if not value:
        raise UsageError(f"{name} is empty: give it a value, or leave it out.")
    if len(value) > limit:
        raise UsageError(f'{name} is {len(value):,} characters long ("{quoted(value)}"): {limit:,} are allowed.')
    if not value.isprintable():
        raise UsageError(f'{name} holds control characters ("{quoted(value)}"): leave them out.')


def _field_parameter(field: Field) -> Parameter:
    """A field as a parameter. The op checks its value, so that the rule, and its words, live once."""
    if field.absent:
        return _parameter(field.name, Annotated[str, word_or_count(field)], field.help, field.default)
    if not field.choices:
        return _parameter(field.name, int, field.help, field.default, json_schema_extra={"minimum": 1})
    return _parameter(field.name, str, field.help, field.default, json_schema_extra={"enum": [*field.words]})


def word_or_count(field: Field) -> WithJsonSchema:
    """Of a count that has a word for none at all."""
    return WithJsonSchema({"anyOf": [{"type": "string", "enum": [field.absent]}, {"type": "integer", "minimum": 1}]})


def _parameter(name: str, kind: Any, help: str = "", default: Any = Parameter.empty, **schema: Any) -> Parameter:
    annotation = kind if kind is Request else Annotated[kind, Query(description=help, **schema)]
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
