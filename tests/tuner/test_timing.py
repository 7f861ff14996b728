"""How times are taken, over a fake device whose clock is the kernels' own."""

import itertools

import pytest
from kerntune.cache.records import Policy
from kerntune.templates.catalogue import op_named
from kerntune.tuner.measure import playoff as playoffs
from kerntune.tuner.measure import timing
from kerntune.tuner.measure.playoff import playoff
from kerntune.tuner.measure.timing import block_calls, measure
from kerntune.tuner.measure.workload import MAX_SETS, Workload, set_count

COLD, WARM = Policy("cold", "eager"), Policy("warm", "eager")


class FakeDevice:
    """Counts what it is asked; a timer gives the samples 1, 2, 3 … µs."""

    cache_bytes = 4096
    pause_s = 0.5

    def __init__(self):
        self.seeds, self.poisoned = [], 0

    def random(self, buffer, seed):
        self.seeds.append((buffer.name, seed))
        return object()

    def empty(self, buffer):
        return object()

    def poison(self, array):
        self.poisoned += 1

    def finish(self):
        pass

    def timer(self, kernel, sets, calls, policy):
        def block():
            for arrays in itertools.islice(itertools.cycle(sets), calls):
                kernel(arrays)
            return [1.0 + turn for turn in range(calls)]

        return block


@pytest.fixture
def slept(monkeypatch):
    """What was slept, s; nobody waits."""
    pauses = []
    monkeypatch.setattr(playoffs.time, "sleep", pauses.append)
    return pauses


@pytest.fixture
def workload():
    problem = op_named("gemm").problem("cpu", m=8, n=8, k=8)
    return Workload(op_named("gemm"), problem, COLD, FakeDevice(), seed=1)


def test_a_cold_measurement_outgrows_the_cache_twice():
    """All sets together are larger than two caches; one set is enough when warm, and pages are not endless."""
    assert set_count(1000, 10_000, COLD) * 1000 > 20_000
    assert set_count(10**9, 10_000, COLD) == 1
    assert set_count(1, 10**9, COLD) == MAX_SETS
    assert set_count(1000, 10_000, WARM) == 1


def test_every_check_sees_fresh_inputs_and_a_poisoned_output(workload):
    """The same inputs twice would let a kernel that writes nothing pass the second time."""
    before, poisoned = len(workload.device.seeds), workload.device.poisoned
    first = workload.refresh(100)
    assert workload.refresh(101) is not first
    fresh = workload.device.seeds[before:]
    assert len(set(fresh)) == len(fresh) == 4
    assert workload.device.poisoned == poisoned + 2


def test_a_block_has_at_least_five_calls_and_no_more_than_fit():
    """A slow kernel gets its five, a fast one as many as fit, up to a few rounds over the sets."""
    assert block_calls(estimate_us=1e6, block_s=0.03, sets=1) == 5
    assert block_calls(estimate_us=1000, block_s=0.03, sets=100) == 30
    assert block_calls(estimate_us=0.0, block_s=10, sets=3) == 20


def test_a_measurement_waits_first_and_keeps_every_sample(workload, slept):
    """The reference's threads may still be spinning; at least two blocks, nothing dropped."""
    calls = []
    found = measure(workload, lambda arrays: calls.append(id(arrays)), time_s=0.0)
    assert slept == [FakeDevice.pause_s]
    assert len(found.samples_us) == len(calls) - 1  # one call was the estimate
    assert len(found.samples_us) >= 10
    assert len(set(calls)) > 1  # rotated


def test_the_playoff_interleaves_with_pauses_and_turns_the_order(workload, slept):
    """Every contender once a round, each round begun by another, always after a pause and one call not timed."""
    log = []
    kernels = {name: lambda arrays, name=name: log.append(name) for name in ("one", "two", "vendor")}
    found = playoff(workload, kernels, time_s=0.0)
    samples = {name: len(measurement.samples_us) for name, measurement in found.items()}
    assert len(set(samples.values())) == 1
    assert samples["one"] >= 5 * playoffs.MIN_ROUNDS
    del log[: 2 * len(kernels)]  # two estimates of each
    turn = len(log) // playoffs.MIN_ROUNDS
    rounds = [[name for name, _ in itertools.groupby(log[at : at + turn])] for at in range(0, len(log), turn)]
    assert rounds == [["one", "two", "vendor"], ["two", "vendor", "one"], ["vendor", "one", "two"]]
    assert len(log) == 3 * (samples["one"] + playoffs.MIN_ROUNDS)  # one call of each block is not timed
    assert len(slept) == len(kernels) * (1 + playoffs.MIN_ROUNDS)


def test_a_first_estimate_is_taken_on_the_last_set(workload):
    """Set 0 was just written by the check and lies in the cache."""
    seen = []
    timing.estimate_us(workload, seen.append)
    assert seen == [workload.sets[-1]]
