"""Rests between blocks, over a device that tires and recovers."""

import math

import pytest
from fakes import Clock
from kerntune.cache.records import Policy
from kerntune.templates.catalogue import op_named
from kerntune.tuner.measure import playoff as playoffs
from kerntune.tuner.measure import resting, timing
from kerntune.tuner.measure.playoff import playoff
from kerntune.tuner.measure.resting import LONGEST_REST_S, Resting
from kerntune.tuner.measure.timing import RACE_FACTOR, measure
from kerntune.tuner.measure.workload import Workload

REST_S = 0.02
BLOCK_CALLS_S = 0.004
LAG_S = 0.06  # of an H200 at its power limit


class TiringDevice:
    """A kernel takes its own time until the load is over a limit, and up to a fifth longer then."""

    cache_bytes = 4096
    pause_s = 0.0

    def __init__(self, clock):
        self.clock, self.load, self.blocks = clock, 0.0, 0
        self.rest = Resting(REST_S)
        self.us = {}  # of kernels by what they are called with

    def random(self, buffer, seed):
        return object()

    def empty(self, buffer):
        return object()

    def poison(self, array):
        """Nothing to poison."""

    def finish(self):
        """Nothing to wait for."""

    def sleep(self, seconds):
        self.clock.now_s += seconds
        self.load *= math.exp(-seconds / LAG_S)

    def timer(self, kernel, sets, calls, policy):
        def block():
            self.blocks += 1
            self.clock.now_s += BLOCK_CALLS_S
            self.load += (1 - self.load) * (1 - math.exp(-BLOCK_CALLS_S / LAG_S))
            return [kernel.us * (1 + 0.4 * max(0.0, self.load - 0.5))] * 5

        return block


class Taking:
    """A kernel of so many µs on a rested device."""

    def __init__(self, us):
        self.us = us

    def __call__(self, arrays):
        """Computes nothing."""


@pytest.fixture
def device(monkeypatch):
    clock = Clock()
    made = TiringDevice(clock)
    for module in (resting, timing, playoffs):
        monkeypatch.setattr(module.time, "sleep", made.sleep)
        monkeypatch.setattr(module.time, "monotonic", clock)
    monkeypatch.setattr(playoffs, "rotating", lambda kernel, sets, turns: kernel)
    return made


@pytest.fixture
def workload(device):
    problem = op_named("gemm").problem("cpu", m=8, n=8, k=8)
    return Workload(op_named("gemm"), problem, Policy("cold", "graph"), device, seed=1)


@pytest.mark.parametrize("load", [0.0, 0.5, 1.0])
def test_a_time_does_not_depend_on_what_ran_before(workload, device, load):
    """It is that of a rested device, whether it comes from rest or from its power limit."""
    device.rest.block(lambda: [1.0])
    device.load = load
    assert measure(workload, Taking(100.0), time_s=1.0).median_us == pytest.approx(100.0, rel=0.001)


def test_a_time_of_a_playoff_does_not_depend_on_the_rivals(workload, device):
    """One rival or seven, the same time."""
    alone = playoff(workload, {"one": Taking(100.0), "two": Taking(90.0)}, time_s=2.0)
    rivals = {f"rival {place}": Taking(150.0 + place) for place in range(7)}
    among = playoff(workload, {"one": Taking(100.0), **rivals}, time_s=2.0)
    assert among["one"][-1] == pytest.approx(alone["one"][-1], rel=0.002)


def test_a_kernel_that_no_rest_could_save_costs_none(workload, device):
    """Half as fast as the best is told from one block; a fifth slower may be tiredness."""
    device.rest.block(lambda: [1.0])
    device.load = 1.0
    assert measure(workload, Taking(200.0), time_s=1.0, incumbent_us=100.0).raced_out
    assert device.blocks == 1
    device.rest.block(lambda: [1.0])
    assert not measure(workload, Taking(110.0), time_s=1.0, incumbent_us=100.0).raced_out
    assert measure(workload, Taking(100.0 * RACE_FACTOR + 8), time_s=1.0, incumbent_us=100.0).raced_out


def test_a_long_block_is_followed_by_a_long_rest(device):
    """Four times as long as it was, within reason; time that went by otherwise counts."""
    rest = Resting(REST_S)
    slept = []
    for load_s, idle_s in ((0.01, 0.0), (0.01, 0.015), (1.0, 0.0)):
        rest.block(lambda load_s=load_s: device.sleep(load_s) or [1.0])
        device.sleep(idle_s)
        before_s = device.clock.now_s
        rest.block(lambda: [1.0])
        slept.append(device.clock.now_s - before_s)
    assert slept == pytest.approx([0.04, 0.025, LONGEST_REST_S])


def test_a_device_that_needs_no_rest_gets_none(device):
    """A processor's clock does not follow the kernel."""
    rest = Resting(0.0)
    for _ in range(3):
        assert rest.block(lambda: device.sleep(0.1) or [1.0]) == [1.0]
    assert device.clock.now_s == pytest.approx(0.3)
