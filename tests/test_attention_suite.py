"""The attention suite: its problems, and what their results come to."""

from importlib import import_module
from pathlib import Path

import pytest
from kerntune.templates.catalogue import op_named

with pytest.MonkeyPatch.context() as patched:
    patched.syspath_prepend(Path(__file__).parents[1] / "benchmarks")
    suite, problems, reports = [
        import_module(name) for name in ("attention_suite", "attention_suite_problems", "attention_suite_report")
    ]


def a_result(name, over_cudnn, over_flash, s=4096, interval=None):
    ways = [
        {"name": "torch sdpa (cudnn)", "speedup": over_cudnn},
        {"name": "torch sdpa (flash)", "speedup": over_flash},
    ]
    fastest = min(way["speedup"] for way in ways)
    return {"problem": name, "s": s, "vendors": ways, "ratio": fastest, "interval": interval}


def test_every_problem_is_one_of_the_op():
    """And has a name of its own."""
    asked = problems.entries()
    assert len({entry.name for entry in asked}) == len(asked) == 13
    for entry in asked:
        op_named("attention").problem("gpu", **entry.fields())
    assert [entry.name for entry in problems.entries(["decode"])] == [
        "8x32x1x128 kv_heads 8 kv_len 8192 full",
        "64x32x1x128 kv_heads 8 kv_len 2048 full",
    ]
    assert set(suite.ATTENTION.warm_up) >= set(op_named("attention").letters)


def test_prefill_is_held_against_each_backend():
    """Geometric means, the worst, and who is ahead by name."""
    found = reports.summary([a_result("one", 0.8, 1.6), a_result("two", 1.25, 2.5)])["prefill"]
    assert found["over_cudnn"] == {"geometric_mean": 1.0, "minimum": 0.8}
    assert found["over_flash"]["geometric_mean"] == 2.0
    assert found["above_cudnn"] == ["two"]
    assert set(found["targets"].values()) == {True}
    worse = reports.summary([a_result("one", 0.74, 1.6), a_result("two", 1.3, 2.5)])["prefill"]
    assert worse["targets"] == {"flash >= 1.6": True, "cudnn >= 0.9": True, "none < 0.75 of cudnn": False}


def test_decoding_is_held_against_the_fastest_within_the_interval():
    """A median below counts where the interval reaches."""
    good = a_result("one", 0.96, 1.3, s=1, interval=[0.95, 0.975])
    assert set(reports.summary([good])["decode"]["targets"].values()) == {True}
    bad = a_result("one", 0.96, 1.1, s=1, interval=[0.95, 0.965])
    assert set(reports.summary([bad])["decode"]["targets"].values()) == {False}
