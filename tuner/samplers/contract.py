"""SamplerContract: what every sampler promises, as tests that any package may run against its own.

It needs no test framework: methods whose names begin with `test_`, which raise AssertionError with the rule that was
broken. pytest collects them from a subclass.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence

import numpy as np

from ...spaces.feasible import FeasibleSpace
from ..cost_models.known import KnownRows
from . import learns, make_sampler
from .contract_search import Outcome, Search, check
from .contract_spaces import SMALL, huge, wide
from .sampler import Sampler

OPEN_ROWS = 16
"""Rows asked for before anything is told, as where many compilers are busy."""

CHOICES, HUGE_CHOICES, TIMED_CHOICES = 25, 30, 60


class SamplerContract:
    """Subclass with `name`, a registered sampler's, or with a `make` of your own."""

    name: str = ""
    seeds: Sequence[int] = (0, 1, 2)
    uses_seed: bool = True  # False for a sampler that leaves nothing to chance
    most_cpu_s_per_trial: float = 1.0  # on the mean of a search in 46,656 configs; ours take some milliseconds

    def make(self, feasible: FeasibleSpace, seed: int) -> Sampler:
        """A fresh sampler over a feasible space."""
        return make_sampler(self.name, feasible, seed)

    def test_it_gives_every_feasible_config_once_and_then_none(self) -> None:
        """Never a row outside the space, never one twice, and an end that stays one."""
        for search in self._searches(*SMALL):
            search.to_the_end(_rising)

    def test_it_reaches_the_end_when_everything_fails(self) -> None:
        """A kernel may run nowhere: None is all that it is told."""
        self._outcome(lambda row: None)

    def test_it_reaches_the_end_when_some_fail(self) -> None:
        """Times and failures in turn."""
        self._outcome(lambda row: None if row % 3 == 0 else _rising(row))

    def test_it_reaches_the_end_when_all_times_are_the_same(self) -> None:
        """Ties leave a model without a slope and a spread of nothing."""
        self._outcome(lambda row: 7.0)

    def test_it_reaches_the_end_when_times_are_extreme(self) -> None:
        """From a nanosecond to a quarter of an hour."""
        self._outcome(lambda row: 10.0 ** (row * 5 % 13 - 3))

    def test_it_reaches_the_end_when_times_tell_nothing(self) -> None:
        """Where nothing can be learnt, everything is tried all the same."""
        shuffled = np.random.default_rng(self.seeds[0]).permutation(1_000) + 1.0
        self._outcome(lambda row: float(shuffled[row]))

    def test_several_rows_may_be_open_at_once(self) -> None:
        """Compilers are kept busy while nothing is told; then results come last first, and the search goes on."""
        for search in self._searches("conditional", "all_conditional", seeds=self.seeds[:1]):
            asked = [search.ask() for _ in range(OPEN_ROWS)]
            for row in reversed(asked):
                search.tell(row, None if row % 5 == 0 else _rising(row))
            search.to_the_end(_rising)

    def test_rows_may_never_be_told(self) -> None:
        """What the machine could not do, nobody hears of again."""
        self._outcome(None)

    def test_a_claimed_row_is_not_given_again(self) -> None:
        """Seeds are taken without being asked for, once, and the last row too."""
        for search in self._searches("conditional", "unordered"):
            total = search.feasible.total
            for row in (5, total - 1):
                search.claim(row, True, "it was unseen")
                search.claim(row, False, "it was claimed before")
            asked = search.ask()
            search.claim(asked, False, "it was proposed before")
            while len(search.seen) < total - 1:
                search.ask()
            (last,) = set(range(total)) - set(search.seen)
            search.claim(last, True, "it was the last unseen one")
            search.end()

    def test_a_told_row_is_not_given_again(self) -> None:
        """What is known from before is not measured twice, whether it ran or failed."""
        for search in self._searches(*SMALL, seeds=self.seeds[:1]):
            for row in range(0, search.feasible.total, 2):
                search.tell(row, None if row % 4 == 0 else _rising(row))
            for row in range(0, search.feasible.total, 2):
                search.claim(row, False, "its result was told before")
            search.to_the_end(_rising)

    def test_it_is_pure_given_its_seed(self) -> None:
        """The same seed and the same answers give the same choices, whatever else this program draws or searches."""
        for seed in self.seeds:
            alone = self._choices(seed)
            random.seed(seed + 1)
            np.random.seed(seed + 1)
            again = self._choices(seed, beside=self._search("conditional", seed))
            check(
                alone == again,
                f"{self._who}, seed {seed}: chose {alone} alone, and {again} beside another search of the same seed. "
                "Draw from a generator of the sampler's own, seeded by `seed`, and share no state between samplers.",
            )

    def test_another_seed_gives_other_choices(self) -> None:
        """Many seeds are many searches."""
        if self.uses_seed:
            by_seed = {tuple(self._choices(seed)) for seed in (*self.seeds, 10_007, 10_009)}
            check(len(by_seed) > 1, f"{self._who}: chose the same whatever the seed. If it is meant, uses_seed=False.")

    def test_it_is_pure_across_processes(self) -> None:
        """The hash of a string differs from one Python to the next: no choice hangs on it. Needs `name`."""
        if not self.name:
            return
        call = f"from {__name__} import SamplerContract as c; m = c(); m.name = {self.name!r}; print(m._choices(3))"
        running = [
            subprocess.Popen(
                [sys.executable, "-c", call],
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
            for hash_seed in ("1", "2")
        ]
        one, other = (process.communicate()[0] for process in running)
        check(
            all(process.returncode == 0 for process in running),
            f"{self._who}: a new process could not make it by its name (its error stands above).",
        )
        check(
            one == other,
            f"{self._who}, seed 3: chose {one.strip()} in one process and {other.strip()} in another, whose "
            "PYTHONHASHSEED differs: no order may come from a set of strings or from hash().",
        )

    def test_a_space_too_large_to_list_is_searched_too(self) -> None:
        """Of 5 · 10^17 configs it gives feasible ones, each once, and soon."""
        for seed in self.seeds:
            search = self._search("huge", seed)
            search.claim(10**17, True, "it was unseen")
            for _ in range(HUGE_CHOICES):
                row = search.ask()
                search.tell(row, None if row % 4 == 0 else 1.0 + sum(search.feasible[row].values()))

    def test_an_ask_takes_a_bounded_time(self) -> None:
        """Processor time, so that a busy machine decides nothing."""
        search = self._search("wide", self.seeds[0])
        started_s = time.process_time()
        for _ in range(TIMED_CHOICES):
            row = search.ask()
            search.tell(row, None if row % 7 == 0 else _rising(row))
        per_trial_s = (time.process_time() - started_s) / TIMED_CHOICES
        check(
            per_trial_s <= self.most_cpu_s_per_trial,
            f"{search}: a trial took {per_trial_s:.2f} s of processor time on the mean of {TIMED_CHOICES}, and at most "
            f"{self.most_cpu_s_per_trial:g} s are allowed (most_cpu_s_per_trial).",
        )

    def test_one_that_learns_takes_what_is_known_elsewhere(self) -> None:
        """`known=` may hold other parameters than this space has, and failures. Needs `name`."""
        if not self.name or not learns(self.name):
            return
        here = SMALL["conditional"]()
        for source in (here, SMALL["unordered"]()):
            rows = np.arange(source.total)
            known = KnownRows("elsewhere", source, rows, np.where(rows % 3 == 0, np.nan, rows + 1.0))
            sampler = make_sampler(self.name, here, 0, [known])
            Search(f"{self._who} with `known=`", here, 0, sampler).to_the_end(_rising)

    @property
    def _who(self) -> str:
        return f'sampler "{self.name or type(self).__name__}"'

    def _search(self, space: str, seed: int) -> Search:
        feasible = {**SMALL, "huge": huge, "wide": wide}[space]()
        return Search(self._who, feasible, seed, self.make(feasible, seed))

    def _searches(self, *spaces: str, seeds: Sequence[int] | None = None) -> Iterator[Search]:
        """A fresh search of each space, with each seed."""
        return (self._search(space, seed) for space in spaces for seed in seeds or self.seeds)

    def _outcome(self, outcome: Outcome | None) -> None:
        """Small spaces to their end, with one seed: what is told is the point."""
        for search in self._searches(*SMALL, seeds=self.seeds[:1]):
            search.to_the_end(outcome)

    def _choices(self, seed: int, beside: Search | None = None) -> list[int]:
        """The first rows of a search, with another one a step ahead where it is given."""
        search = self._search("conditional", seed)
        for _ in range(CHOICES):
            for one in filter(None, (beside, search)):
                row = one.ask()
                one.tell(row, None if row % 5 == 0 else _rising(row))
                if beside:
                    random.random()
                    np.random.random()
        return search.seen


def _rising(row: int) -> float:
    return 1.0 + row
