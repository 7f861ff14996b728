"""Lookup: ranks recorded facts into an Answer. Pure: the records are handed in, nothing is read or run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import cast, get_args

from ..cache.records import Answer, Match, Measurement, Policy, Record, RecordKey
from ..spaces.errors import UnknownName
from ..spaces.problems import Problem
from ..spaces.targets import TOOLCHAIN_FIELDS, Comparison, Target, Toolchain

TOOLCHAIN_NOT_STATED = "toolchain not stated"
TEMPLATE = "template "
"""How a difference begins that is about the kernel's source, not about the place."""
NOT_MEASURED = "not measured"
"""How the first difference of an answer begins whose time is foretold."""
MOST_EXPLAINED = 200
"""Records that are compared field by field to explain a miss: those whose problems are most alike."""
NOTHING_STATED = Toolchain()


@dataclass(frozen=True, slots=True)
class Stated:
    """A device by its recorded name, and as much of the toolchain as the caller said; None is a field not stated."""

    device: str
    toolchain: Toolchain = NOTHING_STATED


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked: a problem, how it is timed, and where it will run."""

    problem: Problem
    policy: Policy
    where: Target | Stated


@dataclass(frozen=True, slots=True)
class Hit:
    """A record that may be an answer, and what is not as it was asked for; the problem is the caller's matter."""

    record: Record
    measurement: Measurement
    differences: tuple[str, ...]

    @property
    def match(self) -> Match:
        return "stale" if self.differences else "exact"

    @property
    def order_in_key(self) -> tuple[int, bool, float, str]:
        """Among records of one key: fewer differences, then a playoff's, then fastest, then the smallest digest."""
        searched = self.record.phase != "playoff"
        return len(self.differences), searched, self.measurement.median_us, self.record.config.digest

    @property
    def order(self) -> tuple[int, float, float, str]:
        """As `order_among_keys` says."""
        record = self.record
        return order_among_keys(self.differences, record.recorded_at, self.measurement.median_us, record.config.digest)


def order_among_keys(
    differences: Sequence[str], recorded_at: datetime, median_us: float, config_digest: str
) -> tuple[int, float, float, str]:
    """Of answers of several keys: fewer differences (none is exact), then newest, fastest, the smallest digest."""
    return len(differences), -recorded_at.timestamp(), median_us, config_digest


def rank(
    query: Query,
    records: Sequence[Record],
    min_match: Match = "stale",
    templates: Mapping[str, str] | None = None,
) -> Answer | None:
    """The best answer that these records give, or None. `min_match` is the farthest kind of match accepted.

    Problem and policy must be the query's own, and so must the device; a difference of toolchain makes a match stale,
    and so does a template that was edited since: `templates` says the digest of each as it is now, by name.
    Raises: UnknownName for a `min_match` there is not.
    """
    accepted = accepted_by(min_match)
    of_problem = [record for record in records if record.key.problem == query.problem]
    found = [hit for hit in hits(query, of_problem, templates or {}) if hit.match in accepted]
    if not found:
        return None
    best_of_key: dict[str, Hit] = {}
    for hit in sorted(found, key=lambda hit: hit.order_in_key):
        best_of_key.setdefault(hit.record.key.digest, hit)
    best = min(best_of_key.values(), key=lambda hit: hit.order)
    return answer_from(best.record, best.measurement, best.differences)


def accepted_by(min_match: Match) -> tuple[Match, ...]:
    """The kinds of match that are near enough. Raises: UnknownName for one there is not."""
    kinds = get_args(Match)
    if min_match not in kinds:
        raise UnknownName(min_match, "a kind of match", kinds)
    return cast("tuple[Match, ...]", kinds[: kinds.index(min_match) + 1])


def _unlike(asked: Mapping[str, object], problem: Problem) -> int:
    """In how many of its words a problem is another one."""
    return sum(asked.get(name) != value for name, value in problem.fields)


def answer_from(record: Record, measurement: Measurement, differences: tuple[str, ...] = ()) -> Answer:
    """The answer a record gives: exact where nothing differs, else stale with the slowdown unknown."""
    return Answer(
        config=record.config,
        template=record.template,
        match="stale" if differences else "exact",
        problem=record.key.problem,
        target=record.key.target,
        policy=record.key.policy,
        median_us=measurement.median_us,
        spread_us=measurement.spread_us,
        samples=len(measurement.samples_us),
        recorded_at=record.recorded_at,
        recorded_by=record.recorded_by,
        baseline_name=record.baseline.name if record.baseline else None,
        baseline_us=record.baseline.median_us if record.baseline else None,
        differences=differences,
        expected_slowdown=None if differences else 1.0,
    )


def seen_from(target: Target, answer: Answer, min_match: Match = "stale") -> Answer | None:
    """An answer that was found by device name, judged again by the whole target; None where it is another device's.

    A server that never saw the target cannot know that the name is all that is the same.
    """
    places = target.compare(answer.target)
    if answer.match in ("near", "model"):  # its slowdown is foretold for the shape, and stands
        return None if places.hard else replace(answer, differences=(*_of_shape(answer), *places.soft))
    kept = (words for words in answer.differences if words.startswith(TEMPLATE))
    differences = (*places.soft, *kept)
    if places.hard or (differences and min_match == "exact"):
        return None
    match: Match = "stale" if differences else "exact"
    slowdown = None if differences else 1.0
    return replace(answer, match=match, differences=differences, expected_slowdown=slowdown)


def _of_shape(answer: Answer) -> list[str]:
    """The differences of a near answer that are not about the place."""
    ours = (TEMPLATE, NOT_MEASURED, *(f"{name}: " for name in answer.problem.as_dict()))
    return [words for words in answer.differences if words.startswith(ours)]


def explain_miss(query: Query, records: Sequence[Record]) -> list[str]:
    """What the nearest record differs in, field by field; empty where there is no record to be near to.

    The records may be of other problems: `m: 4096 here, 2048 stored` is an explanation too.
    """
    return nearest_differences(query, [record.key for record in records])


def nearest_differences(query: Query, keys: Sequence[RecordKey]) -> list[str]:
    """What the nearest key differs in, field by field; empty where there is none."""
    explained = []
    for key, places in zip(keys, compared(query.where, [key.target for key in keys]), strict=True):
        # With the key's own target, it differs in problem and policy alone.
        words = RecordKey(query.problem, key.target, query.policy).explain_difference(key)
        explained.append([*words, *places.hard, *places.soft])
    return min(explained, key=lambda differences: (len(differences), differences), default=[])


def unsaid_of(query: Query, target: Target) -> tuple[str, ...]:
    """What the query leaves open of the place, or has otherwise, where its answer is for this target."""
    return _compare(query.where, target, ()).soft


def hits(query: Query, records: Sequence[Record], templates: Mapping[str, str]) -> list[Hit]:
    """Times that were taken as asked, on the device asked about; `templates` says each one's digest as it is now."""
    found = []
    for record, places in zip(records, compared(query.where, [r.key.target for r in records]), strict=True):
        if record.key.policy == query.policy and not places.hard and record.measurement is not None:
            found.append(Hit(record, record.measurement, (*places.soft, *_edited(record, templates))))
    return found


def _edited(record: Record, templates: Mapping[str, str]) -> list[str]:
    """Whether the record's template reads differently now; one that is not known here is taken at its word."""
    now = templates.get(record.template, record.template_digest)
    if now == record.template_digest:
        return []
    return [f"{TEMPLATE}{record.template}: {now[:8]} here, {record.template_digest[:8]} stored"]


def compared(where: Target | Stated, stored: Sequence[Target]) -> list[Comparison]:
    """How the place asked about differs from each of the targets that there are times of."""
    unsaid = _unsaid(where, stored)
    return [_compare(where, target, unsaid) for target in stored]


def _compare(where: Target | Stated, stored: Target, unsaid: Sequence[str]) -> Comparison:
    if isinstance(where, Target):
        return where.compare(stored)
    if where.device != stored.name:
        return Comparison(hard=(f"device: {where.device} here, {stored.name} stored",))
    device = stored.as_dict()["device"]
    differing = [f"{name}: not stated here, {device[name]} stored" for name in unsaid]
    return Comparison(soft=(*_toolchain_differences(where.toolchain, stored.toolchain), *differing))


def _toolchain_differences(stated: Toolchain, stored: Toolchain) -> list[str]:
    """A tool that had no part in the stored time does not matter, whatever was stated of it."""
    if stated == NOTHING_STATED:
        return [TOOLCHAIN_NOT_STATED]
    differences = []
    for name in TOOLCHAIN_FIELDS:
        here, there = getattr(stated, name), getattr(stored, name)
        if there is not None and here != there:
            differences.append(f"{name}: {'not stated' if here is None else here} here, {there} stored")
    return differences


def _unsaid(where: Target | Stated, stored: Sequence[Target]) -> list[str]:
    """Device fields that a name alone leaves open: those in which the recorded devices of that name differ.

    One processor model stands in machines of 2 and of 64 usable cores; none of their times is exact for the name.
    """
    if isinstance(where, Target):
        return []
    namesakes = [target.as_dict()["device"] for target in stored if target.name == where.device]
    first = namesakes[0] if namesakes else {}
    return [name for name, value in first.items() if any(device.get(name) != value for device in namesakes)]
