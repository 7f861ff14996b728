"""Boosted ranks: which of two configs is the faster one, told by trees that are never asked by how much.

Chen et al., "Learning to Optimize Tensor Programs" (AutoTVM), NeurIPS 2018: gradient boosted trees and a pairwise rank
loss. What the paper leaves open is as its authors have it: apache/tvm, python/tvm/autotvm/tuner/xgboost_cost_model.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.float32]
Scores = NDArray[np.float64]

BOOSTING = {
    "objective": "rank:pairwise",
    "max_depth": 3,
    "eta": 0.3,
    "gamma": 0.0001,
    "min_child_weight": 1,
    "subsample": 1.0,
    "lambda": 1.0,
    "alpha": 0.0,
    # The paper's loss is the plain sum over all pairs; XGBoost since version 2 would take some of them, and scale it.
    "lambdarank_pair_method": "topk",
    "lambdarank_normalization": False,
    "disable_default_eval_metric": True,
    "nthread": 1,
    "verbosity": 0,
}

MOST_PAIRED = 500
"""Configs whose pairs with all others count, those that the model puts first: the cost of all grows with the square."""

MOST_TREES, STALE_TREES = 8000, 20
"""Trees at most, and how many in a row may leave the order of the fastest as it is."""


def fitted(
    features: Features, times_us: Sequence[float | None], foremost: int, seed: int
) -> Callable[[Features], Scores]:
    """A function that scores rows of features, higher where they should be faster; None is slower than any time.

    `foremost`: how many places of the order decide when to stop. At least one config must have run.
    """
    import xgboost

    best_us = min(us for us in times_us if us is not None)
    speeds = np.array([0.0 if us is None else best_us / us for us in times_us])
    data = xgboost.DMatrix(features, speeds)
    model = xgboost.train(
        {**BOOSTING, "lambdarank_num_pair_per_sample": min(len(speeds), MOST_PAIRED), "seed": seed},
        data,
        MOST_TREES,
        evals=[(data, "told")],
        custom_metric=lambda scores, _: ("recall", recall(scores, speeds, foremost)),
        maximize=True,
        early_stopping_rounds=STALE_TREES,
        verbose_eval=False,
    )

    def score(asked: Features) -> Scores:
        scores: Scores = model.predict(xgboost.DMatrix(asked)).astype(float)
        return scores

    return score


def recall(scores: NDArray[Any], speeds: NDArray[Any], foremost: int) -> float:
    """The part of the n fastest that is among the n highest scores, on the mean of n = 1 … foremost."""
    by_score = np.argsort(-scores, kind="stable")
    ranks = np.argsort(np.argsort(-speeds, kind="stable"), kind="stable")[by_score]
    joined = np.maximum(ranks, np.arange(len(ranks)))  # from which n on a config is among both
    found = np.bincount(joined, minlength=len(ranks)).cumsum()[:foremost]
    return math.fsum(found / np.arange(1, len(found) + 1)) / len(found)
