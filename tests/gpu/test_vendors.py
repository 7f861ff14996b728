"""Torch's ways on a GPU: each runs in a graph, in the stream of our kernels, and computes the problem."""

import pytest
from kerntune.templates.catalogue import op_named
from kerntune.tuner.measure.child import Child

pytestmark = [pytest.mark.gpu, pytest.mark.torch]


@pytest.fixture(scope="module")
def child():
    opened = Child(channel=None)
    assert opened.answer({"do": "open", "device": "cuda:0"}) == {"ok": True}
    return opened


def request(m=512, n=256, k=384, **fields):
    """For a playoff of nobody but the vendor's ways."""
    problem = op_named("gemm").problem("gpu", m=m, n=n, k=k, **fields)
    policy = {"cache": "cold", "launch": "graph"}
    said = {"do": "playoff", "problem": problem.as_dict(), "policy": policy, "artifacts": {}, "seed": 1}
    return {**said, "time_s": 0.1, "is_all": False, "rounds": 3}


@pytest.mark.parametrize(
    ("fields", "count"),
    [
        ({"layout": "nt"}, 2),
        ({"layout": "tt", "dtype": "fp16"}, 2),
        ({"dtype": "fp32"}, 2),
        ({"dtype": "tf32"}, 2),
        ({"dtype": "tf32x3"}, 2),
        ({"dtype": "bf16", "out_dtype": "fp32"}, 2),
        ({"dtype": "int8", "layout": "nt"}, 1),
        ({"dtype": "fp8", "layout": "nt"}, 2),
        ({"dtype": "fp8", "layout": "nt", "out_dtype": "bf16", "scales": "tensor"}, 2),
        ({"dtype": "fp8", "layout": "nt", "out_dtype": "bf16", "scales": "row"}, 2),
        ({"dtype": "fp8", "layout": "nt", "out_dtype": "bf16", "epilogue": "bias+gelu+residual"}, 2),
        ({"batch": 3, "layout": "nt"}, 2),
        ({"epilogue": "bias"}, 2),
        ({"epilogue": "bias+relu"}, 3),
        ({"epilogue": "residual", "dtype": "fp32"}, 2),
        ({"epilogue": "bias+silu+residual", "batch": 2, "dtype": "fp32"}, 2),
    ],
    ids=str,
)
def test_every_way_is_captured_and_right(child, fields, count):
    """None refuses, and none is off by our own tolerance."""
    reply = child.answer(request(**fields))
    assert "failure" not in reply, reply
    assert reply["left_out"] == {}
    assert set(reply["vendors"].values()) == {None}
    assert len(reply["rounds_us"]) == count
    assert all(us > 0 for taken in reply["rounds_us"].values() for samples in taken for us in samples)


def test_what_is_rounded_twice_may_be_off_and_is_said_to_be(child):
    """A residual is added to sums that torch has stored in 16 bits already: still a rival, and named as off."""
    reply = child.answer(request(epilogue="residual"))
    assert len(reply["rounds_us"]) == 2
    assert all(fault is None or fault.startswith("element") for fault in reply["vendors"].values())


def test_scales_of_blocks_have_one_way(child):
    """Sums are not kept in few bits there; K is whole in blocks of four, or torch refuses it."""
    blocks = {"dtype": "fp8", "layout": "nt", "out_dtype": "bf16", "scales": "block128", "k": 512}
    reply = child.answer(request(**blocks))
    assert "failure" not in reply, reply
    assert reply["vendors"] == {"torch._scaled_mm (use_fast_accum=False)": None}
    assert "fast accum" in reply["left_out"]["torch._scaled_mm (use_fast_accum=True)"]


@pytest.mark.parametrize(
    "fields",
    [
        {"dtype": "int8", "m": 8},
        {"dtype": "fp8", "k": 40},
        {"dtype": "fp8", "k": 384, "out_dtype": "bf16", "scales": "block128"},
    ],
    ids=str,
)
def test_what_torch_refuses_is_left_out_and_the_next_problem_runs(child, fields):
    """In its own words; nothing is broken by it."""
    kernels, faults, left_out = child._vendors(child._work(request(layout="nt", **fields)), 1)  # white box
    assert kernels == faults == {}
    assert all("Error: " in reason for reason in left_out.values())
    assert len(child.answer(request())["rounds_us"]) == 2
