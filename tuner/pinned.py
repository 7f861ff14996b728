"""Pinned: lookups among the answers of one generation, which never change, and no others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from ..cache.generations import FrozenAnswer, Generation, Generations
from ..cache.records import Answer, Match, RecordKey
from ..spaces.errors import StoreError, UsageError
from ..spaces.targets import Target
from .lookup import TEMPLATE, Query, accepted_by, compared, nearest_differences, order_among_keys

MOST_AT_HAND = 16
"""Generations a process holds on to; beyond that the oldest is read again."""


@dataclass(frozen=True, slots=True)
class _Judged:
    """A frozen answer, and what is not as it was asked for."""

    frozen: FrozenAnswer
    differences: tuple[str, ...]

    @property
    def order(self) -> tuple[int, float, float, str, str]:
        """The same as of records; of equal ones the smallest key digest."""
        answer = self.frozen.answer
        words = self.differences, answer.recorded_at, answer.median_us, answer.digest
        return (*order_among_keys(*words), self.frozen.key_digest)

    def given(self) -> FrozenAnswer:
        """The frozen bytes; where the place is another one, the same but for what that changes."""
        if self.differences == self.frozen.answer.differences:
            return self.frozen
        said = {"differences": list(self.differences), "expected_slowdown": None, "match": "stale"}
        return self.frozen.with_values(said)


def rank_frozen(query: Query, answers: Sequence[FrozenAnswer], min_match: Match = "stale") -> FrozenAnswer | None:
    """The best of these answers, by the rules of `lookup.rank`; what templates are like now is not asked.

    Near and model answers are foretold by what a later kerntune foretells better, so none is given: `near` accepts
    what `stale` does. Raises: UnknownName for a `min_match` there is not.
    """
    accepted = accepted_by(min_match)
    judged = [one for one in _judged(query, answers) if ("stale" if one.differences else "exact") in accepted]
    return min(judged, key=lambda one: one.order).given() if judged else None


def _judged(query: Query, answers: Sequence[FrozenAnswer]) -> list[_Judged]:
    known = [frozen for frozen in answers if frozen.answer.problem == query.problem]
    found = []
    for frozen, places in zip(known, compared(query.where, [k.answer.target for k in known]), strict=True):
        if frozen.answer.policy == query.policy and not places.hard:
            edited = (words for words in frozen.answer.differences if words.startswith(TEMPLATE))
            found.append(_Judged(frozen, (*places.soft, *edited)))
    return found


class Pinned:
    """Lookups in one generation. As safe to call from several threads as what holds it; its owner closes that."""

    def __init__(
        self, generations: Generations, generation: Generation, target_named: Callable[[str], Target | None]
    ) -> None:
        self._generations = generations
        self._target_named = target_named
        self.generation = generation

    def answer(self, query: Query, min_match: Match = "stale") -> FrozenAnswer | None:
        """The best answer frozen there, exact or stale. Raises: StoreError, UnknownName."""
        return rank_frozen(query, self.frozen(query.problem.digest), min_match)

    def explain_miss(self, query: Query) -> list[str]:
        """What the nearest answer differs in: of the problem itself, else of the whole op. Raises: StoreError."""
        known = self.frozen(query.problem.digest) or [f for f in self.frozen() if f.op == query.problem.op]
        return nearest_differences(query, [key_of(frozen.answer) for frozen in known])

    @cached_property
    def targets(self) -> tuple[Target, ...]:
        """Those that it has answers of, by name, then digest: what a device's name means there. Raises: StoreError."""
        found = {frozen.answer.target.digest: frozen.answer.target for frozen in self.frozen()}
        return tuple(sorted(found.values(), key=lambda target: (target.name, target.digest)))

    def targets_with(self, digest: str | None) -> Sequence[Target]:
        """Those, and the one of this digest where it is known: a place can be asked about that has no answer there."""
        if digest is None or any(target.digest == digest for target in self.targets):
            return self.targets
        named = self._target_named(digest)
        return self.targets if named is None else (*self.targets, named)

    def frozen(self, problem_digest: str | None = None) -> list[FrozenAnswer]:
        """Its answers, read whole. Raises: StoreError for one that is damaged."""
        found = self._generations.frozen(self.generation.number, problem_digest)
        for frozen in found:
            try:
                _ = frozen.answer
            except UsageError as error:
                raise StoreError(
                    f"the answer {frozen.key_digest} of generation {self.generation.number} is damaged ({error}). "
                    "Put a copy of the database back, or pin another generation."
                ) from None
        return found


class Pins:
    """The generations of one place, each looked up once: they never change. It owns what holds them.

    `default` is the one that is meant where none is named; `target_named` gives a target that is known by its digest.
    """

    def __init__(
        self,
        generations: Generations,
        default: int | None = None,
        target_named: Callable[[str], Target | None] = lambda digest: None,
    ) -> None:
        self.generations = generations
        self._default = default
        self._target_named = target_named
        self._at_hand: dict[int, Pinned] = {}

    def pinned(self, number: int | None = None) -> Pinned | None:
        """Lookups in the one that is named, or meant; None for neither. Raises: UnknownGeneration, StoreError."""
        meant = self._default if number is None else number
        return None if meant is None else self.at(meant)

    def at(self, number: int) -> Pinned:
        """Lookups in this generation. Raises: UnknownGeneration, StoreError."""
        held = self._at_hand.get(number)
        if held is None:
            held = self._at_hand[number] = Pinned(
                self.generations, self.generations.generation(number), self._target_named
            )
            if len(self._at_hand) > MOST_AT_HAND:
                self._at_hand.pop(next(iter(self._at_hand)), None)
        return held

    def close(self) -> None:
        """Let go of what holds them. Idempotent."""
        self.generations.close()


def key_of(answer: Answer) -> RecordKey:
    """What the answer's time belongs to."""
    return RecordKey(answer.problem, answer.target, answer.policy)
