"""What every Studies does. An implementation's test class inherits StudiesContract and gives the fixture `studies`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta, timezone

from builders import A_STAMP, a_key, a_problem
from kerntune.cache.records import Policy
from kerntune.cache.studies import Studies, StudyLog


def a_study_log(minutes: float = 0, **changes: object) -> StudyLog:
    """A search of 100 trials in 42.5 s, begun `minutes` after A_STAMP, but for `changes`."""
    log = StudyLog(
        key=a_key(),
        started_at=A_STAMP + timedelta(minutes=minutes),
        seconds=42.5,
        trials=100,
        sampler="ranked",
        seed=2**40,
        stopped="trials",
        templates=("gemm_tiled", "gemm_split"),
        recorded_by="tests",
    )
    return replace(log, **changes)


class StudiesContract:
    """The laws of the port. The subclass gives empty `studies` for each test."""

    def test_nothing_is_known_of_a_key_that_nobody_searched(self, studies: Studies) -> None:
        """Not even that it cost nothing."""
        assert studies.studies(a_key()) == []

    def test_a_study_comes_back_as_it_was_added(self, studies: Studies) -> None:
        """Every field, the seconds to the last bit."""
        log = a_study_log(seconds=1 / 3)
        studies.add_study(log)
        assert studies.studies(a_key()) == [log]

    def test_adding_the_same_study_twice_keeps_it_once(self, studies: Studies) -> None:
        """Who was not sure to have said it says it again."""
        for _ in range(2):
            studies.add_study(a_study_log())
        assert len(studies.studies(a_key())) == 1

    def test_studies_come_oldest_first(self, studies: Studies) -> None:
        """By when they began."""
        for minutes in (2, 0, 1):
            studies.add_study(a_study_log(minutes))
        assert studies.studies(a_key()) == [a_study_log(minutes) for minutes in (0, 1, 2)]

    def test_a_study_belongs_to_exactly_its_key(self, studies: Studies) -> None:
        """Another problem, driver or policy has costs of its own."""
        studies.add_study(a_study_log())
        others = [a_key(a_problem(m=512)), a_key(driver="560.28"), a_key(policy=Policy("warm", "graph"))]
        assert [studies.studies(key) for key in others] == [[], [], []]
        studies.add_study(a_study_log(key=others[0], trials=7))
        assert [log.trials for log in studies.studies(others[0])] == [7]

    def test_words_are_cleaned_and_stamps_are_in_utc(self, studies: Studies) -> None:
        """As of records: nothing that steers a terminal comes back, and a moment is one in any zone."""
        elsewhere = A_STAMP.astimezone(timezone(timedelta(hours=9)))
        dirty = {"sampler": "my\x1b[31mown\x00", "templates": ("a\nb",), "recorded_by": "eve\x07"}
        studies.add_study(a_study_log(started_at=elsewhere, **dirty))
        clean = {"sampler": "myown", "templates": ("a b",), "recorded_by": "eve"}
        assert studies.studies(a_key()) == [a_study_log(**clean)]

    def test_threads_may_add_at_once(self, studies: Studies) -> None:
        """No lock is the caller's business."""
        logs = [a_study_log(number, trials=number) for number in range(20)]
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(studies.add_study, logs))
        assert studies.studies(a_key()) == logs

    def test_close_may_be_called_twice(self, studies: Studies) -> None:
        """Whoever cleans up need not ask who did before."""
        studies.close()
        studies.close()
