"""Torch's ways to attend on a GPU: each runs in a graph, in the stream of our kernels, and computes the problem."""

import pytest
from kerntune.templates.catalogue import op_named
from kerntune.tuner.measure.child import Child

pytestmark = [pytest.mark.gpu, pytest.mark.torch]

SDPA = {f"torch sdpa ({name})" for name in ("flash", "cudnn", "efficient")}
MASKED = SDPA - {"torch sdpa (flash)"}
FLASH = {"torch._flash_attention_forward"}


@pytest.fixture(scope="module")
def child():
    opened = Child(channel=None)
    assert opened.answer({"do": "open", "device": "cuda:0"}) == {"ok": True}
    return opened


@pytest.mark.parametrize(
    ("fields", "ways"),
    [
        ({}, SDPA),
        ({"causal": "yes"}, SDPA),
        ({"causal": "yes", "dtype": "fp16", "layout": "bshd", "d": 128}, SDPA),
        ({"s": 1, "kv_len": 777, "kv_heads": 2}, SDPA - {"torch sdpa (efficient)"}),
        ({"causal": "yes", "window": 64}, MASKED | FLASH),
        ({"causal": "lower_right", "s": 64, "kv_len": 256}, MASKED),
        ({"bias": "additive", "causal": "yes"}, MASKED),
        ({"causal": "yes", "lse": "yes"}, FLASH),
        ({"causal": "lower_right", "varlen": "yes", "b": 5}, FLASH),
    ],
    ids=str,
)
def test_every_way_is_captured_and_right(child, fields, ways):
    """None is off by our own tolerance; what refuses says why."""
    problem = op_named("attention").problem("gpu", **({"b": 2, "h": 8, "s": 200, "d": 64} | fields))
    policy = {"cache": "cold", "launch": "graph"}
    said = {"do": "playoff", "problem": problem.as_dict(), "policy": policy, "artifacts": {}, "seed": 1}
    reply = child.answer({**said, "time_s": 0.1, "is_all": False, "rounds": 3})
    assert "failure" not in reply, reply
    assert set(reply["vendors"].values()) == {None}, reply
    assert ways <= set(reply["vendors"]), reply["left_out"]
    assert all(us > 0 for taken in reply["rounds_us"].values() for samples in taken for us in samples)
