"""Freezing: which answers become a generation, and how two generations differ. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from ..cache.generations import FrozenAnswer
from ..cache.records import Answer, Record, RecordKey
from ..cache.wire_generations import side_to_json
from ..templates import catalogue
from .lookup import Query, rank

ChangeKind = Literal["new", "gone", "changed", "timed"]


def winners(candidates: Sequence[Record]) -> list[Answer]:
    """The answer that a lookup for each key's own problem, policy and target finds among the key's records.

    Of a key that only an edited template has times of, that answer is stale, and says so from then on.
    """
    of_key: dict[RecordKey, list[Record]] = {}
    for record in candidates:
        of_key.setdefault(record.key, []).append(record)
    found = (
        rank(Query(key.problem, key.policy, key.target), known, "stale", _digests(key.problem.op))
        for key, known in of_key.items()
    )
    return [answer for answer in found if answer is not None]


@dataclass(frozen=True, slots=True)
class Change:
    """What became of one key's answer between two generations."""

    kind: ChangeKind  # timed: the same config, with another time or other evidence
    before: Answer | None
    after: Answer | None

    @property
    def answer(self) -> Answer:
        """The later one, or what is left of the earlier."""
        found = self.after or self.before
        assert found is not None  # one of them is there
        return found

    @property
    def ratio(self) -> float | None:
        """Time after ÷ time before: below 1 is faster."""
        return self.after.median_us / self.before.median_us if self.before and self.after else None

    @property
    def order(self) -> tuple[bool, float, str, str]:
        """What comes and goes first, then by how much the time changed, either way."""
        ratio = self.ratio
        much = 0.0 if ratio is None else max(ratio, 1 / ratio)
        return ratio is not None, -much, self.answer.problem.canonical(), self.answer.target.digest

    def as_json(self) -> dict[str, Any]:
        """As plain JSON values; the target by name and digest."""
        answer = self.answer
        return {
            "kind": self.kind,
            "problem": answer.problem.as_dict(),
            "target": {"name": answer.target.name, "digest": answer.target.digest},
            "policy": answer.policy.as_dict(),
            "before": side_to_json(self.before),
            "after": side_to_json(self.after),
            "ratio": self.ratio,
        }


def changes(before: Sequence[FrozenAnswer], after: Sequence[FrozenAnswer]) -> list[Change]:
    """What differs, key by key; what changed most comes first, and what did not is left out."""
    one, other = _by_key(before), _by_key(after)
    found = [_change(one.get(key), other.get(key)) for key in {**one, **other}]
    return sorted((change for change in found if change is not None), key=lambda change: change.order)


def _change(before: FrozenAnswer | None, after: FrozenAnswer | None) -> Change | None:
    if before is None or after is None:
        return Change("new" if before is None else "gone", _answer(before), _answer(after))
    if before.with_values({"generation": None}).text == after.with_values({"generation": None}).text:
        return None
    same = (before.answer.template, before.answer.config) == (after.answer.template, after.answer.config)
    return Change("timed" if same else "changed", before.answer, after.answer)


def _answer(frozen: FrozenAnswer | None) -> Answer | None:
    return None if frozen is None else frozen.answer


def _by_key(answers: Sequence[FrozenAnswer]) -> Mapping[str, FrozenAnswer]:
    return {frozen.key_digest: frozen for frozen in answers}


@cache
def _digests(op: str) -> Mapping[str, str]:
    """Of the op's templates as they are now; none of an op that has none here."""
    return catalogue.digests(op) if op in catalogue.ops() else {}
