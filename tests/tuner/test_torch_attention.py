"""Torch's ways to attend, run on a processor: they compute what the op's reference says."""

import numpy as np
import pytest
from kerntune.cache.records import Policy
from kerntune.templates.catalogue import op_named
from kerntune.tuner.measure import correctness, torch_vendor
from kerntune.tuner.measure.cpu_device import CpuDevice
from kerntune.tuner.measure.workload import Workload

pytestmark = pytest.mark.torch
ATTENTION = op_named("attention")


def a_workload(**fields):
    problem = ATTENTION.problem("cpu", **({"b": 2, "h": 4, "s": 33, "d": 16} | fields))
    return Workload(ATTENTION, problem, Policy("warm", "eager"), CpuDevice(), seed=3)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"causal": "yes"},
        {"causal": "yes", "kv_len": 50},
        {"causal": "lower_right", "kv_len": 50},
        {"causal": "lower_right", "s": 1, "kv_len": 50, "kv_heads": 2},
        {"causal": "yes", "kv_heads": 1, "layout": "bshd"},
        {"causal": "yes", "window": 7},
        {"window": 5},
        {"bias": "additive"},
        {"bias": "additive", "causal": "yes", "window": 9},
    ],
    ids=str,
)
def test_what_torch_computes_is_what_the_op_means(fields):
    """Torch's corner, masks and groups of heads, in words of the op."""
    workload = a_workload(**fields)
    arrays = workload.sets[0]
    kernel = torch_vendor.torch_kernels(__import__("torch"), np, "cpu", workload.problem)["torch sdpa (flash)"]
    kernel(arrays)
    assert correctness.wrong(workload, arrays, 3) is None


def test_what_was_computed_is_copied_once():
    """Where it belongs, to be checked; timed calls leave it in torch's own memory, as callers do."""
    workload = a_workload()
    arrays = workload.sets[0]
    kernel = torch_vendor.torch_kernels(__import__("torch"), np, "cpu", workload.problem)["torch sdpa (flash)"]
    kernel(arrays)
    arrays["o"][...] = 7.0
    kernel(arrays)
    assert (arrays["o"] == 7.0).all()


@pytest.mark.parametrize("fields", [{"soft_cap": 30}, {"bias": "alibi"}, {"paged": 16}], ids=str)
def test_torch_has_no_way_for_some_words(fields):
    """Nothing is held against something else than was asked."""
    import torch

    assert torch_vendor.WAYS["attention"](torch, a_workload(**fields).problem) == {}


def test_flash_counts_from_the_last_key():
    """Its causal is the lower right; the upper left of a rectangle it cannot say."""
    import torch

    def ways(**fields):
        return set(torch_vendor.WAYS["attention"](torch, a_workload(lse="yes", kv_len=50, **fields).problem))

    assert ways(causal="lower_right") == {"torch._flash_attention_forward"}
    assert ways(causal="yes") == set()
