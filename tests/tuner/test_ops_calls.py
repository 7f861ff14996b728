"""ops.gemm from arrays to a kernel's addresses, and which kernel answers; the kernel is a stand-in in this process."""

import ctypes
import warnings
from importlib import import_module
from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
import pytest
from builders import a_target
from fake_cuda import pretend_library
from kerntune import ops
from kerntune.spaces.errors import DeviceError, ProblemError, StoreError
from kerntune.tuner.ops import libraries, planned
from kerntune.tuner.ops.planning import Planner

torch = import_module("torch") if find_spec("torch") else None
pytestmark = pytest.mark.torch


class Reader:
    """Computes fp32 products from addresses, as a kernel does; notes what it was given."""

    def __init__(self, problem):
        self.problem, self.launched = problem, []

    def launch(self, addresses, stream, library):
        self.launched.append((addresses, stream))
        m, n, k, batch = (self.problem.dim(name) for name in ("m", "n", "k", "batch"))
        a, b = (at(address, batch * size) for address, size in zip(addresses, (m * k, k * n), strict=False))
        one, other = str(self.problem["layout"])
        a = a.reshape(batch, m, k) if one == "n" else a.reshape(batch, k, m).swapaxes(1, 2)
        b = b.reshape(batch, k, n) if other == "n" else b.reshape(batch, n, k).swapaxes(1, 2)
        c = a.astype(np.float64) @ b
        if self.problem["has_bias"]:
            c = c + at(addresses[2], n)
        at(addresses[-1], batch * m * n)[:] = c.ravel()


def at(address, count):
    return np.ctypeslib.as_array((ctypes.c_float * count).from_address(address))


class Store:
    """A site that knows an answer for each problem, made by `answer`."""

    def __init__(self, answer):
        self.answer, self.asked, self.kernels, self.target = answer, [], [], a_target()

    def __call__(self, device, config):
        return self

    def best(self, problem):
        self.asked.append(problem)
        return self.answer

    def load(self, problem, answer, numbers):
        self.kernels.append(Reader(problem))
        return self.kernels[-1]

    def close(self):
        pass


def an_answer(baseline_us=None):
    return SimpleNamespace(template="tiled", match="exact", median_us=10.0, baseline_us=baseline_us)


@pytest.fixture
def tuned(monkeypatch):
    """Everything is tuned, and ten times as fast as the vendor; tensors lie on GPU 0."""
    site = Store(an_answer(baseline_us=100.0))
    monkeypatch.setattr(planned, "planner", Planner(open_site=site))
    planned.calls.clear()
    planned.libraries.clear()
    monkeypatch.setitem(libraries._made, "torch", pretend_library())
    yield site
    planned.calls.clear()
    planned.libraries.clear()


def close(c, expected):
    return torch.allclose(c, expected, atol=1e-4)


def test_the_first_call_asks_and_no_later_one(tuned):
    """Neither store nor compiler; other arrays of these shapes are the same call."""
    for _ in range(3):
        a, b = torch.randn(8, 16), torch.randn(16, 12)
        assert close(ops.gemm(a, b), a @ b)
    assert len(tuned.asked) == len(tuned.kernels) == 1
    (addresses, stream) = tuned.kernels[0].launched[-1]
    assert addresses[:2] == (a.data_ptr(), b.data_ptr())
    assert stream == 0x1000
    assert ops.gemm_plan(a, b).is_tuned


def test_two_ways_to_say_one_problem_share_a_kernel(tuned):
    """`b.T` of an [N,K] tensor is nt in memory."""
    a, b = torch.randn(8, 16), torch.randn(12, 16)
    assert close(ops.gemm(a, b, layout="nt"), a @ b.T)
    assert close(ops.gemm(a, b.T), a @ b.T)
    assert len(tuned.kernels) == 1
    assert tuned.kernels[0].problem["layout"] == "nt"


def test_batches_epilogues_and_out(tuned):
    """Into the caller's own memory."""
    a, b, bias, out = torch.randn(3, 8, 16), torch.randn(3, 16, 12), torch.randn(12), torch.empty(3, 8, 12)
    version = out._version
    assert ops.gemm(a, b, epilogue="bias", bias=bias, out=out) is out
    assert close(out, a @ b + bias)
    assert out._version > version  # autograd hears of it
    assert tuned.kernels[0].launched[0][0][-1] == out.data_ptr()


@pytest.mark.parametrize("name", ["a", "b", "out"])
def test_what_a_kernel_cannot_take_is_copied_where_that_pays(tuned, name):
    """Slices that begin unaligned, and rows of a wider matrix."""
    whole = {"a": torch.randn(8, 17), "b": torch.randn(16, 13), "out": torch.empty(8, 13)}
    a, b, out = whole["a"][:, :16].clone(), whole["b"][:, :12].clone(), torch.empty(8, 12)
    odd = {"a": whole["a"][:, 1:], "b": whole["b"][:, 1:], "out": whole["out"][:, 1:]}[name]
    a, b, out = odd if name == "a" else a, odd if name == "b" else b, odd if name == "out" else out
    for _ in range(2):
        ops.gemm(a, b, out=out)
        assert close(out, a @ b)
    assert ops.gemm_plan(a, b, out=out).copied == (name,)
    assert tuned.kernels[0].launched


def test_a_misaligned_transposed_view_is_copied_as_it_lies(tuned):
    """So that the kernel of its own layout answers."""
    a, b = torch.randn(8, 16), torch.randn(12 * 16 + 1)[1:].view(12, 16)
    assert close(ops.gemm(a, b.T), a @ b.T)
    assert [kernel.problem["layout"] for kernel in tuned.kernels] == ["nt"]


@pytest.mark.parametrize("baseline_us", [12.0, None])
def test_where_copies_cost_more_the_vendor_answers(tuned, baseline_us):
    """Or could, where nobody measured the vendor."""
    tuned.answer = an_answer(baseline_us)
    a, b = torch.randn(8, 17)[:, 1:], torch.randn(16, 12)
    assert close(ops.gemm(a, b), a @ b)
    plan = ops.gemm_plan(a, b)
    assert (plan.kernel, plan.is_tuned) == ("torch.matmul", False)
    assert "cannot take a as given" in plan.reason


def test_a_misaligned_bias_is_always_copied(tuned):
    """It is small beside the matrices."""
    tuned.answer = an_answer()
    a, b, bias = torch.randn(64, 64), torch.randn(64, 64), torch.randn(65)[1:]
    assert close(ops.gemm(a, b, epilogue="bias", bias=bias), a @ b + bias)
    assert ops.gemm_plan(a, b, epilogue="bias", bias=bias).copied == ("bias",)


def test_out_may_share_memory_with_what_is_read(tuned):
    """A kernel would read what it wrote."""
    for place in range(2):
        a, b = torch.randn(16, 16), torch.randn(16, 16)
        expected, out = a @ b, (a, b)[place]
        ops.gemm(a, b, out=out)
        assert close(out, expected)
    both = torch.randn(24, 16)
    expected = both[:16] @ b
    assert close(ops.gemm(both[:16], b, out=both[8:]), expected)


def test_an_empty_product_needs_no_kernel(tuned):
    """Sums of nothing are zero, and still get their bias."""
    assert ops.gemm(torch.empty(0, 4), torch.empty(4, 3)).shape == (0, 3)
    bias = torch.randn(3)
    assert close(ops.gemm(torch.empty(2, 0), torch.empty(0, 3), epilogue="bias", bias=bias), bias.expand(2, 3))
    assert ops.gemm_plan(torch.empty(0, 4), torch.empty(4, 3)).problem is None
    assert tuned.asked == []


def test_where_nothing_is_tuned_the_plan_says_how_to(tuned):
    """The command, ready to run."""
    tuned.answer = None
    a, b = torch.randn(8, 16).bfloat16(), torch.randn(12, 16).bfloat16()
    plan = ops.gemm_plan(a, b, layout="nt", out_dtype=torch.float32)
    assert "tune gemm --shape 8x12x16 --out-dtype fp32 --layout nt --device cuda:0" in plan.reason
    assert ops.gemm(a, b, layout="nt", out_dtype=torch.float32).dtype == torch.float32


def test_what_was_tuned_since_is_found_when_plans_are_forgotten(tuned):
    """Until then the plan stays."""
    a, b = torch.randn(8, 16), torch.randn(16, 12)
    tuned.answer = None
    ops.gemm(a, b)
    tuned.answer = an_answer()
    assert not ops.gemm_plan(a, b).is_tuned
    ops.forget()
    assert ops.gemm_plan(a, b).is_tuned


@pytest.mark.parametrize("error", [StoreError("the disk is gone"), DeviceError("no driver")])
def test_a_store_or_device_in_trouble_is_said_and_does_not_end_the_program(tuned, error):
    """The vendor answers; once, not at every call."""

    def failing(problem):
        raise error

    tuned.best = failing
    a, b = torch.randn(8, 16), torch.randn(16, 12)
    with pytest.warns(RuntimeWarning, match=str(error)):
        assert close(ops.gemm(a, b), a @ b)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ops.gemm(a, b)


def test_what_is_remembered_has_a_bound(tuned, monkeypatch):
    """Shapes may be new for ever; a kernel is loaded once all the same."""
    monkeypatch.setattr(planned, "KEPT", 4)
    for m in [*range(1, 20), 1]:
        ops.gemm(torch.randn(m, 16), torch.randn(16, 12))
    assert len(planned.calls) == 4
    assert len(tuned.kernels) == 19


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: np.zeros((16, 12), np.float32), "arrays of several libraries"),
        (lambda: [[1.0] * 12] * 16, "b is a list, and the other arrays are of torch. Convert it"),
        (lambda: torch.eye(16, 12).to_sparse(), "b is a tensor that no kernel can be given"),
    ],
)
def test_what_is_no_array_of_the_library_is_told(tuned, make, said):
    """On the first call and on a later one."""
    a = torch.randn(8, 16)
    ops.gemm(a, torch.randn(16, 12))
    for _ in range(2):
        with pytest.raises(ProblemError, match=said):
            ops.gemm(a, make())


def test_a_package_that_speaks_dlpack_is_welcome(tuned):
    """Without a copy; `out` stays the caller's own object."""

    class Foreign:
        def __init__(self, tensor):
            self.tensor = tensor

        def __dlpack__(self, **words):
            return self.tensor.__dlpack__(**words)

        def __dlpack_device__(self):
            return self.tensor.__dlpack_device__()

    a, b, out = torch.randn(8, 16), torch.randn(16, 12), Foreign(torch.empty(8, 12))
    assert ops.gemm(a, Foreign(b), out=out) is out
    assert close(out.tensor, a @ b)
    assert tuned.kernels[0].launched[0][0][1] == b.data_ptr()
