"""What O must be, in float64 from the inputs as they are rounded, and how far a kernel may be from it.

Each row is compared in units of its natural size, the root of the sum of its squared weights: with N(0,1) values a row
that averages over thousands of keys is as small as that, and a bound in plain numbers would not see it wrong.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ...spaces.problems import Problem
from ..op import Array, Tolerance

FULL_CHECK_FLOPS = {"numpy": 2e9, "other": 2e11}
"""Up to here every row is checked: about 0.3 s of float64 work on 2 cores, some 20 ms on an H200; above, some rows."""

CHECKED_ROWS = 64
"""Rows of each sequence that are checked beside those at edges of tiles."""

LSE_WITHIN = 2.0**-9
"""What lse may be off, whatever the dtype: sums are kept in fp32; scores of tf32 are off by a third of that."""

CHUNK_SCORES = 2**26
"""Scores that are held at once: 512 MiB."""


def tolerance(problem: Problem) -> Tolerance:
    """In units of each row's size. Weights are rounded to the dtype before they meet V: six sigma of that, twice over.

    bf16: weights are off by 2^-9 at most and 2^-9 / sqrt(3) in the mean, the output by as much; of 1e8 elements the
    worst is at some seven sigma. Of tf32 the scores are off as well: factors of 11 bits.
    """
    frobenius, rtol, atol = {
        "fp32": (2e-5, 2.0**-16, 1e-4),
        "tf32": (3e-3, 2.0**-8, 2.0**-6),
        "tf32x3": (2e-5, 2.0**-16, 1e-4),
        "fp16": (1.5e-3, 2.0**-10, 2.0**-8),
    }.get(str(problem["dtype"]), (8e-3, 2.0**-7, 2.0**-5))
    return Tolerance(frobenius, rtol, atol)


def evidence(problem: Problem, arrays: Mapping[str, Array], xp: Any, rng: Any) -> tuple[Array, Array]:
    """Rows of O in units of each row's size, and what lse is off, as computed and as they should be.

    Of a large problem only some rows; that the others are finite is checked all the same.
    """
    computed, expected = [], []
    for part in _parts(problem, arrays, xp, rng):
        o, lse, size = _attended(problem, part, xp)
        computed.append((part.o.astype(xp.float64) / size).ravel())
        expected.append((o / size).ravel())
        if part.lse is not None:
            blind = xp.isneginf(lse)  # nothing seen: to be said so exactly
            right = xp.where(blind, 0.0, lse)
            said = xp.where(blind, xp.where(xp.isneginf(part.lse), 0.0, xp.nan), part.lse)
            computed.append(((said - right) * tolerance(problem).atol / LSE_WITHIN).ravel())
            expected.append(xp.zeros(right.size))
    finite = xp.isfinite(arrays["o"]).all()
    computed.append(xp.where(finite, 0.0, xp.nan).reshape(1))
    expected.append(xp.zeros(1))
    return xp.concatenate(computed), xp.concatenate(expected)


@dataclass(frozen=True, slots=True)
class _Part:
    """Some queries of one sequence that share a key head, and all its keys."""

    q: Array  # [group, rows, d]
    k: Array  # [keys, d]
    v: Array
    o: Array  # [group, rows, d]
    lse: Array | None  # [group, rows]
    rows: Array  # which queries these are
    queries: int  # of the whole sequence
    bias: Array | None  # [group, rows, keys]
    slopes: Array | None  # [group]


def _parts(problem: Problem, arrays: Mapping[str, Array], xp: Any, rng: Any) -> Iterator[_Part]:
    group, full = problem.dim("group"), _all_rows(problem, xp)
    for place in range(problem.dim("b")):
        q, k, v, o, lse = _sequence(problem, arrays, place)
        queries, keys = q.shape[1], k.shape[1]
        if not queries:
            continue
        checked = range(queries) if full else _checked_rows(queries, rng)
        step = max(1, CHUNK_SCORES // max(1, group * keys))
        for start in range(0, len(checked), step):
            rows = xp.asarray(list(checked[start : start + step]))
            for head in range(k.shape[0]):
                heads = slice(head * group, (head + 1) * group)
                yield _Part(
                    q[heads][:, rows],
                    k[head],
                    v[head],
                    o[heads][:, rows],
                    None if lse is None else lse[heads][:, rows],
                    rows,
                    queries,
                    arrays["bias"][heads][:, rows] if problem["has_bias"] else None,
                    arrays["slopes"][heads] if problem["has_alibi"] else None,
                )


def _sequence(problem: Problem, arrays: Mapping[str, Array], place: int) -> tuple[Any, ...]:
    """Q [h, S, d], K and V [kv_heads, T, d], O and lse of one sequence, as views where they can be."""
    (q, k, v, o), lse = (arrays[name] for name in "qkvo"), arrays.get("lse")
    if problem["is_varlen"]:
        (first, end), (begin, stop) = (
            (int(arrays[name][place]), int(arrays[name][place + 1])) for name in ("q_starts", "kv_starts")
        )
        q, o = (x[first:end].swapaxes(0, 1) for x in (q, o))
        k, v = (x[begin:stop].swapaxes(0, 1) for x in (k, v))
        return q, k, v, o, None if lse is None else lse[:, first:end]
    turned = problem["layout"] == "bshd"
    q, o = (x[place].swapaxes(0, 1) if turned else x[place] for x in (q, o))
    if problem["is_paged"]:
        used, pages = int(arrays["kv_lens"][place]), arrays["page_table"][place]
        k, v = (x[pages].reshape(-1, *x.shape[2:])[:used].swapaxes(0, 1) for x in (k, v))
    else:
        k, v = (x[place].swapaxes(0, 1) if turned else x[place] for x in (k, v))
    return q, k, v, o, None if lse is None else lse[place]


def _attended(problem: Problem, part: _Part, xp: Any) -> tuple[Array, Array, Array]:
    """O, lse, and the size of each row [group, rows, 1]: 1 where nothing is seen."""
    k, v = part.k.astype(xp.float64), part.v.astype(xp.float64)
    scores = (part.q.astype(xp.float64) @ k.T) * problem.dim("d") ** -0.5
    if cap := problem.dim("soft_cap_value"):
        scores = cap * xp.tanh(scores / cap)
    keys = xp.arange(k.shape[0])
    from_end = (part.rows + (k.shape[0] - part.queries))[:, None]
    if part.bias is not None:
        scores += part.bias
    if part.slopes is not None:
        scores -= part.slopes[:, None, None] * xp.abs(from_end - keys)
    position = from_end if problem["causal"] == "lower_right" else part.rows[:, None]
    seen = xp.ones((len(part.rows), k.shape[0]), bool)
    if problem["is_causal"]:
        seen &= keys <= position
    if window := problem.dim("window_size"):
        seen &= position - keys < window
        seen &= keys - position < window
    scores = xp.where(seen, scores, -math.inf)
    if not k.shape[0]:
        nothing = xp.full(scores.shape[:2], -math.inf)
        return xp.zeros((*nothing.shape, v.shape[1])), nothing, xp.ones((*nothing.shape, 1))
    most = scores.max(axis=-1, keepdims=True)
    weights = xp.exp(scores - xp.where(xp.isneginf(most), 0.0, most))
    total = weights.sum(axis=-1, keepdims=True)
    blind = total == 0.0
    weights /= xp.where(blind, 1.0, total)
    size = xp.sqrt((weights**2).sum(axis=-1, keepdims=True))
    lse = xp.where(blind, -math.inf, xp.log(xp.where(blind, 1.0, total)) + xp.where(blind, 0.0, most))
    return weights @ v, lse[..., 0], xp.where(blind, 1.0, size)


def _all_rows(problem: Problem, xp: Any) -> bool:
    return problem.dim("flops") <= FULL_CHECK_FLOPS.get(xp.__name__, FULL_CHECK_FLOPS["other"])


def _checked_rows(queries: int, rng: Any) -> list[int]:
    """The ends, the edges of the first and last tiles, and random ones."""
    heights = [height for height in (16, 32, 48, 64, 96, 128, 192, 256) if height < queries]
    edges = {edge for height in heights for edge in (height, queries - 1 - (queries - 1) % height)}
    known = {row for edge in (0, queries - 1, *edges) for row in (edge - 1, edge, edge + 1) if 0 <= row < queries}
    return sorted(known | {int(row) for row in rng.choice(queries, min(CHECKED_ROWS, queries), replace=False)})
