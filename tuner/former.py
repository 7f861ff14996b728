"""What older tools found on this device: the best few of each problem, and what came of timing them anew. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..cache.records import Policy, Record, RecordKey
from ..cache.rules import standing
from ..cache.studies import StudyLog
from ..spaces.problems import Problem
from ..spaces.targets import Target

REVALIDATE = "revalidate"
"""What the log of a revalidation names as its sampler: it is no measure of what the search cost."""

CHANGED = 0.10
"""A time that moved by more, as a share, may have another winner: the neighbours moved too."""

APART = 0.03
"""Two times that differ by more are told apart; nearer ones swap places from run to run."""

SWAPPED = 1 / 3
"""Of the pairs told apart before, the share that stand the other way round when the order is said to have changed."""


@dataclass(frozen=True, slots=True)
class Known:
    """A problem of this device: the winners of older tools, best of every key and template, and its answer now."""

    key: RecordKey  # with the present target
    former: tuple[Record, ...]
    now: Record | None  # of the present tools and templates

    @property
    def newest(self) -> Record:
        """The winner that a lookup gave until now: of the newest former key its best."""
        key = max(self.former, key=lambda record: record.recorded_at).key
        return standing(record for record in self.former if record.key == key)[0]


def known_of(target: Target, winners: Iterable[Record], digests: Mapping[str, str]) -> list[Known]:
    """The problems that older tools answered on this device, from the best record of every key and template.

    `digests`: of each template as it is now, by name; one that is not there any more has no say.
    """
    former: dict[tuple[Problem, Policy], list[Record]] = {}
    now: dict[tuple[Problem, Policy], list[Record]] = {}
    for record in winners:
        if record.template in digests and not target.compare(record.key.target).hard:
            current = record.key.target.digest == target.digest and record.template_digest == digests[record.template]
            (now if current else former).setdefault((record.key.problem, record.key.policy), []).append(record)
    return [
        Known(
            RecordKey(problem, target, policy), tuple(old), next(iter(standing(now.get((problem, policy), ()))), None)
        )
        for (problem, policy), old in former.items()
    ]


def is_exact(known: Known, winners_now: Sequence[Record]) -> bool:
    """Whether a playoff of the present tools and templates decided, and no template was edited that was faster.

    `winners_now`: the best record of each present template under the present key.
    """
    if known.now is None or known.now.phase != "playoff":
        return False
    since = {record.template: record.recorded_at for record in winners_now}
    return not any(
        record.key == known.key
        and (record.ranked_us or 0.0) < (known.now.ranked_us or 0.0)
        and (record.template not in since or since[record.template] < record.recorded_at)
        for record in known.former
    )


def best_few(histories: Iterable[Sequence[Record]], fits: Callable[[Record], bool], most: int) -> list[Record]:
    """The best distinct configs of several keys, each with the record that says so: a playoff's first, then fastest."""
    ranked = [record for history in histories for record in standing(history)]
    ranked.sort(key=lambda r: (r.phase != "playoff", r.ranked_us or 0.0, r.config.digest, r.template))
    few: dict[tuple[str, str], Record] = {}
    for record in ranked:
        if len(few) == most:
            break
        named = (record.template, record.config.digest)
        if named not in few and fits(record):
            few[named] = record
    return list(few.values())


def cost_s(studies: Iterable[StudyLog], answered: Record) -> float | None:
    """Seconds of the search that made an answer: the newest one begun before it; None where none is known."""
    searches = [log for log in studies if log.sampler != REVALIDATE]
    before = [log for log in searches if log.started_at <= answered.recorded_at] or searches
    return max(before, key=lambda log: log.started_at).seconds if before else None


def doubts(before: Record, few: Sequence[Record], after: Sequence[Record]) -> tuple[str, ...]:
    """Why a full search may find another winner now, in words; empty where all is much as it was.

    `before`: the winner until now; `few`: what was timed anew; `after`: the records of that, in any order.
    """
    ran = standing(after)
    if not ran:
        return ("none of the old configs works any more",)
    said = []
    was_us, is_us = before.ranked_us or 0.0, ran[0].ranked_us or 0.0
    if abs(is_us / was_us - 1) > CHANGED:
        said.append(f"the best time went from {was_us:.4g} to {is_us:.4g} µs ({is_us / was_us - 1:+.0%})")
    now_us = {(record.template, record.config.digest): record.ranked_us or 0.0 for record in reversed(ran)}
    old = [(r.ranked_us or 0.0, now_us.get((r.template, r.config.digest))) for r in few if r.key == before.key]
    met = [(us, anew_us) for us, anew_us in old if anew_us is not None]
    pairs = [(a, b) for place, a in enumerate(met) for b in met[place + 1 :] if _apart(a[0], b[0])]
    swapped = sum(_apart(a[1], b[1]) and (a[0] < b[0]) != (a[1] < b[1]) for a, b in pairs)
    if pairs and swapped > SWAPPED * len(pairs):
        said.append(f"the order of the best changed: {swapped} of {len(pairs)} pairs stand the other way round")
    return tuple(said)


def _apart(one_us: float, other_us: float) -> bool:
    return abs(one_us - other_us) > APART * min(one_us, other_us)
