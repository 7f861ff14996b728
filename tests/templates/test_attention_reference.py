"""attention's reference, against torch's own scaled_dot_product_attention in double precision."""

import itertools
import math

import numpy as np
import pytest
from kerntune.spaces.errors import ProblemError, UnknownName
from kerntune.templates.attention import lengths
from kerntune.templates.catalogue import op_named

ATTENTION = op_named("attention")
DTYPES = {"fp32": np.float32, "int32": np.int32}


def a_problem(**fields):
    return ATTENTION.problem("cpu", **({"b": 2, "h": 4, "s": 33, "d": 16} | fields))


def arrays_of(problem, seed=1):
    """Random inputs; O and lse are NaN until something computes them."""
    rng = np.random.default_rng(seed)
    made = {}
    for buffer in ATTENTION.buffers(problem):
        if buffer.values:
            made[buffer.name] = np.array(buffer.values, DTYPES[buffer.dtype]).reshape(buffer.shape)
        elif buffer.role == "input":
            made[buffer.name] = rng.standard_normal(buffer.shape, np.float32)
        else:
            made[buffer.name] = np.full(buffer.shape, np.nan, np.float32)
    return made


def mask(problem, queries, keys):
    """What each query sees, pair by pair."""
    shift = keys - queries if problem["causal"] == "lower_right" else 0
    seen = np.ones((queries, keys), bool)
    for i in range(queries):
        for j in range(keys):
            if problem["is_causal"] and j > i + shift:
                seen[i, j] = False
            if problem["window_size"] and abs(i + shift - j) >= problem["window_size"]:
                seen[i, j] = False
    return seen


def by_torch(problem, q, k, v, bias=None, slopes=None):
    """O and lse of one sequence [h, S, d], in fp64."""
    import torch

    group, (queries, keys) = problem["group"], (q.shape[1], k.shape[1])
    q, k, v = (torch.from_numpy(np.ascontiguousarray(x)).double() for x in (q, k, v))
    k, v = k.repeat_interleave(group, 0), v.repeat_interleave(group, 0)
    scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
    if cap := problem["soft_cap_value"]:
        scores = torch.tanh(scores / cap) * cap
    if bias is not None:
        scores = scores + torch.from_numpy(bias)
    if slopes is not None:
        distance = torch.arange(queries)[:, None] + (keys - queries) - torch.arange(keys)
        scores = scores - torch.from_numpy(slopes)[:, None, None] * distance.abs()
    scores = scores.masked_fill(~torch.from_numpy(mask(problem, queries, keys)), -math.inf)
    return (torch.nan_to_num(scores.softmax(-1)) @ v).numpy(), scores.logsumexp(-1).numpy()


CASES = [
    {},
    {"causal": True},
    {"causal": True, "s": 20, "kv_len": 40},
    {"causal": True, "s": 40, "kv_len": 20},
    {"causal": "lower_right", "s": 20, "kv_len": 40},
    {"causal": "lower_right", "s": 40, "kv_len": 20},
    {"causal": True, "window": 7},
    {"window": 5},
    {"causal": "lower_right", "window": 9, "s": 12, "kv_len": 40},
    {"kv_heads": 2, "causal": True},
    {"kv_heads": 1, "layout": "bshd"},
    {"soft_cap": 3},
    {"bias": "additive", "causal": True},
    {"bias": "alibi", "s": 9, "kv_len": 30},
]


@pytest.mark.torch
@pytest.mark.parametrize("fields", CASES, ids=str)
def test_every_word_means_what_torch_computes(fields):
    """Masks, heads in groups, caps and biases; a row that sees nothing gives zeros."""
    problem = a_problem(lse="yes", **fields)
    arrays = arrays_of(problem)
    turned = (0, 2, 1, 3) if problem["layout"] == "bshd" else (0, 1, 2, 3)
    for place in range(problem["b"]):
        q, k, v = (arrays[name].transpose(turned)[place] for name in "qkv")
        o, lse = by_torch(problem, q, k, v, arrays.get("bias"), arrays.get("slopes"))
        arrays["o"].transpose(turned)[place], arrays["lse"][place] = o, lse
    assert_right(problem, arrays)


@pytest.mark.torch
@pytest.mark.parametrize("causal", ["no", "yes", "lower_right"])
def test_packed_sequences_are_each_their_own(causal):
    """Of different lengths, one of them empty; positions count from the start, or the end, of each."""
    problem = a_problem(b=5, varlen="yes", kv_len=50, kv_heads=2, causal=causal, lse="yes", bias="alibi")
    arrays = arrays_of(problem)
    starts = zip(*(arrays[name].tolist() for name in ("q_starts", "kv_starts")), strict=True)
    for (q0, k0), (q1, k1) in itertools.pairwise(starts):
        q, k, v = arrays["q"][q0:q1], arrays["k"][k0:k1], arrays["v"][k0:k1]
        parts = by_torch(problem, *(x.swapaxes(0, 1) for x in (q, k, v)), None, arrays["slopes"])
        arrays["o"][q0:q1], arrays["lse"][:, q0:q1] = parts[0].swapaxes(0, 1), parts[1]
    assert_right(problem, arrays)


@pytest.mark.torch
@pytest.mark.parametrize("page", [1, 16])
def test_pages_are_found_by_their_table(page):
    """Keys of a sequence lie in pages in any order, and end within the last."""
    problem = a_problem(b=5, s=3, paged=page, kv_len=40, kv_heads=2, causal="lower_right", lse="yes")
    arrays = arrays_of(problem)
    for place, used in enumerate(arrays["kv_lens"].tolist()):
        slots = [(arrays["page_table"][place, j // page], j % page) for j in range(used)]
        k, v = (np.array([arrays[x][at] for at in slots]).reshape(used, 2, 16) for x in "kv")
        o, lse = by_torch(problem, arrays["q"][place], k.swapaxes(0, 1), v.swapaxes(0, 1))
        arrays["o"][place], arrays["lse"][place] = o, lse
    assert 0 in arrays["kv_lens"]
    assert_right(problem, arrays)


def assert_right(problem, arrays):
    computed, expected = ATTENTION.evidence(problem, arrays, np, np.random.default_rng(0))
    np.testing.assert_allclose(computed, expected, atol=2e-5)
    assert np.abs(expected).max() > 0.1


def test_a_wrong_element_shows_in_rows_that_average_over_many_keys():
    """Rows are judged by their own size: the mean of 4,000 keys is as small as a rounding error of one."""
    problem = ATTENTION.problem("cpu", b=1, h=1, s=8, kv_len=4096, d=16)
    arrays = arrays_of(problem)
    arrays["o"][...] = by_torch(problem, arrays["q"][0], arrays["k"][0], arrays["v"][0])[0]
    arrays["o"][0, 0, 3, 5] += 0.01
    computed, expected = ATTENTION.evidence(problem, arrays, np, np.random.default_rng(0))
    assert np.abs(computed - expected).max() > 0.2 > ATTENTION.tolerance(problem).atol


def test_nothing_seen_is_said_as_minus_infinity():
    """An lse of any number, where there was no key, is wrong."""
    problem = a_problem(causal="lower_right", s=4, kv_len=1, lse="yes")
    arrays = arrays_of(problem)
    arrays["o"][...], arrays["lse"][...] = 0.0, 0.0
    computed, _ = ATTENTION.evidence(problem, arrays, np, np.random.default_rng(0))
    assert np.isnan(computed).any()


@pytest.mark.parametrize("causal", ["no", "yes", "lower_right"])
@pytest.mark.parametrize("window", ["none", 1, 4, 100])
@pytest.mark.parametrize(("s", "kv_len"), [(1, 1), (9, 9), (3, 12), (12, 3)])
def test_pairs_are_counted_one_by_one(causal, window, s, kv_len):
    """FLOPs are those of the pairs that are seen."""
    problem = a_problem(b=1, s=s, kv_len=kv_len, causal=causal, window=window)
    assert problem["pairs"] == mask(problem, s, kv_len).sum()
    assert problem["flops"] == 4 * problem["h"] * problem["d"] * problem["pairs"]


def test_lengths_differ_and_one_is_empty():
    """A kernel that takes every sequence for the longest is found out."""
    found = lengths.spread(8, 1000)
    assert (max(found), min(found), len(set(found))) == (1000, 0, 8)
    assert lengths.spread(1, 7) == (7,)


@pytest.mark.parametrize(
    ("fields", "error", "says"),
    [
        ({"kv_heads": 3}, ProblemError, "kv_heads is 3, and h is 4"),
        ({"causal": "left"}, UnknownName, "a causal of attention"),
        ({"window": 0}, ProblemError, 'an integer of at least 1, or "none"'),
        ({"window": "wide"}, ProblemError, "attention.window is 'wide'"),
        ({"varlen": "yes", "paged": 16}, ProblemError, "leave one out"),
        ({"varlen": "yes", "bias": "additive"}, ProblemError, "use alibi"),
        ({"varlen": "yes", "layout": "bshd"}, ProblemError, "leave layout out"),
    ],
)
def test_what_does_not_go_together_is_refused(fields, error, says):
    """And how to mend it is said."""
    with pytest.raises(error, match=says):
        a_problem(**fields)


def test_words_that_mean_the_same_are_one_problem():
    """Python's True, JSON's true and yes; counts as text; the lower right corner of a square."""
    assert a_problem(causal=True) == a_problem(causal="yes") == a_problem(causal="lower_right")
    assert a_problem(window="7", paged="no") == a_problem(window=7)
    assert a_problem(lse=False) == a_problem()
