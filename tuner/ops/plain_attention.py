"""Attention of NumPy and CuPy arrays, of their matmul and exp: these libraries have nothing better. Scores in fp32."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...spaces.problems import Problem


class PlainAttention:
    """See VendorCall."""

    def __init__(self, problem: Problem, scale: float, causal: str, xp: Any) -> None:
        self.name = f"{xp.__name__}.matmul + exp"
        self._xp, self._scale, self._causal = xp, scale, causal
        self._window, self._cap = problem.dim("window_size"), problem.dim("soft_cap_value")
        self._group, self._has_lse = problem.dim("group"), bool(problem["has_lse"])

    def __call__(self, arrays: Mapping[str, Any], out: Any) -> Any:
        xp = self._xp
        q, k, v = (arrays[name].astype("float32") for name in "qkv")
        k, v = (xp.repeat(x, self._group, axis=1) for x in (k, v))
        scores = xp.where(self._seen(q.shape[2], k.shape[2]), self._scores(q, k, arrays), -xp.inf)
        most = scores.max(axis=-1, keepdims=True, initial=-xp.inf)
        most = xp.where(xp.isneginf(most), 0.0, most)
        weights = xp.exp(scores - most)
        total = weights.sum(axis=-1, keepdims=True)
        made = (xp.matmul(weights, v) / xp.where(total == 0, 1.0, total)).astype(arrays["q"].dtype)
        if out is not None:
            out[...] = made
            made = out
        if not self._has_lse:
            return made
        lse = xp.where(total == 0, -xp.inf, xp.log(xp.where(total == 0, 1.0, total)) + most)
        return made, lse[..., 0].astype("float32")

    def _scores(self, q: Any, k: Any, arrays: Mapping[str, Any]) -> Any:
        xp = self._xp
        scores = xp.matmul(q, k.swapaxes(-1, -2)) * xp.float32(self._scale)
        if self._cap:
            scores = xp.tanh(scores / self._cap) * self._cap
        if "bias" in arrays:
            scores = scores + arrays["bias"].astype("float32")
        if "alibi_slopes" in arrays:
            ends = xp.arange(q.shape[2])[:, None] + (k.shape[2] - q.shape[2])
            scores = scores - arrays["alibi_slopes"][:, None, None] * abs(ends - xp.arange(k.shape[2]))
        return scores

    def _seen(self, queries: int, keys: int) -> Any:
        """Which keys each query sees [S, Skv]."""
        xp = self._xp
        position = xp.arange(queries)[:, None] + (keys - queries if self._causal == "lower_right" else 0)
        key = xp.arange(keys)
        seen = xp.ones((queries, keys), bool)
        if self._causal != "no":
            seen &= key <= position
        if self._window:
            seen &= abs(position - key) < self._window
        return seen
