"""Differing: two configs, records, keys or targets side by side, field by field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..cache.evidence import Evidence, Match, Named
from ..cache.records import Record, RecordKey
from ..cache.rules import standing
from ..cache.store import Store
from ..spaces.errors import NoAnswer, UsageError
from ..spaces.targets import Target
from .showing import found, of_digest


@dataclass(frozen=True, slots=True)
class Side:
    """What one digest names."""

    named: Named
    digest: str
    target: Target
    record: Record | None  # that stands for it; None for a target

    @property
    def us(self) -> float | None:
        return None if self.record is None else self.record.ranked_us


@dataclass(frozen=True, slots=True)
class Difference:
    """How two sides differ: name -> (of the one, of the other)."""

    one: Side
    other: Side
    problem: Mapping[str, tuple[Any, Any]]
    target: Mapping[str, tuple[Any, Any]]
    config: Mapping[str, tuple[Any, Any]]
    template: Mapping[str, tuple[Any, Any]]

    @property
    def ratio(self) -> float | None:
        """Time of the other ÷ time of the one; None where one has none, or they computed different problems."""
        if self.problem or self.one.us is None or self.other.us is None:
            return None
        return self.other.us / self.one.us

    @property
    def met(self) -> bool:
        """Whether both times are of one playoff: others were taken at different moments."""
        a, b = self.one.record, self.other.record
        if a is None or b is None or a.key != b.key or {a.phase, b.phase} != {"playoff"}:
            return False
        return abs((a.recorded_at - b.recorded_at).total_seconds()) < 2.0


def difference(one: str, other: str, evidence: Evidence, store: Store) -> Difference:
    """Two digests side by side. Raises: UsageError, NoAnswer, StoreError."""
    sides = [found(one, evidence), found(other, evidence)]
    targets = [matches[0].named == "target" for matches in sides]
    if any(targets) and not all(targets):
        raise UsageError("a target is compared with a target: give two targets, or two configs, keys or records.")
    if all(targets):
        a, b = (Side("target", matches[0].digest, matches[0].key.target, None) for matches in sides)
        return Difference(a, b, {}, _differing(a.target.fields(), b.target.fields()), {}, {})
    a = _side(sides[0], {match.key for match in sides[1]}, evidence, store)
    assert a.record is not None, "only targets have none"
    b = _side(sides[1], {a.record.key}, evidence, store)
    return _of_records(a, b)


def _side(matches: list[Match], preferred: set[RecordKey], evidence: Evidence, store: Store) -> Side:
    """The record that stands for a digest: in a preferred key, if it has one of them; the newest."""
    named, digest = matches[0].named, matches[0].digest
    keys = [match.key for match in matches if match.key in preferred] or [match.key for match in matches]
    histories = [of_digest(store.records(key), named, digest, evidence) for key in keys]
    best = [next(iter(standing(history)), history[-1]) for history in histories if history]
    if not best:
        raise NoAnswer(f"{named} {digest} has no record any more.")
    record = max(best, key=lambda record: record.recorded_at)
    return Side(named, digest, record.key.target, record)


def _of_records(one: Side, other: Side) -> Difference:
    a, b = one.record, other.record
    assert a is not None, "only targets have none"
    assert b is not None, "only targets have none"
    made = [{"template": r.template, "source": r.template_digest[:8], "space": r.space_digest[:8]} for r in (a, b)]
    return Difference(
        *(one, other),
        problem={
            **_differing(a.key.problem.as_dict(), b.key.problem.as_dict()),
            **_differing(*({f"policy {n}": v for n, v in r.key.policy.as_dict().items()} for r in (a, b))),
        },
        target=_differing(a.key.target.fields(), b.key.target.fields()),
        config=_differing(dict(a.config), dict(b.config)),
        template=_differing(*made),
    )


def _differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Names whose values differ; what one side does not have is None."""
    return {n: (one.get(n), other.get(n)) for n in {**one, **other} if one.get(n) != other.get(n)}
