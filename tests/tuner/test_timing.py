"""How times are taken, over a fake device whose clock is the kernels' own."""

import itertools

import numpy as np
import pytest
from kerntune.cache.records import Policy
from kerntune.templates.catalogue import op_named
from kerntune.tuner.measure import playoff as playoffs
from kerntune.tuner.measure import timing
from kerntune.tuner.measure.playoff import playoff
from kerntune.tuner.measure.resting import Resting
from kerntune.tuner.measure.timing import (
    KNOWN_WITHIN,
    MAX_SAMPLES,
    RACE_FACTOR,
    block_calls,
    is_hopeless,
    is_known,
    is_raced_out,
    measure,
)
from kerntune.tuner.measure.workload import MAX_SETS, Workload, set_count

COLD, WARM = Policy("cold", "eager"), Policy("warm", "eager")


class FakeDevice:
    """Counts what it is asked; a timer gives the samples 1, 2, 3 … µs, or what `times_us` yields."""

    cache_bytes = 4096
    pause_s = 0.5

    def __init__(self):
        self.seeds, self.poisoned = [], 0
        self.times_us = None
        self.rest = Resting(0.0)

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
            return [1.0 + turn if self.times_us is None else next(self.times_us) for turn in range(calls)]

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


def test_the_playoff_interleaves_with_pauses_and_changes_the_order(workload, slept):
    """Every contender once a round, in another order each round, always after a pause and one call not timed."""
    log = []
    kernels = {name: lambda arrays, name=name: log.append(name) for name in ("one", "two", "vendor:x")}
    found = playoff(workload, kernels, time_s=0.0)
    assert all(len(taken) == playoffs.MIN_ROUNDS for taken in found.values())
    samples = {name: sum(map(len, taken)) for name, taken in found.items()}
    assert len(set(samples.values())) == 1
    assert samples["one"] >= 5 * playoffs.MIN_ROUNDS
    del log[: 2 * len(kernels)]  # two estimates of each
    turn = len(log) // playoffs.MIN_ROUNDS
    rounds = [[name for name, _ in itertools.groupby(log[at : at + turn])] for at in range(0, len(log), turn)]
    assert [sorted(names) for names in rounds] == [["one", "two", "vendor:x"]] * playoffs.MIN_ROUNDS
    assert len(set(map(tuple, rounds))) > 1
    assert len(log) == 3 * (samples["one"] + playoffs.MIN_ROUNDS)  # one call of each block is not timed
    assert len(slept) == len(kernels) * (1 + playoffs.MIN_ROUNDS)


def test_a_first_estimate_is_taken_on_the_last_set(workload):
    """Set 0 was just written by the check and lies in the cache."""
    seen = []
    timing.estimate_us(workload, seen.append)
    assert seen == [workload.sets[-1]]


def kept(middle, spread, count=20):
    """Samples spread evenly around a median."""
    return [middle * (1 + spread * (2 * turn / (count - 1) - 1)) for turn in range(count)]


def test_a_median_is_known_when_its_interval_is_narrow():
    """Ten samples at least, and half a percent to either side at most."""
    assert is_known(kept(100.0, KNOWN_WITHIN))
    assert not is_known(kept(100.0, 4 * KNOWN_WITHIN))
    assert not is_known([100.0] * 9)


def test_two_clock_speeds_are_not_taken_for_one():
    """A median between two modes is not known, however narrow each is."""
    assert not is_known([100.0, 101.5] * 10)


def test_a_config_is_raced_out_only_when_every_call_was_too_slow():
    """Five calls that agree by chance give an error of nothing; one good call among them gives hope."""
    assert is_raced_out([120.0] * 5, 100.0)
    assert not is_raced_out([120.0] * 4 + [114.0], 100.0)
    assert not is_raced_out([120.0, 140.0, 160.0, 180.0, 200.0], 100.0)  # its median is not known to be above 115
    assert not is_raced_out([114.0] * 5, 100.0)
    assert not is_raced_out([120.0] * 5, None)


@pytest.mark.parametrize("noise", [0.005, 0.02, 0.1])
def test_a_config_as_fast_as_the_best_is_never_raced_out(noise):
    """Not in 2,000 first blocks of five calls."""
    rng = np.random.default_rng(3)
    blocks = 100 * np.exp(noise * np.abs(rng.standard_normal((2000, 5))))
    assert not any(is_raced_out(list(block), 100.0) for block in blocks)


def test_no_hope_is_told_from_one_call_only_where_the_host_adds_nothing_to_it():
    """A launch takes the host some 10 µs, a sleeping thread more: a millisecond is forgiven."""
    assert is_hopeless(3100.0, 1000.0)
    assert not is_hopeless(2900.0, 1000.0)
    assert not is_hopeless(500.0, 5.0)
    assert not is_hopeless(1e9, None)


def test_a_config_raced_out_stops_after_one_block(workload, slept):
    """A handful of samples, and it says so."""
    workload.device.times_us = itertools.repeat(100 * RACE_FACTOR + 1)
    blocks = []
    taken = workload.device.timer
    workload.device.timer = lambda kernel, sets, calls, policy: (
        blocks.append(calls) or taken(kernel, sets, calls, policy)
    )
    found = measure(workload, lambda arrays: None, time_s=10.0, incumbent_us=100.0)
    assert found.raced_out
    assert len(found.samples_us) == blocks[0]


def test_a_hopeless_config_gets_three_calls_and_no_timer(workload, slept):
    """A graph of it would take longer than the whole measurement of a good one."""
    workload.device.timer = None

    def slow(arrays):
        end_s = timing.time.perf_counter() + 0.003
        while timing.time.perf_counter() < end_s:
            pass

    found = measure(workload, slow, time_s=10.0, incumbent_us=100.0)
    assert found.raced_out
    assert len(found.samples_us) == 3
    assert all(us >= 3000 for us in found.samples_us)


def test_a_steady_kernel_stops_when_its_median_is_known(workload, slept):
    """Ten samples or a little more; nobody waits for the time to be spent."""
    workload.device.times_us = itertools.cycle([100.0, 100.1, 100.2])
    found = measure(workload, lambda arrays: None, time_s=10.0, incumbent_us=100.0)
    assert not found.raced_out
    assert 10 <= len(found.samples_us) <= 100


def test_a_restless_kernel_is_repeated_until_the_time_is_spent(workload, slept):
    """Or the samples are as many as anybody needs."""
    rng = np.random.default_rng(4)
    workload.device.times_us = iter(lambda: 100 * float(np.exp(0.3 * rng.standard_normal())), None)
    found = measure(workload, lambda arrays: None, time_s=10.0, incumbent_us=100.0)
    assert MAX_SAMPLES <= len(found.samples_us) < MAX_SAMPLES + 25


def test_contenders_of_a_playoff_share_one_rotation(workload, slept):
    """Nobody is served a set that a rival has just left in the cache."""
    seen = []
    playoff(workload, {name: lambda arrays: seen.append(id(arrays)) for name in ("one", "two")}, time_s=0.0)
    order = [id(arrays) for arrays in workload.sets]
    assert seen == [order[turn % len(order)] for turn in range(len(seen))]


def test_a_playoff_ends_when_it_is_settled(workload, slept):
    """Six rounds tell two contenders apart that differ by half; the time is not spent for its own sake."""
    samples = {"one": 100.0, "two": 150.0}
    last = []
    kernels = {name: lambda arrays, name=name: last.append(name) for name in samples}
    workload.device.times_us = iter(lambda: samples[last[-1]], None)
    found = playoff(workload, kernels, time_s=1.0)
    assert {name: len(taken) for name, taken in found.items()} == {"one": 6, "two": 6}


def test_a_playoff_has_as_many_rounds_as_are_wanted(workload, slept):
    """Past the point where it is settled, and past the most that an ordinary one has; time ends it all the same."""
    kernels = {"one": lambda arrays: None, "vendor:x": lambda arrays: None}
    workload.device.times_us = itertools.repeat(100.0)
    assert {len(taken) for taken in playoff(workload, kernels, time_s=30.0, wanted=70).values()} == {70}
    assert {len(taken) for taken in playoff(workload, kernels, time_s=0.0, wanted=70).values()} == {playoffs.MIN_ROUNDS}


def test_a_playoff_is_settled_against_the_fastest_vendor(workload, slept):
    """A slow way whose times jump keeps nobody waiting; the fastest one whose times jump does."""

    def rounds_where(jumping):
        steady = {"one": 100.0, "vendor:a": 130.0, "vendor:b": 200.0}
        rng, last = np.random.default_rng(1), []
        kernels = {name: lambda arrays, name=name: last.append(name) for name in steady}
        jump = {name: 0.2 if name == jumping else 0.0 for name in steady}
        workload.device.times_us = iter(
            lambda: steady[last[-1]] * float(np.exp(jump[last[-1]] * rng.standard_normal())), None
        )
        return len(playoff(workload, kernels, time_s=3.0)["one"])

    assert rounds_where("vendor:b") == playoffs.ENOUGH_ROUNDS
    assert rounds_where("vendor:a") > playoffs.ENOUGH_ROUNDS


def test_first_rounds_are_run_and_not_counted(workload, slept):
    """A device that has just been given work is faster than it stays."""
    calls = []
    workload.device.times_us = iter(lambda: 90.0 if timing.time.monotonic() < warm_s else 100.0, None)
    warm_s = timing.time.monotonic() + playoffs.SETTLING * 0.6
    found = playoff(workload, {"one": lambda arrays: calls.append(1)}, time_s=0.6)
    taken = sum(map(len, found["one"]))
    assert len(calls) > 2 * taken
    assert all(min(samples) > 90.0 for samples in found["one"][1:])
