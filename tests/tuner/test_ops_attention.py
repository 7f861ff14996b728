"""ops.attention: what a call asks for, what a kernel is given, and what the vendor computes where nothing is tuned."""

import ctypes
from importlib import import_module
from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
import pytest
from builders import a_target
from kerntune import ops
from kerntune.spaces.errors import ProblemError, ShapeError, UnknownName
from kerntune.templates.catalogue import op_named
from kerntune.tuner.ops import planned
from kerntune.tuner.ops.arrays import View
from kerntune.tuner.ops.attention_request import AttentionWords
from kerntune.tuner.ops.planning import Planner

torch = import_module("torch") if find_spec("torch") else None
ATTENTION = op_named("attention")


def at(address, shape):
    """The fp32 array that lies at an address."""
    count = int(np.prod(shape))
    return np.ctypeslib.as_array((ctypes.c_float * count).from_address(address)).reshape(shape)


class Reader:
    """Finds every buffer at its address; writes where O and lse belong what it was told to."""

    def __init__(self, problem, numbers):
        self.problem, self.numbers, self.seen = problem, dict(numbers), []

    def launch(self, addresses, stream, library):
        buffers = ATTENTION.buffers(self.problem)
        assert len(buffers) == len(addresses)
        for place, (buffer, address) in enumerate(zip(buffers, addresses, strict=True)):
            array = at(address, buffer.shape)
            if buffer.role == "output":
                array[...] = np.arange(array.size).reshape(array.shape) + 1000 * place
            else:
                self.seen.append((buffer.name, array.copy()))


class Site:
    """Knows an answer for every problem."""

    target = a_target()

    def __init__(self):
        self.kernels = []

    def __call__(self, device, config):
        return self

    def best(self, problem):
        return SimpleNamespace(template="flash", match="exact", median_us=1.0, baseline_us=1e9)

    def load(self, problem, answer, numbers):
        self.kernels.append(Reader(problem, numbers))
        return self.kernels[-1]

    def close(self):
        pass


@pytest.fixture
def tuned(monkeypatch):
    site = Site()
    monkeypatch.setattr(planned, "planner", Planner(open_site=site))
    planned.calls.clear()
    yield site
    planned.calls.clear()


@pytest.fixture
def untuned(monkeypatch):
    site = Site()
    site.best = lambda problem: None
    monkeypatch.setattr(planned, "planner", Planner(open_site=site))
    planned.calls.clear()
    yield site
    planned.calls.clear()


def arrays(b=2, h=4, s=5, d=8, kv_heads=2, kv_len=9, make=np.asarray, seed=1):
    rng = np.random.default_rng(seed)
    shapes = ((b, h, s, d), (b, kv_heads, kv_len, d), (b, kv_heads, kv_len, d))
    return [make(rng.standard_normal(shape, np.float32)) for shape in shapes]


def test_a_kernel_is_given_every_buffer_in_order(tuned):
    """q, k, v, the bias, then O and lse, which come back as a pair."""
    q, k, v = arrays()
    bias = np.ones((4, 5, 9), np.float32)
    o, lse = ops.attention(q, k, v, bias=bias, return_lse=True)
    (kernel,) = tuned.kernels
    for (name, seen), given in zip(kernel.seen, (q, k, v, bias), strict=True):
        assert (seen == given).all(), name
    assert (o.shape, lse.shape, lse.dtype) == ((2, 4, 5, 8), (2, 4, 5), np.float32)
    assert (o.ravel()[:2].tolist(), lse.ravel()[:2].tolist()) == ([4000, 4001], [5000, 5001])
    again, _ = ops.attention(q, k, v, bias=bias, return_lse=True)
    assert again is not o
    assert len(tuned.kernels) == 1


def test_a_scale_is_the_callers_and_no_part_of_the_problem(tuned):
    """One tuned kernel, launched with another number."""
    q, k, v = arrays()
    ops.attention(q, k, v)
    ops.attention(q, k, v, scale=0.25)
    one, other = tuned.kernels
    assert one.problem == other.problem
    assert (one.numbers, other.numbers) == ({"scale": 8**-0.5}, {"scale": 0.25})


def test_tokens_before_heads_are_taken_as_they_lie(tuned):
    """Views of [B,S,H,D] are a layout of their own, and O lies so too."""
    q, k, v = (np.ascontiguousarray(x.swapaxes(1, 2)).swapaxes(1, 2) for x in arrays())
    o = ops.attention(q, k, v)
    (kernel,) = tuned.kernels
    assert kernel.problem["layout"] == "bshd"
    assert (kernel.seen[0][1] == q.swapaxes(1, 2)).all()
    assert o.shape == q.shape
    assert o.swapaxes(1, 2).flags.c_contiguous


def test_what_lies_otherwise_is_copied(tuned):
    """A slice of a wider array, beside others that lie well."""
    q, k, v = arrays()
    wide = np.zeros((2, 2, 9, 16), np.float32)
    wide[..., :8] = k
    plan = ops.attention_plan(q, wide[..., :8], v)
    assert plan.copied == ("k",)
    ops.attention(q, wide[..., :8], v)
    assert (tuned.kernels[0].seen[1][1] == k).all()


def test_out_is_written_and_given_back(tuned):
    """Also where it shares memory with what is read: then through an array of our own."""
    q, k, v = arrays()
    out = np.zeros_like(q)
    assert ops.attention(q, k, v, out=out) is out
    assert out.ravel()[1] == 3001
    assert ops.attention(q, k, v, out=q) is q
    assert q.ravel()[1] == 3001


@pytest.mark.parametrize("scale", [0.0, -0.5])
def test_a_scale_that_is_not_above_zero_is_the_vendors(tuned, scale):
    """Kernels look for the largest product, which a negative scale makes the smallest score."""
    q, k, v = arrays()
    o = ops.attention(q, k, v, scale=scale)
    weights = np.exp(scale * q @ np.repeat(k, 2, axis=1).swapaxes(-1, -2))
    right = weights / weights.sum(-1, keepdims=True) @ np.repeat(v, 2, axis=1)
    np.testing.assert_allclose(o, right, rtol=1e-4, atol=1e-5)
    assert tuned.kernels == []


CASES = [
    {},
    {"causal": True},
    {"causal": "lower_right"},
    {"causal": True, "window": 3},
    {"window": 2, "scale": 0.7},
    {"soft_cap": 2, "causal": True},
    {"bias": (4, 5, 9)},
    {"bias": (4, 5, 9), "causal": True},
    {"alibi_slopes": (4,)},
    {"return_lse": True, "causal": "lower_right"},
]


def a_problem(k, words, extra):
    """What the op calls it."""
    names = {"bias": "additive", "alibi_slopes": "alibi"}
    fields = {"b": 2, "h": 4, "s": 5, "d": 8, "kv_heads": 2, "kv_len": k.shape[2]}
    fields |= {name: words[name] for name in ("causal", "window", "soft_cap") if name in words}
    bias = next((names[name] for name in extra), "none")
    return ATTENTION.problem("cpu", **fields, bias=bias, lse=words.get("return_lse", False))


@pytest.mark.torch
@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("kv_len", [9, 3])
@pytest.mark.parametrize("words", CASES, ids=str)
def test_the_vendor_computes_what_the_op_means(untuned, library, kv_len, words):
    """Where nothing is tuned; queries that see no key give zeros."""
    make = np.asarray if library == "numpy" else torch.from_numpy
    q, k, v = arrays(kv_len=kv_len)
    rng = np.random.default_rng(5)
    sizes = {"bias": (4, 5, kv_len), "alibi_slopes": (4,)}
    extra = {name: abs(rng.standard_normal(sizes[name], np.float32)) for name in sizes if name in words}
    made = ops.attention(make(q), make(k), make(v), **{**words, **{name: make(x) for name, x in extra.items()}})
    o, lse = made if words.get("return_lse") else (made, None)
    rows = {"q": q * (words["scale"] * 8**0.5) if "scale" in words else q, "k": k, "v": v, "o": np.asarray(o)}
    rows |= {"slopes" if name == "alibi_slopes" else name: array for name, array in extra.items()}
    rows |= {} if lse is None else {"lse": np.asarray(lse)}
    computed, right = ATTENTION.evidence(a_problem(k, words, extra), rows, np, rng)
    np.testing.assert_allclose(computed, right, atol=3e-5)


@pytest.mark.torch
def test_gradients_flow_through_the_vendor(tuned):
    """A kernel of ours has no backward: where one is asked for, torch computes."""
    q, k, v = arrays(make=torch.from_numpy)
    q.requires_grad_()
    ops.attention(q, k, v, causal=True).sum().backward()
    assert q.grad is not None
    assert tuned.kernels == []


@pytest.mark.parametrize("library", ["numpy", pytest.param("torch", marks=pytest.mark.torch)])
def test_dims_of_nothing_are_no_error(tuned, library):
    """No queries: nothing. No keys: zeros, and an lse of minus infinity."""
    make = np.asarray if library == "numpy" else torch.from_numpy
    assert tuple(ops.attention(*arrays(s=0, make=make)).shape) == (2, 4, 0, 8)
    assert tuple(ops.attention(*arrays(b=0, make=make), return_lse=True)[1].shape) == (0, 4, 5)
    o, lse = ops.attention(*arrays(kv_len=0, make=make), return_lse=True)
    assert (np.asarray(o) == 0).all()
    assert np.isneginf(np.asarray(lse)).all()
    assert tuned.kernels == []


def views(**shapes):
    given = {"q": (2, 4, 5, 8), "k": (2, 2, 9, 8), "v": (2, 2, 9, 8)} | shapes
    dense = {}
    for name, shape in given.items():
        strides, step = [], 1
        for size in reversed(shape):
            strides.insert(0, step)
            step *= size
        dense[name] = View(name, shape, tuple(strides), "bf16", "cuda:0", 4096)
    return dense


@pytest.mark.parametrize(
    ("shapes", "words", "error", "says"),
    [
        ({"q": (4, 5, 8)}, {}, ShapeError, r"each is \[B, heads, length, D\]"),
        ({"v": (2, 2, 7, 8)}, {}, ShapeError, "they are of one shape"),
        ({"k": (2, 2, 9, 4), "v": (2, 2, 9, 4)}, {}, ShapeError, "D, the last, are the same"),
        ({"q": (2, 5, 4, 8)}, {}, ShapeError, "q has 5 heads and k 2"),
        ({"bias": (5, 9)}, {}, ShapeError, r"bias is \[5, 9\], and is to be \[4, 5, 9\] here"),
        ({"out": (2, 4, 5, 9)}, {}, ShapeError, "out is"),
        ({}, {"causal": "left"}, UnknownName, "a causal of attention"),
        ({}, {"window": 0}, ProblemError, "attention.window is 0"),
        ({}, {"dtype": "fp16"}, ProblemError, "dtype=fp16, and q, k and v are bf16"),
    ],
)
def test_what_does_not_go_together_says_how_to_mend_it(shapes, words, error, says):
    """What, where, how."""
    with pytest.raises(error, match=says):
        AttentionWords(**words).read(views(**shapes))
