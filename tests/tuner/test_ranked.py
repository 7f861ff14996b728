"""`ranked` over spaces whose times are known."""

import numpy as np
import pytest
from builders import a_valley
from kerntune.tuner.cost_models.known import KnownRows
from kerntune.tuner.samplers import make_sampler, ranked
from kerntune.tuner.samplers.contract import SamplerContract
from kerntune.tuner.samplers.ranked import RankedRows
from kerntune.tuner.samplers.rows import Rows


class TestRanked(SamplerContract):
    name = "ranked"


FEASIBLE = a_valley()


def time_us(row, shift=0.0):
    """A valley with its floor at M=64, N=128 and K a multiple of 32; beside the floor is where nothing runs."""
    config = FEASIBLE[row]
    if config["M"] * config["N"] > 8192:
        return None
    far = (np.log2(config["M"]) - 6 + shift) ** 2 + (np.log2(config["N"]) - 7) ** 2 + (config["S"] - 3) ** 2 / 4
    return float(
        100 * np.exp(0.2 * far) * (1.0 if config["K"] % 32 == 0 else 1.3) * (1.1 if config["KIND"] == "a" else 1)
    )


def searched(name, seed, trials=40, known=()):
    """Times of a search, None where a config failed."""
    sampler = make_sampler(name, FEASIBLE, seed, known)
    came = []
    for _ in range(trials):
        row = sampler.ask()
        came.append(time_us(row))
        sampler.tell(row, came[-1])
    return came


def best(came):
    return min(us for us in came if us is not None)


def test_it_finds_the_floor_of_a_valley_that_random_search_misses():
    """Forty of 2,880 configs, ten seeds."""
    found = [best(searched("ranked", seed)) for seed in range(10)]
    missed = [best(searched("random", seed)) for seed in range(10)]
    assert np.mean(found) < 1.05 * 100.0
    assert np.mean(missed) > 1.15 * 100.0


def test_it_learns_what_fails():
    """The valley falls towards what fails, and without odds three of four proposals would."""
    proposed = [us is None for seed in range(8) for us in searched("ranked", seed)[ranked.FIRST :]]
    assert np.mean(proposed) < 0.5


def test_what_is_known_of_another_device_is_found_at_once():
    """Its valley lies a little elsewhere, and all else is as there."""
    rows = np.arange(FEASIBLE.total)
    there = np.array([np.nan if (us := time_us(row, shift=0.5)) is None else us for row in rows])
    came = searched("ranked", 0, trials=8, known=[KnownRows("there", FEASIBLE, rows, there)])
    assert best(came) <= 1.05 * 100.0
    assert best(came) < np.mean([best(searched("ranked", seed, trials=8)) for seed in range(5)])


def test_lies_of_another_device_do_not_hold_a_search_up():
    """Every second turn believes nothing of them."""
    rows = np.arange(FEASIBLE.total)
    lies = np.random.default_rng(1).permutation([np.nan if (us := time_us(row)) is None else us for row in rows])
    came = searched("ranked", 0, trials=60, known=[KnownRows("liar", FEASIBLE, rows, lies)])
    assert best(came) < 1.1 * 100.0


def test_rows_that_are_open_are_far_from_each_other():
    """Compilers are kept busy with configs that differ, not with one and its twins."""
    sampler = make_sampler("ranked", FEASIBLE, 0)
    for _ in range(20):
        row = sampler.ask()
        sampler.tell(row, time_us(row))
    batch = FEASIBLE.matrix([sampler.ask() for _ in range(8)])
    apart = (batch[:, None] != batch[None]).sum(2)
    assert len(np.unique(batch, axis=0)) == 8
    assert apart[np.triu_indices(8, 1)].mean() > 1.5


def test_a_pool_of_a_larger_space_holds_the_neighbourhoods_of_the_best(monkeypatch):
    """What a sample misses, a step from the best finds."""
    monkeypatch.setattr(ranked, "POOL_ROWS", 60)
    found = [best(searched("ranked", seed, trials=80)) for seed in range(5)]
    assert np.mean(found) < 1.1 * 100.0


def test_a_model_that_foresees_nothing_gives_every_second_turn_to_steps_from_the_best():
    """Of times without any order no model can tell; the best's neighbours are as good as any."""
    chooser = RankedRows(Rows(FEASIBLE, 0), 0)
    noise = np.random.default_rng(3).lognormal(5, 1, FEASIBLE.total)
    steps = 0
    for _ in range(80):
        known = {row: us for row, us in chooser.rows.results.items() if us is not None}
        row = chooser.choose()
        if known:
            near = FEASIBLE.matrix([min(known, key=known.get), row])
            steps += int((near[0] != near[1]).sum() == 1)
        chooser.rows.note(row, float(noise[row]))
    assert steps >= 10


@pytest.mark.parametrize("trials", [12, 30])
def test_a_study_of_failures_goes_on(trials):
    """Where nothing runs there is nothing to rank."""
    sampler = make_sampler("ranked", FEASIBLE, 0)
    rows = []
    for _ in range(trials):
        rows.append(sampler.ask())
        sampler.tell(rows[-1], None)
    assert len(set(rows)) == trials
