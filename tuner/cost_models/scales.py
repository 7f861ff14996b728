"""Length scales and noise of a Gaussian process, where its likelihood times a prior is greatest.

Source: Rasmussen and Williams 2006, equation 5.9; the variance is solved for.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize

from .gaussian import JITTER, Numbers

USUAL_NOISE, NOISE_SPREAD = -5.0, 1.5
"""Logarithm of the noise a model begins with, and how far data may move it: times are repeated until they are known."""

SCALE_SPREAD = 1.0
"""How far data may move the logarithm of a length scale from 0: a third to three times the values' range."""

LEAST_VARIANCE = 1e-12
"""Of values that are all the same: it would be 0, which has no logarithm."""

STEPS = 25

Parameters = Numbers
"""Logarithms of the scales of all coordinates, and of the noise last."""


def usual(coordinates: int) -> Parameters:
    """Before anything is known."""
    return np.append(np.zeros(coordinates), USUAL_NOISE)


def fitted(points: Numbers, values: Numbers, start: Parameters) -> Parameters:
    """The most likely parameters for values of mean 0 and variance 1 at these points."""
    squares = (points.T[:, :, None] - points.T[:, None, :]) ** 2
    expected, spreads = usual(len(squares)), np.append(np.full(len(squares), SCALE_SPREAD), NOISE_SPREAD)
    bounds = [(-3.0, 4.0)] * len(squares) + [(-9.0, 1.0)]

    def loss(at: Parameters) -> tuple[float, Parameters]:
        inverse, noise = np.exp(-2 * at[:-1]), np.exp(at[-1])
        r = np.sqrt(5 * np.tensordot(inverse, squares, 1))
        decay = np.exp(-r)
        count = len(values)
        factor = cho_factor((1 + r + r * r / 3) * decay + (noise + JITTER) * np.eye(count), lower=True)
        weights, precision = cho_solve(factor, values), cho_solve(factor, np.eye(count))
        variance = max(float(values @ weights) / count, LEAST_VARIANCE)
        likelihood = -count / 2 * np.log(variance) - np.log(np.diag(factor[0])).sum()
        pull = precision - np.outer(weights, weights) / variance  # twice the loss by each entry of the matrix
        by_square = pull * (-5 / 6) * (1 + r) * decay
        slopes = np.append(-inverse * np.tensordot(squares, by_square, 2), 0.5 * noise * np.trace(pull))
        away = (at - expected) / spreads
        return 0.5 * float(away @ away) - likelihood, slopes + away / spreads

    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": STEPS})
    best: Parameters = found.x
    return best
