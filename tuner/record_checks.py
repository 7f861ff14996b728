"""Record checks: whether a stranger's record, or key, may be a fact here; nothing of it is rendered before."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from ..cache.records import Record, RecordKey
from ..cache.refusals import printable
from ..spaces.config import Config
from ..spaces.errors import UsageError
from ..spaces.explanation import FEASIBLE
from ..spaces.problems import Problem
from ..spaces.space import Space
from ..templates import catalogue
from ..templates.template import KernelTemplate

MOST_AHEAD = timedelta(days=1)
"""How far a stamp may be ahead of this clock: of each config the latest record counts, so one of the year 3000 would
count for ever."""

_PLAIN_NAME = re.compile("[A-Za-z_][A-Za-z0-9_]{0,63}")
_PLAIN_WORD = re.compile("[A-Za-z0-9_.+:/-]{0,64}")


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class RecordChecks:
    """The objections that the catalogue of this kerntune has; None where there is none."""

    now: Callable[[], datetime] = _utc_now

    def key(self, key: RecordKey) -> str | None:
        """Whether its problem is one of an op there is, with every field as the op's description has it."""
        try:
            _known_problem(key)
        except UsageError as error:
            return str(error)
        return None

    def record(self, record: Record) -> str | None:
        """Its key; its stamp; its config, by the very template it was made from, or by plain names where that template
        is not one of ours: an older one, or somebody else's, whose times are facts all the same."""
        try:
            problem = _known_problem(record.key)
            ahead = record.recorded_at - self.now()
            if ahead > MOST_AHEAD:
                return f"recorded_at is {ahead.total_seconds():,.0f} s ahead of the clock here: set that clock."
            template = _templates(problem.op).get(record.template_digest)
            return _foreign(record) if template is None else _misfit(record, template, problem)
        except UsageError as error:
            return str(error)


def _known_problem(key: RecordKey) -> Problem:
    """The problem with its facts. Raises: UsageError where it is none of its op."""
    op = catalogue.op_named(printable(key.problem.op, 60))
    said = dict(key.problem.fields)
    known = [*op.letters, *(field.name for field in op.fields)]
    for name in said:
        if name not in known:
            raise UsageError(f"{op.name} has no field {printable(name, 60)}. Known: {', '.join(known)}.")
    made = op.problem(key.target.kind, **said)
    for name, value in made.fields:
        if name not in said:
            raise UsageError(f"{op.name}.{name} is missing: a problem that is kept names every field.")
        if type(said[name]) is not type(value) or said[name] != value:
            raise UsageError(f"{op.name}.{name} is {printable(repr(said[name]), 60)}: such a problem has {value!r}.")
    return made


@lru_cache
def _templates(op: str) -> dict[str, KernelTemplate]:
    return {template.digest: template for template in catalogue.templates(op)}


def _misfit(record: Record, template: KernelTemplate, problem: Problem) -> str | None:
    """Why the record cannot be of this template, whose source and space are just those it names."""
    if record.template != template.name:
        return f"template_digest is of {template.name}, template says {printable(record.template, 60)}."
    if record.space_digest != template.space.digest:
        return f"space_digest is not that of {template.name}, which is {template.space.digest}."
    unsupported = template.supports(problem, record.key.target)
    if unsupported is not None:
        return f"{template.name} does not compute this problem on {record.key.target.name}: {unsupported}."
    if mistyped := _mistyped(record.config, template.space):
        return mistyped
    reason = template.space.explain(record.config, problem, record.key.target)
    return None if reason == FEASIBLE else f"the config is none of {template.name}: {reason}."


def _mistyped(config: Config, space: Space) -> str | None:
    """A value that only compares like one of the space's: 64.0 or True would be another word in the source."""
    by_name = {parameter.name: parameter for parameter in space.parameters}
    for name, value in config.items():
        parameter = by_name.get(name)
        if parameter is None or value not in parameter.places:
            continue  # `explain` says so
        declared = parameter.values[parameter.places[value]]
        if type(value) is not type(declared):
            return f"config.{name} is {value!r}, and the space has {declared!r}."
    return None


def _foreign(record: Record) -> str | None:
    """Why a record of a template that is not known here is not kept."""
    if not _PLAIN_NAME.fullmatch(record.template):
        named = printable(repr(record.template), 60)
        return f"template is {named}: of a template that is not known here a plain name is kept."
    for name, value in record.config.items():
        if not _PLAIN_NAME.fullmatch(name) or (isinstance(value, str) and not _PLAIN_WORD.fullmatch(value)):
            return (
                f"config.{printable(name, 60)} is {printable(repr(value), 60)}: of a template that is not known here "
                "plain names and words are kept."
            )
    return None
