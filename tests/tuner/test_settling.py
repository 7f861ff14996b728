"""When a kernel's time counts, over a clock that moves with each block."""

import math

import pytest
from fakes import Clock
from kerntune.tuner.measure import settling
from kerntune.tuner.measure.settling import SETTLED_WITHIN, STEP_S, settled

BLOCK_S = 0.004
SETTLED_US, LAG_S = 225.0, 0.06  # seen on an H200 at its power limit


@pytest.fixture
def clock(monkeypatch):
    """The clock by which blocks are timed."""
    made = Clock()
    monkeypatch.setattr(settling.time, "monotonic", made)
    return made


def blocks_of(clock, time_us):
    """A timer of blocks of three samples, each of the time at the moment it ends."""

    def block():
        clock.now_s += BLOCK_S
        return [time_us(clock.now_s)] * 3

    return block


@pytest.mark.parametrize("start_us", [190.0, 202.0, 250.0])
def test_a_kernel_that_follows_a_rival_is_timed_where_it_would_stay(clock, start_us):
    """Within a percent of its own equilibrium, whether the rival drew less or more."""
    drift = blocks_of(clock, lambda at_s: SETTLED_US + (start_us - SETTLED_US) * math.exp(-at_s / LAG_S))
    samples = settled(drift, 0.3)
    assert samples == pytest.approx([SETTLED_US] * 3, rel=0.01)
    assert clock.now_s < 0.3


def test_a_steady_kernel_waits_one_step(clock):
    """Most kernels never meet the power limit."""
    assert settled(blocks_of(clock, lambda at_s: 10.0), 0.15) == [10.0] * 3
    assert clock.now_s == pytest.approx(STEP_S + BLOCK_S)


def test_a_drift_within_single_blocks_is_still_seen(clock):
    """Neighbours 0.2 % apart look the same; a step apart they are 1 %."""
    settled(blocks_of(clock, lambda at_s: 200.0 * (1 + 0.5 * at_s)), 0.1)
    assert clock.now_s >= 0.1
    assert 0.5 * BLOCK_S < SETTLED_WITHIN


def test_a_kernel_that_never_settles_is_timed_all_the_same(clock):
    """After the time allowed."""
    turns = iter(range(100))
    settled(blocks_of(clock, lambda at_s: 100.0 if next(turns) % 2 else 120.0), 0.15)
    assert clock.now_s == pytest.approx(0.15, abs=BLOCK_S)


def test_where_clocks_do_not_follow_kernels_the_first_block_counts(clock):
    """And where the first block says enough."""
    assert settled(blocks_of(clock, lambda at_s: 10.0), 0.0) == [10.0] * 3
    assert clock.now_s == BLOCK_S
    settled(blocks_of(clock, lambda at_s: 10.0), 0.15, lambda samples: samples[0] > 9)
    assert clock.now_s == 2 * BLOCK_S
