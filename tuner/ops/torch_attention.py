"""The vendor's attention of torch tensors: scaled_dot_product_attention where it has the words, else its parts.

It is differentiable where `out` is not given, and rounds where torch does. Torch has no soft cap, no ALiBi and no lse,
and gives NaN for some queries that see no key: there scores are made and kept in fp32, all of them at once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch

from ...spaces.problems import Problem


class TorchAttention:
    """See VendorCall."""

    def __init__(self, problem: Problem, scale: float, causal: str) -> None:
        self._scale, self._causal = scale, causal
        self._window, self._cap = problem.dim("window_size"), problem.dim("soft_cap_value")
        self._group, self._has_lse = problem.dim("group"), bool(problem["has_lse"])
        blind = causal == "lower_right" and problem.dim("s") > problem.dim("kv_len")
        blind |= self._window > 0 and problem["s"] != problem["kv_len"]
        self._whole = not (self._cap or self._has_lse or problem["has_alibi"] or blind)
        self._masked = bool(self._window or problem["has_bias"] or causal == "lower_right")
        self.name = "torch.scaled_dot_product_attention" if self._whole else "torch.matmul + softmax"

    def __call__(self, arrays: Mapping[str, Any], out: Any) -> Any:
        q, k, v = (arrays[name] for name in "qkv")
        if self._whole and k.shape[2]:
            made = torch.nn.functional.scaled_dot_product_attention(
                *(q, k, v),
                attn_mask=self._mask(q, k, arrays.get("bias")) if self._masked else None,
                is_causal=self._causal == "yes" and not self._masked,
                scale=self._scale,
                enable_gqa=self._group > 1,
            )
            return made if out is None else out.copy_(made)
        o, lse = self._parts(q, k, v, arrays)
        o = o if out is None else out.copy_(o)
        return (o, lse) if self._has_lse else o

    def _parts(self, q: Any, k: Any, v: Any, arrays: Mapping[str, Any]) -> tuple[Any, Any]:
        k, v = (x.repeat_interleave(self._group, 1) if self._group > 1 else x for x in (k, v))
        scores = (q @ k.mT).float() * self._scale
        if self._cap:
            scores = torch.tanh(scores / self._cap) * self._cap
        if "bias" in arrays:
            scores = scores + arrays["bias"]
        if "alibi_slopes" in arrays:
            ends = torch.arange(q.shape[2], device=q.device)[:, None] + (k.shape[2] - q.shape[2])
            distance = (ends - torch.arange(k.shape[2], device=q.device)).abs()
            scores = scores - arrays["alibi_slopes"][:, None, None] * distance
        scores = scores.masked_fill(~self._seen(q, k), -math.inf)
        lse = scores.logsumexp(-1) if k.shape[2] else scores.new_full(scores.shape[:-1], -math.inf)
        weights = (scores - lse.masked_fill(lse == -math.inf, 0.0)[..., None]).exp()
        return weights.to(v.dtype) @ v, lse

    def _mask(self, q: Any, k: Any, bias: Any) -> Any:
        """What SDPA takes: what is seen, or the bias where it is."""
        plain = self._causal == "no" and not self._window
        if bias is None:
            return self._seen(q, k)
        return (bias if plain else bias.masked_fill(~self._seen(q, k), -math.inf)).reshape(1, *bias.shape[-3:])

    def _seen(self, q: Any, k: Any) -> Any:
        """Which keys each query sees [S, Skv]."""
        shift = k.shape[2] - q.shape[2] if self._causal == "lower_right" else 0
        position = torch.arange(q.shape[2], device=q.device)[:, None] + shift
        keys = torch.arange(k.shape[2], device=q.device)
        seen = torch.ones((q.shape[2], k.shape[2]), dtype=torch.bool, device=q.device)
        if self._causal != "no":
            seen &= keys <= position
        if self._window:
            seen &= (position - keys).abs() < self._window
        return seen
