"""What torch has for attention: the backends of its scaled_dot_product_attention, by name; flash also by its own call.

Torch counts causal from the upper left, and its flash call from the lower right. A window, another corner or a bias
goes to the others as a mask, which is made beforehand and costs them nothing but its reading; flash takes no mask. No
way has a soft cap, ALiBi or pages. None writes where it is told: what it made is copied at the first call only.

Source: aten/src/ATen/native/transformers of torch 2.11.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...spaces.problems import Problem
from .device import Arrays
from .torch_gemm import Tensors, Way

BACKENDS = ("FLASH_ATTENTION", "CUDNN_ATTENTION", "EFFICIENT_ATTENTION")

_MINUS_INFINITY = {np.dtype(np.uint16): 0xFF80}
"""Of bf16, which lies in memory as bits."""

Made = Mapping[str, Any]
"""What a call made, by the buffer it belongs in."""


def attention_ways(torch: Any, problem: Problem) -> dict[str, Way]:
    """Torch's ways for a problem, by name."""
    if problem["soft_cap_value"] or problem["has_alibi"] or problem["is_paged"]:
        return {}
    flash = {"torch._flash_attention_forward": _flash(torch, problem)}
    if problem["is_varlen"]:
        return flash if _corner_is_flash(problem) and problem["dtype"] != "fp32" else {}
    ways = {} if problem["has_lse"] else {_name(backend): _sdpa(torch, problem, backend) for backend in BACKENDS}
    by_flash = (problem["has_lse"] or problem["window_size"]) and not problem["has_bias"] and _corner_is_flash(problem)
    return {**ways, **flash} if by_flash else ways


def _name(backend: str) -> str:
    return f"torch sdpa ({backend.removesuffix('_ATTENTION').lower()})"


def _corner_is_flash(problem: Problem) -> bool:
    """Whether causal means the same to flash, which counts from the last key."""
    return problem["causal"] != "yes" or problem["s"] == problem["kv_len"]


def _sdpa(torch: Any, problem: Problem, backend: str) -> Way:
    attend = torch.nn.functional.scaled_dot_product_attention
    masked, grouped = _needs_mask(problem), problem.dim("group") > 1
    only = [getattr(torch.nn.attention.SDPBackend, backend)]
    words = {} if masked else {"is_causal": problem["causal"] == "yes"}

    def call(t: Tensors) -> Made:
        with torch.nn.attention.sdpa_kernel(only):
            return {"o": attend(t["q"], t["k"], t["v"], attn_mask=t.get("mask"), enable_gqa=grouped, **words)}

    return Way(call, _view(problem), beside=_mask(problem) if masked else lambda arrays, xp: {})


def _flash(torch: Any, problem: Problem) -> Way:
    """By tokens [b, s, h, d], or [total, h, d] with where each sequence starts."""
    window = problem.dim("window_size") - 1 if problem["window_size"] else None
    right = (0 if problem["is_causal"] else window) if window is not None else None
    words = {"window_size_left": window, "window_size_right": right}
    forward = torch.ops.aten._flash_attention_forward
    packed, causal = bool(problem["is_varlen"]), bool(problem["is_causal"])

    def call(t: Tensors) -> Made:
        q, k, v = (t[name] if packed else t[name].transpose(1, 2) for name in "qkv")
        starts = (t["q_starts"], t["kv_starts"]) if packed else (None, None)
        longest = problem.dim("s"), problem.dim("kv_len")
        made = forward(q, k, v, *starts, *longest, 0.0, causal, False, **words)
        return {"o": made[0] if packed else made[0].transpose(1, 2), "lse": made[1]}

    return Way(call, _view(problem))


def _view(problem: Problem) -> Callable[[Tensors], Tensors]:
    turned = problem["layout"] == "bshd"

    def view(tensors: Tensors) -> Tensors:
        return {name: x.transpose(1, 2) if turned and name in "qkvo" else x for name, x in tensors.items()}

    return view


def _needs_mask(problem: Problem) -> bool:
    """Whether torch's own words, causal or not, do not say it."""
    last_sees_all = problem["s"] == 1 and problem["causal"] == "lower_right" and not problem["window_size"]
    return bool(problem["window_size"] or problem["has_bias"] or (problem["shift"] and not last_sees_all))


def _mask(problem: Problem) -> Callable[[Arrays, Any], Arrays]:
    """Which keys each query sees; or the bias, and minus infinity where it sees none."""

    def made(arrays: Arrays, xp: Any) -> Arrays:
        position = xp.arange(problem.dim("s"))[:, None] + problem.dim("shift")
        key = xp.arange(problem.dim("kv_len"))
        seen = xp.ones((problem.dim("s"), problem.dim("kv_len")), bool)
        if problem["is_causal"]:
            seen &= key <= position
        if window := problem.dim("window_size"):
            seen &= abs(position - key) < window
        if not problem["has_bias"]:
            return {"mask": seen[None, None]}
        bias = arrays["bias"]
        nothing = _MINUS_INFINITY.get(np.dtype(bias.dtype), -np.inf)
        return {"mask": xp.where(seen, bias, xp.asarray(nothing, bias.dtype))[None]}

    return made
