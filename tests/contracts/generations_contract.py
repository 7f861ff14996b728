"""What every Generations does. An implementation's test class gives `store` and `generations` of the same place."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from builders import A_STAMP, a_key, a_problem, a_record
from kerntune.cache.generations import Generation, Generations
from kerntune.cache.records import Answer, Baseline, Failure, Policy, Record
from kerntune.cache.refusals import UnknownGeneration
from kerntune.cache.store import Store
from kerntune.spaces.canonical import canonical_json
from kerntune.spaces.errors import NoAnswer, UsageError
from kerntune.tuner.freezing import winners


def freeze(generations: Generations, minutes: float = 0, note: str = "") -> Generation:
    return generations.freeze(winners, "tests", note, A_STAMP + timedelta(minutes=minutes)).generation


def texts(generations: Generations, number: int) -> list[str]:
    return [frozen.text for frozen in generations.frozen(number)]


class GenerationsContract:
    """The laws of the port. The subclass gives an empty `store` and its `generations` for each test."""

    def test_nothing_frozen_is_nothing_known(self, generations: Generations) -> None:
        """And an empty store has nothing to freeze: ranks pinned to that would find nothing."""
        assert generations.generations() == []
        with pytest.raises(NoAnswer, match="no winner to freeze"):
            freeze(generations)
        assert generations.generations() == []

    def test_a_failure_alone_is_no_winner(self, store: Store, generations: Generations) -> None:
        """What did not run cannot be an answer."""
        store.add(a_record(failure=Failure("compile", "no")))
        with pytest.raises(NoAnswer):
            freeze(generations)

    def test_a_generation_says_when_by_whom_and_why(self, store: Store, generations: Generations) -> None:
        """Words cleaned, its stamp in UTC, its number 1."""
        store.add(a_record())
        done = generations.freeze(winners, "ada\x1b[31m", "for\nthe release", A_STAMP)
        assert done.is_new
        made = done.generation
        said = (made.number, made.created_at, made.created_by, made.note, made.answers)
        assert said == (1, A_STAMP, "ada", "for the release", 1)
        assert generations.generation(1) == made
        assert generations.generations() == [made]

    def test_the_winner_of_each_key_is_frozen(self, store: Store, generations: Generations) -> None:
        """Of each problem, target and policy the best, with its evidence; in order of the keys."""
        keys = [a_key(), a_key(a_problem(m=512)), a_key(driver="560.28"), a_key(policy=Policy("warm", "graph"))]
        for key in keys:
            store.add(a_record(key, {"BLOCK_M": 16}, us=9.0))
            store.add(a_record(key, {"BLOCK_M": 32}, us=(4.0, 5.0, 6.5), baseline=Baseline("cublas", (20.0,))))
        freeze(generations)
        frozen = generations.frozen(1)
        assert [one.key_digest for one in frozen] == sorted(key.digest for key in keys)
        assert {one.answer.median_us for one in frozen} == {5.0}
        assert {(one.answer.match, one.answer.generation, one.answer.speedup) for one in frozen} == {("exact", 1, 4.0)}

    def test_an_answer_is_canonical_json_with_its_number(self, store: Store, generations: Generations) -> None:
        """Equal answers are equal bytes; what is read back says the same."""
        store.add(a_record(us=(1 / 3, 2 / 3)))
        freeze(generations)
        (frozen,) = generations.frozen(1)
        assert frozen.text == canonical_json(frozen.data)
        assert frozen.data["generation"] == 1

    def test_answers_to_one_problem_can_be_read_alone(self, store: Store, generations: Generations) -> None:
        """A lookup reads no more than it needs."""
        keys = [a_key(), a_key(a_problem(m=512))]
        store.add_many([a_record(key) for key in keys])
        freeze(generations)
        for key in keys:
            (frozen,) = generations.frozen(1, key.problem.digest)
            assert (frozen.key_digest, frozen.op) == (key.digest, "gemm")
        assert generations.frozen(1, "0" * 32) == []

    def test_no_later_record_changes_a_frozen_answer(self, store: Store, generations: Generations) -> None:
        """Neither a better config, nor another problem, nor a failure of the frozen one."""
        store.add(a_record(us=9.0))
        first = freeze(generations)
        before = texts(generations, 1)
        store.add(a_record(config={"BLOCK_M": 128}, us=1.0, minutes=1))
        store.add(a_record(failure=Failure("runtime", "segfault"), minutes=2))
        store.add(a_record(a_key(a_problem(m=64)), minutes=3))
        second = freeze(generations, minutes=5)
        assert (second.number, second.answers) == (2, 2)
        assert second.digest != first.digest
        assert texts(generations, 1) == before
        assert generations.generation(1) == first
        assert generations.generations() == [second, first]

    def test_where_nothing_changed_the_newest_is_given_again(self, store: Store, generations: Generations) -> None:
        """Whoever freezes in a loop fills no database; a slower config changes nothing either."""
        store.add(a_record(us=5.0))
        first = freeze(generations, note="first")
        store.add(a_record(config={"BLOCK_M": 16}, us=50.0, minutes=1))
        done = generations.freeze(winners, "bob", "second", A_STAMP + timedelta(minutes=2))
        assert (done.generation, done.is_new) == (first, False)
        assert generations.generations() == [first]

    def test_what_is_as_it_was_before_the_newest_is_a_new_generation(
        self, store: Store, generations: Generations
    ) -> None:
        """Numbers grow with time; the digest says that the answers are the same."""
        good, bad = a_record(us=5.0), a_record(config={"BLOCK_M": 16}, us=2.0, minutes=1)
        store.add(good)
        first = freeze(generations)
        store.add(bad)
        freeze(generations, minutes=2)
        store.add(replace(bad, outcome=Failure("incorrect", "off"), recorded_at=A_STAMP + timedelta(minutes=3)))
        third = freeze(generations, minutes=4)
        assert (third.number, third.digest) == (3, first.digest)
        assert [text.replace('"generation":3', '"generation":1') for text in texts(generations, 3)] == texts(
            generations, 1
        )

    def test_freezers_at_once_lose_nothing(self, store: Store, generations: Generations) -> None:
        """Each gets a number, numbers grow by one, and each generation is of one state of the store."""
        pairs = [(a_key(a_problem(m=m)), a_key(a_problem(m=m, layout="nt"))) for m in range(16, 16 + 12)]

        def add_and_freeze(place: int) -> Generation:
            # Both of a pair are added in one step, so a freeze sees both or neither.
            store.add_many([a_record(key) for key in pairs[place]])
            return freeze(generations, minutes=place)

        with ThreadPoolExecutor(4) as threads:
            made = list(threads.map(add_and_freeze, range(len(pairs))))
        known = generations.generations()
        assert [one.number for one in known] == list(range(len(known), 0, -1))
        assert {one.number: one for one in known} == {one.number: one for one in known + made}
        assert known[0].answers == 2 * len(pairs)
        for one in known:
            frozen = generations.frozen(one.number)
            assert len(frozen) == one.answers
            assert len(frozen) % 2 == 0

    def test_a_freeze_that_fails_keeps_nothing(self, store: Store, generations: Generations) -> None:
        """Not even a number: the next one is the first."""
        store.add(a_record())

        def refuse(candidates: Sequence[Record]) -> list[Answer]:
            raise UsageError("no such rule")

        with pytest.raises(UsageError, match="no such rule"):
            generations.freeze(refuse, "tests", "", A_STAMP)
        assert generations.generations() == []
        assert freeze(generations).number == 1

    def test_lists_are_bounded_and_go_on_from_a_number(self, store: Store, generations: Generations) -> None:
        """The newest first."""
        for m in (16, 32, 48):
            store.add(a_record(a_key(a_problem(m=m))))
            freeze(generations)
        assert [one.number for one in generations.generations(limit=2)] == [3, 2]
        assert [one.number for one in generations.generations(before=2)] == [1]
        assert len(generations.generations(before=2**70)) == 3

    @pytest.mark.parametrize("number", [2, 0, -1, 2**40, 2**70])
    def test_a_generation_there_is_not_is_an_error(self, store: Store, generations: Generations, number: int) -> None:
        """Never another one's answers; the error says which there are."""
        store.add(a_record())
        freeze(generations)
        for ask in (generations.generation, generations.frozen):
            with pytest.raises(UnknownGeneration, match=r"no generation -?\d+ here: the newest is 1"):
                ask(number)

    def test_a_note_is_bounded(self, store: Store, generations: Generations) -> None:
        """It is a line, no document."""
        store.add(a_record())
        with pytest.raises(UsageError, match="1,000 are allowed"):
            freeze(generations, note="x" * 1001)

    def test_close_may_be_called_twice(self, generations: Generations) -> None:
        """Whoever cleans up need not ask who did before."""
        generations.close()
        generations.close()
