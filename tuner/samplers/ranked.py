"""ranked: a few configs far apart, then whichever a model of their times expects most of.

Where an analytic model estimates times, the first ones are those it likes and some far apart among what it does not
dislike, and its estimates are what the model of times begins from.

Where the same kernel was tuned elsewhere, what is known of it there begins the model and takes every second turn, and
fewer where its turns better nothing: it is right at once or not at all, and the other turns do not ask it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from ..cost_models.coordinates import Coordinates
from ..cost_models.elsewhere import Estimate, expectation
from ..cost_models.gaussian import Numbers
from ..cost_models.known import KnownRows
from ..cost_models.ranking import Expectation, Pool, Ranking
from ..cost_models.threads import one_thread
from .moves import Moves
from .row_sampler import RowSampler
from .rows import Rows

FIRST, FIRST_ESTIMATED, FIRST_INFORMED = 10, 4, 2
"""Configs that must have run before a model is asked: where nothing is known, with estimates, with results from
elsewhere."""

INFORMED_ALONE = 6
"""Trials that what is known of elsewhere has for itself."""

DOUBTED, DISMISSED = 4, 6
"""Its proposals in a row that bettered nothing from which on it has every fourth turn, and every eighth."""

SPREAD_AMONG = 20
"""Rows among which the first ones are chosen, each as far as can be from all before it."""

ESTIMATED_AMONG = 3
"""Times as many rows of which these are the best, where times are estimated."""

POOL_ROWS = 20_000
"""Rows a model looks at: all, or a sample with the neighbourhoods of the best, drawn anew as results come in."""

POOL_GROWTH = 1.25
BEST = 8
"""Rows whose neighbourhoods are in every sample."""

JUDGED, LOST_BELOW = 16, 0.0
"""Proposals by which a model is judged, and the correlation of foreseen and measured times that is none: every second
turn is then a step from the best."""

USUAL_ODDS = 0.9
"""That a config runs, before anything is known of it."""

Expected = Callable[[Sequence[int]], Expectation]


class RankedRows(RowSampler):
    """Proposes the row of the largest expected improvement; rows still open count as what the model thinks of them."""

    learns = True
    estimates = True

    def __init__(
        self, rows: Rows, seed: int, known: Sequence[KnownRows] = (), estimate: Estimate | None = None
    ) -> None:
        super().__init__(rows, seed)
        self._coordinates, self._moves = Coordinates(rows.feasible), Moves(rows.feasible)
        self._estimate = estimate
        self._turns: list[tuple[Ranking, Expected]] = [
            (self._ranking(seed), _nothing_known if estimate is None else _estimated(estimate))
        ]
        if known:
            self._turns.append((self._ranking(seed), expectation(rows.feasible, known, estimate)))
        self._informed: set[int] = set()  # rows that what is known of elsewhere chose
        self._asked: list[int] = []
        self._far: list[int] = []
        self._pools: list[Pool] = []
        self._pooled_at = 0
        self._foreseen: dict[int, float] = {}  # log times of uninformed proposals, as the model had them
        self._expected_gain: float | None = None  # None until a model was asked

    def choose(self) -> int:
        with one_thread():
            row = self._choose()
        self._asked.append(row)
        return row

    def expected_gain(self) -> float | None:
        return self._expected_gain

    def _choose(self) -> int:
        ran = [row for row, us in self.rows.results.items() if us is not None]
        tried = len(self.rows.results) + len(self._open())
        if len(self._turns) > 1 and self._is_informed_turn(tried):
            row = self._expected_best(1) if len(ran) < FIRST_INFORMED else self._best_of(1, len(ran))
            self._informed.add(row)
            return row
        if sum(row not in self._informed for row in ran) < (FIRST if self._estimate is None else FIRST_ESTIMATED):
            estimated = self._estimate is not None and (tried - len(self._informed)) % 2 == 0
            return self._expected_best(0) if estimated else self._far_from_all()
        near = self._near_the_best() if (tried - len(self._informed)) % 2 and self._is_lost() else None
        if near is not None:
            return near
        return self._best_of(0, len(ran))

    def _is_informed_turn(self, tried: int) -> bool:
        """Whether what is known of elsewhere has this turn."""
        best_us, in_vain = math.inf, 0
        for row, us in self.rows.results.items():
            bettered = us is not None and us < best_us
            best_us = us if bettered and us is not None else best_us
            if row in self._informed:
                in_vain = 0 if bettered else in_vain + 1
        every = 2 if in_vain < DOUBTED else 4 if in_vain < DISMISSED else 8
        return tried < INFORMED_ALONE or tried % every == every - 1

    def _ranking(self, seed: int) -> Ranking:
        return Ranking(self._coordinates.count, seed)

    def _far_from_all(self) -> int:
        """A row far from all that was tried so far."""
        if not self._far:
            self._far = self._spread()
        points, tried = self._points(self._far), self._points([*self.rows.results, *self._open()])
        away = np.abs(points[:, None] - tried[None]).sum(2).min(1) if len(tried) else np.zeros(len(points))
        return self._unseen(self._far, away)

    def _spread(self) -> list[int]:
        """Rows by chance, none of them hopeless where times are estimated."""
        count = SPREAD_AMONG * (1 if self._estimate is None else ESTIMATED_AMONG)
        rows = list(dict.fromkeys(self.rows.random() for _ in range(count)))
        if self._estimate is None:
            return rows
        return [rows[place] for place in np.argsort(self._estimate(rows), kind="stable")[:SPREAD_AMONG]]

    def _expected_best(self, turn: int) -> int:
        """What did best elsewhere, or should by its estimate."""
        pool = self._pooled(0)[turn]
        return self._unseen(pool.rows, np.log(np.maximum(pool.expected.odds, 1e-3)) - pool.expected.log_times)

    def _best_of(self, turn: int, ran: int) -> int:
        ranking, pool = self._turns[turn][0], self._pooled(ran)[turn]
        scores, foreseen = ranking.scores(pool, self.rows.results, self._open())
        row = self._unseen(pool.rows, scores)
        place = pool.rows.index(row)
        if turn == 0:
            self._foreseen[row] = float(foreseen[place])
        self._expected_gain = max(0.0, -math.expm1(-float(scores[place])))
        return row

    def _is_lost(self) -> bool:
        """Whether what the model foresaw of its latest proposals says nothing of what came."""
        told = [(us, math.log(came)) for row, us in self._foreseen.items() if (came := self.rows.results.get(row))]
        if len(told) < JUDGED:
            return False
        foreseen, came = np.array(told[-JUDGED:]).T
        return bool(np.std(foreseen) * np.std(came) == 0 or np.corrcoef(foreseen, came)[0, 1] <= LOST_BELOW)

    def _near_the_best(self) -> int | None:
        """An unseen row one parameter away from the best; None where all were seen."""
        best = min(self.rows.results, key=lambda row: self.rows.results[row] or math.inf)
        near = [int(row) for row in self._moves.one_changed(best) if not self.rows.is_seen(int(row))]
        return int(self.rng.choice(near)) if near else None

    def _unseen(self, rows: Sequence[int], scores: Numbers) -> int:
        """The unseen row of the highest score, any row where all were seen."""
        for _ in range(len(scores)):
            place = int(scores.argmax())
            if not self.rows.is_seen(rows[place]):
                return rows[place]
            scores[place] = -np.inf
        return self.rows.random()

    def _open(self) -> list[int]:
        """Rows that were asked for and not told yet."""
        self._asked = [row for row in self._asked if row not in self.rows.results]
        return self._asked

    def _pooled(self, ran: int) -> list[Pool]:
        """The pool of each turn."""
        total = self.rows.feasible.total
        if not self._pools or (total > POOL_ROWS and ran >= POOL_GROWTH * self._pooled_at):
            rows: Sequence[int] = range(total) if total <= POOL_ROWS else self._sample()
            points = self._points(rows)
            self._pools = [Pool(rows, points, expected(rows), self._points, expected) for _, expected in self._turns]
            self._pooled_at = ran
        return self._pools

    def _sample(self) -> list[int]:
        ran = {row: us for row, us in self.rows.results.items() if us is not None}
        best = sorted(ran, key=lambda row: ran[row])[:BEST]
        near = [int(row) for start in best for row in self._moves.one_changed(start)]
        return list(dict.fromkeys([*near, *self.rows.feasible.draw(self.rng, POOL_ROWS)]))

    def _points(self, rows: Sequence[int]) -> Numbers:
        return self._coordinates.of(self.rows.feasible.matrix(list(rows)))


def _estimated(estimate: Estimate) -> Expected:
    return lambda rows: Expectation(np.log(estimate(rows)), np.full(len(rows), USUAL_ODDS))


def _nothing_known(rows: Sequence[int]) -> Expectation:
    return Expectation(np.zeros(len(rows)), np.full(len(rows), USUAL_ODDS))
