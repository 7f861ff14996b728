"""autotvm: AutoTVM's search over feasible configs, to compare with: a model that ranks, annealing over its scores.

Method and numbers: Chen et al., "Learning to Optimize Tensor Programs", NeurIPS 2018, algorithm 1 and equation 3, and
where the paper is silent its authors' code, apache/tvm, python/tvm/autotvm/tuner. Nothing is fitted to spaces of ours.
Not as there: whoever walks stays where a step would not be feasible, and what features say is the config itself.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from ...spaces.points import ABSENT
from ..cost_models.boosted import Features, Scores, fitted
from .row_sampler import RowSampler
from .rows import Rows

BATCH = 16
"""Proposals from one model. The authors' is 64 of 800 trials; the same part of the 200 that a kernel has here."""

WALKERS, STEPS, STALE_STEPS = 128, 500, 50
"""Walkers go on where the model before left them, until so many steps in a row bring none of them to a better row."""

HOT = 1.0
"""Temperature, in units of the score; it falls to 0 along the steps."""

CHOICE = 2
"""λ: rows among which a batch is chosen, in batches. Of the authors' 1, 2 and 4 the smallest that leaves a choice."""

NEW_VALUE = 1.0
"""α: the score that a value is worth which no other config of the batch has."""

RANDOM_ODDS = 0.05
"""ε: part of the proposals that is left to chance."""

SWITCH_ODDS = 0.5
"""Of a step that lets the parameters come or go whose condition reads the changed one; AutoTVM knows no conditions."""


class AutoTvmRows(RowSampler):
    """The first batch by chance; each further one planned when the last was proposed, from what is told by then."""

    def __init__(self, rows: Rows, seed: int) -> None:
        super().__init__(rows, seed)
        self._seed = seed
        self._plan: list[int | None] = []  # None: a row by chance
        self._walkers: list[tuple[int, dict[str, Any]]] = []  # row and config
        declared, occurring = rows.feasible.declaration, rows.feasible.occurring()
        self._values = {
            parameter.name: [parameter.values[index] for index in occurring[parameter.name] if index != ABSENT]
            for parameter in declared.parameters
        }
        read = {name: declared.parameters_read(condition) for name, condition in declared.conditions.items()}
        self._depending = {
            name: [other for other in read if name in read[other] and self._values[other]] for name in self._values
        }

    def choose(self) -> int:
        while True:
            self._plan = self._plan or self._planned()
            row = self._plan.pop(0)
            if row is None:
                return self.rows.random()
            if not self.rows.is_seen(row):
                return row

    def _planned(self) -> list[int | None]:
        results = self.rows.results
        by_chance: list[int | None] = [None] * BATCH
        if len(results) < BATCH or not any(results.values()):
            return by_chance
        model = fitted(self._features(list(results)), list(results.values()), BATCH, self._seed)
        found = self._annealed(self._scored(model))
        table = self.rows.feasible.matrix([row for _, row in found])
        picked = diverse([score for score, _ in found], table.tolist(), BATCH)
        plan = [None if self.rng.random() < RANDOM_ODDS else found[place][1] for place in picked]
        return [*plan, *by_chance[len(plan) :]]

    def _annealed(self, score: Callable[[Sequence[int]], Scores]) -> list[tuple[float, int]]:
        """The highest scores among unseen rows that the walkers come by, and their rows."""
        if not self._walkers:
            feasible = self.rows.feasible
            self._walkers = [(row, dict(feasible[row])) for row in feasible.draw(self.rng, WALKERS)]
        best: list[tuple[float, int]] = []
        met: set[int] = set()
        scores = score([row for row, _ in self._walkers])
        self._keep(best, met, scores, self._walkers)
        stale = 0
        for temperature in np.linspace(HOT, 0, STEPS, endpoint=False):
            stepped = self._stepped()
            came = score([row for row, _ in stepped])
            taken = self.rng.random(len(came)) < np.exp(np.minimum(0.0, (came - scores) / temperature))
            self._walkers = [new if take else old for new, old, take in zip(stepped, self._walkers, taken, strict=True)]
            scores = np.where(taken, came, scores)
            stale = 0 if self._keep(best, met, came, stepped) else stale + 1
            if stale == STALE_STEPS:
                break
        return sorted(best, reverse=True)

    def _keep(self, best: list[tuple[float, int]], met: set[int], scores: Scores, walkers: Any) -> bool:
        """Put what is unseen and better than the last of the best among them; whether there was any."""
        before = len(met)
        for score, (row, _) in zip(scores.tolist(), walkers, strict=True):
            full = len(best) == BATCH * CHOICE
            if (not full or score > best[0][0]) and row not in met and not self.rows.is_seen(row):
                met.add(row)
                (heapq.heapreplace if full else heapq.heappush)(best, (score, row))
        return len(met) > before

    def _stepped(self) -> list[tuple[int, dict[str, Any]]]:
        """Each walker with another value of one parameter; where it was if that is not feasible."""
        draws = self.rng.random((len(self._walkers), 2)).tolist()
        changed = [self._changed(config, *draw) for (_, config), draw in zip(self._walkers, draws, strict=True)]
        found = self.rows.feasible.find_all(changed)
        steps = zip(found, changed, self._walkers, strict=True)
        return [stayed if row is None else (row, config) for row, config, stayed in steps]

    def _changed(self, config: dict[str, Any], which: float, what: float) -> dict[str, Any]:
        names = [name for name in config if len(self._values[name]) > 1]
        if not names:
            return config
        name = names[int(which * len(names))]
        others = [value for value in self._values[name] if value != config[name]]
        changed = {**config, name: others[int(what * len(others))]}
        if self._depending[name] and self.rng.random() < SWITCH_ODDS:
            for other in self._depending[name]:
                values = self._values[other]
                if changed.pop(other, None) is None:
                    changed[other] = values[int(self.rng.integers(len(values)))]
        return changed

    def _scored(self, model: Callable[[Features], Scores]) -> Callable[[Sequence[int]], Scores]:
        """Scores of rows; of all at once where there are fewer than the walkers would ask for."""
        if self.rows.feasible.total > WALKERS * STEPS:
            return lambda rows: model(self._features(rows))
        everywhere = model(self._all_features)
        return lambda rows: everywhere[list(rows)]

    @cached_property
    def _all_features(self) -> Features:
        return self.rows.feasible.encode(self.rows.feasible.matrix())

    def _features(self, rows: Sequence[int]) -> Features:
        return self.rows.feasible.encode(self.rows.feasible.matrix(list(rows)))


def diverse(scores: Sequence[float], points: Sequence[Sequence[int]], count: int) -> list[int]:
    """Places of a batch chosen one by one, by score and by how many values of parameters it adds to the batch.

    The sum of scores and values is submodular, so this comes within 1 - 1/e of the best batch (Nemhauser et al. 1978).
    """
    left, chosen = list(range(len(scores))), []
    covered: set[tuple[int, int]] = set()

    def gain(place: int) -> float:
        return scores[place] + NEW_VALUE * len(set(enumerate(points[place])) - covered)

    for _ in range(min(count, len(left))):
        chosen.append(max(left, key=gain))
        left.remove(chosen[-1])
        covered.update(enumerate(points[chosen[-1]]))
    return chosen
