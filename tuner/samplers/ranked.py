"""ranked: a few configs far apart, then whichever a model of their times expects most of.

Where the same kernel was tuned elsewhere, what is known of it there begins the model and takes every second turn: it is
right at once or not at all, and the other turns find out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from ..cost_models.coordinates import Coordinates
from ..cost_models.elsewhere import expectation
from ..cost_models.gaussian import Numbers
from ..cost_models.known import KnownRows
from ..cost_models.ranking import Expectation, Pool, Ranking
from ..cost_models.threads import one_thread
from .moves import Moves
from .row_sampler import RowSampler
from .rows import Rows

FIRST, FIRST_INFORMED = 10, 2
"""Configs that must have run before a model is asked, without and with results from elsewhere."""

INFORMED_ALONE = 12
"""Trials that what is known of elsewhere has for itself."""

SPREAD_AMONG = 20
"""Rows among which the first ones are chosen, each as far as can be from all before it."""

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

    def __init__(self, rows: Rows, seed: int, known: Sequence[KnownRows] = ()) -> None:
        super().__init__(rows, seed)
        self._coordinates, self._moves = Coordinates(rows.feasible), Moves(rows.feasible)
        self._turns: list[tuple[Ranking, Expected]] = [(self._ranking(seed), _nothing_known)]
        if known:
            self._turns.append((self._ranking(seed), expectation(rows.feasible, known)))
        self._asked: list[int] = []
        self._far: list[int] = []
        self._pools: list[Pool] = []
        self._pooled_at = 0
        self._foreseen: dict[int, float] = {}  # log times of proposals, as a model had them

    def choose(self) -> int:
        with one_thread():
            row = self._choose()
        self._asked.append(row)
        return row

    def _choose(self) -> int:
        ran = sum(us is not None for us in self.rows.results.values())
        informed = len(self._turns) > 1
        if ran < (FIRST_INFORMED if informed else FIRST):
            return self._expected_best() if informed else self._far_from_all()
        tried = len(self.rows.results) + len(self._open())
        turn = 0 if not informed or (tried >= INFORMED_ALONE and tried % 2) else 1
        near = self._near_the_best() if tried % 2 and self._is_lost() else None
        return self._best_of(self._turns[turn][0], self._pooled(ran)[turn]) if near is None else near

    def _ranking(self, seed: int) -> Ranking:
        return Ranking(self._coordinates.count, seed)

    def _far_from_all(self) -> int:
        """A row far from all that was tried so far."""
        if not self._far:
            self._far = list(dict.fromkeys(self.rows.random() for _ in range(SPREAD_AMONG)))
        points, tried = self._points(self._far), self._points([*self.rows.results, *self._open()])
        away = np.abs(points[:, None] - tried[None]).sum(2).min(1) if len(tried) else np.zeros(len(points))
        return self._unseen(self._far, away)

    def _expected_best(self) -> int:
        """What did best elsewhere."""
        pool = self._pooled(0)[1]
        return self._unseen(pool.rows, np.log(np.maximum(pool.expected.odds, 1e-3)) - pool.expected.log_times)

    def _best_of(self, ranking: Ranking, pool: Pool) -> int:
        scores, foreseen = ranking.scores(pool, self.rows.results, self._open())
        row = self._unseen(pool.rows, scores)
        self._foreseen[row] = float(foreseen[pool.rows.index(row)])
        return row

    def _is_lost(self) -> bool:
        """Whether what the models foresaw of their latest proposals says nothing of what came."""
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


def _nothing_known(rows: Sequence[int]) -> Expectation:
    return Expectation(np.zeros(len(rows)), np.full(len(rows), USUAL_ODDS))
