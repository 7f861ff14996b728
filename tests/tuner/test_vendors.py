"""What becomes of the vendor library's ways in the measuring child: those that run, are wrong, or refuse."""

import numpy as np
import pytest
from kerntune.templates.catalogue import op_named
from kerntune.tuner.measure import child as children
from kerntune.tuner.measure.child import Child
from kerntune.tuner.measure.cpu_device import CpuDevice

PROBLEM = op_named("gemm").problem("cpu", m=24, n=16, k=8)
REQUEST = {
    **{"do": "playoff", "problem": PROBLEM.as_dict(), "policy": {"cache": "warm", "launch": "eager"}},
    **{"artifacts": {}, "seed": 1, "time_s": 0.0, "rounds": 3, "is_all": False},
}


def right(arrays):
    np.matmul(arrays["a"], arrays["b"], out=arrays["c"])


def wrong(arrays):
    right(arrays)
    arrays["c"][3, 4] += 1.0


def refuses(arrays):
    raise RuntimeError("self.size(0) needs to be greater than 16, but got 1\nand more")


@pytest.fixture
def playoff(monkeypatch):
    """A function (ways) -> the child's reply to a playoff of nobody else."""

    class Processor(CpuDevice):
        def vendors(self, problem):
            return self.ways

    device = Processor()
    monkeypatch.setattr(children, "open_device", lambda name: device)
    monkeypatch.setattr(children, "limit_memory", lambda: None)

    def run(**ways):
        device.ways = ways
        child = Child(channel=None)
        assert child.answer({"do": "open", "device": "cpu"}) == {"ok": True}
        return child.answer(REQUEST)

    return run


def test_each_way_that_runs_is_timed_and_told_what_is_wrong_with_it(playoff):
    """Rounds under names that no contender has; a way that leaves an element unwritten is not helped by another's."""
    reply = playoff(right=right, wrong=wrong, idle=lambda arrays: None)
    assert reply["rounds_us"].keys() == {"vendor:right", "vendor:wrong", "vendor:idle"}
    assert reply["vendors"]["right"] is None
    assert reply["vendors"]["wrong"].startswith("element [3, 4] is ")
    assert reply["vendors"]["idle"].startswith("384 of 384 elements are NaN")
    assert reply["left_out"] == {}


def test_a_way_that_refuses_is_left_out_with_its_own_words(playoff):
    """Their first line; the others are timed."""
    reply = playoff(refuses=refuses, right=right)
    assert reply["left_out"] == {"refuses": "RuntimeError: self.size(0) needs to be greater than 16, but got 1"}
    assert reply["vendors"] == {"right": None}
    assert {len(taken) for taken in reply["rounds_us"].values()} == {3}


def test_numpy_computes_batches_and_every_layout():
    """The processor's one way, where it is right; it has none for what it does not compute."""
    device = CpuDevice()
    for layout in ("nn", "nt", "tn", "tt"):
        problem = op_named("gemm").problem("cpu", m=5, n=6, k=7, layout=layout, batch=2)
        arrays = {b.name: device.random(b, turn) for turn, b in enumerate(op_named("gemm").buffers(problem))}
        (kernel,) = device.vendors(problem).values()
        kernel(arrays)
        a, b = (arrays[n] if t == "n" else arrays[n].swapaxes(-1, -2) for n, t in zip("ab", layout, strict=True))
        np.testing.assert_allclose(arrays["c"], a @ b, rtol=1e-5, atol=1e-5)
    for fields in ({"epilogue": "bias"}, {"dtype": "bf16"}, {"dtype": "fp32", "out_dtype": "fp16"}):
        assert device.vendors(op_named("gemm").problem("cpu", m=5, n=6, k=7, **fields)) == {}
