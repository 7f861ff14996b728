"""The study loop, over fakes: no compiler, no clock, no child process."""

from concurrent.futures import Future

import pytest
from fakes import Clock, FakeEngine
from kerntune.cache.memory import MemoryStore
from kerntune.cache.records import Failure, Incident, Measurement
from kerntune.spaces.errors import DeviceError
from kerntune.templates.catalogue import templates_named
from kerntune.tuner.samplers import make_sampler
from kerntune.tuner.trials import Counts
from studies import KEY, PROBLEM, TARGET, a_study, by_depth


def test_the_winner_is_the_fastest_of_the_playoff():
    """The answer comes from the interleaved run, with the vendor library's time beside it."""
    study = a_study(FakeEngine(by_depth))
    best = study.run()
    assert best.phase == "playoff"
    assert best.baseline.name == "fake vendor"
    assert best.measurement.median_us == min(by_depth(record.config) for record in study.records)


def test_the_templates_seeds_come_first():
    """What is known to be good is tried before anything is searched."""
    engine = FakeEngine(by_depth)
    study = a_study(engine)
    study.run()
    seeds = study.lanes[0].seeds
    assert engine.measured[: len(seeds)] == list(seeds)


def test_no_config_is_tried_twice_and_trials_are_not_exceeded():
    """A budget of 20 is 20 distinct configs."""
    engine = FakeEngine(by_depth)
    a_study(engine, trials=20).run()
    assert len(engine.measured) == 20 == len(set(engine.measured))


def test_each_result_is_stored_before_the_next_is_measured():
    """A kill at any instant loses at most the one being measured."""
    store = MemoryStore()
    engine = FakeEngine(by_depth)
    stored_at_measure = []
    engine.judge = lambda config: stored_at_measure.append(len(store.records(KEY))) or by_depth(config)
    a_study(engine, store, trials=6).run()
    assert stored_at_measure[:6] == [0, 1, 2, 3, 4, 5]


def test_failures_are_records_and_never_win():
    """A config that fails is remembered with its reason and told to the sampler."""
    engine = FakeEngine(lambda c: Failure("incorrect", "wrong") if c["NRV"] > 2 else by_depth(c))
    store = MemoryStore()
    best = a_study(engine, store).run()
    kinds = {r.outcome.kind for r in store.records(KEY) if isinstance(r.outcome, Failure)}
    assert kinds == {"incorrect"}
    assert best.config["NRV"] <= 2


@pytest.mark.parametrize(("overlaps", "again"), [(True, 2), (False, 1)])
def test_an_incident_is_tried_once_more_and_not_blamed_on_the_config(overlaps, again):
    """The machine's trouble is kept apart from records; the device may be at the next candidate already."""
    troubles = iter([Incident("memory killer", "killed")])
    engine = FakeEngine(lambda c: next(troubles, None) or by_depth(c), overlaps=overlaps)
    noted = []
    store = MemoryStore()
    store.add_incident = lambda key, incident: noted.append(incident)
    study = a_study(engine, store, trials=5)
    study.run()
    assert engine.measured[0] == engine.measured[again]
    assert Counts.of(study.records) == Counts(measured=5, failed=0, rejected=0)
    assert noted == [Incident("memory killer", "killed")]


def test_three_incidents_in_a_row_end_the_study_with_what_to_do():
    """A dead device is not searched on."""
    engine = FakeEngine(lambda config: Incident("device lost", "gone"))
    with pytest.raises(
        DeviceError, match=r"3 troubles of the machine in a row.*device lost: gone.*run the same command"
    ):
        a_study(engine).run()


def test_an_interrupted_study_keeps_its_results_and_the_next_goes_on():
    """Ctrl-C is an end like any other; the second run measures only what is missing."""
    store = MemoryStore()
    first = a_study(FakeEngine(by_depth, interrupt_at=7), store)
    assert first.run().phase == "search"
    assert first.interrupted
    engine = FakeEngine(by_depth)
    second = a_study(engine, store, trials=20)
    second.know(store.records(KEY))
    second.run()
    before = {record.config for record in first.records}
    assert len(before) == 7
    assert len(engine.measured) == 13
    assert not before & set(engine.measured)


def test_time_ends_the_search_but_not_the_playoff():
    """The winner is settled even when the search ran out of time."""
    clock = Clock()

    def slow(config):
        clock.now_s += 1.0
        return by_depth(config)

    study = a_study(FakeEngine(slow), clock=clock, time_s=6.5, trials=1000)
    assert study.run().phase == "playoff"
    assert len(study.records) == 7


def test_tpe_beats_random_on_a_smooth_valley():
    """With the same trials the model finds a better config, on the mean of five seeds."""

    def found(sampler, seed):
        (template,) = templates_named("gemm", ["c_tiled"])
        feasible = template.feasible(PROBLEM, TARGET)
        chooser = make_sampler(sampler, feasible, seed)
        times = []
        for _ in range(60):
            row = chooser.ask()
            times.append(by_depth(feasible[row]))
            chooser.tell(row, times[-1])
        return min(times)

    assert sum(found("tpe", s) for s in range(5)) <= sum(found("random", s) for s in range(5))


def test_incidents_with_results_between_them_do_not_end_a_study():
    """Only three in a row mean that the machine is not well."""
    seen = set()

    def shaky(config):
        if config not in seen:
            seen.add(config)
            return Incident("memory killer", "killed")
        return by_depth(config)

    study = a_study(FakeEngine(shaky), trials=6)
    study.run()
    assert Counts.of(study.records).measured == 6


def test_compilers_work_ahead_of_a_device_that_they_do_not_disturb():
    """Three candidates a compiler are asked for before the first is measured, and one more while each is."""
    engine = FakeEngine(by_depth, workers=3)
    a_study(engine, trials=12).run()
    assert engine.log[:13] == ["compile"] * 10 + ["measure", "compile", "measure"]
    assert engine.log[:24].count("compile") == 12


def test_nothing_is_compiled_while_the_processor_that_compiles_is_measured():
    """A batch is made and waited for, then measured."""
    engine = FakeEngine(by_depth, workers=3, overlaps=False)
    a_study(engine, trials=6).run()
    assert engine.log[:12] == (["compile"] * 3 + ["measure"] * 3) * 2


def test_one_that_compiles_long_holds_up_no_other():
    """The first chosen of those that are ready is measured next; the device waits for none while one is."""

    class FirstLast(FakeEngine):
        def submit(self, candidate):
            made = super().submit(candidate)
            if len(self.candidates) > 1:
                return made
            self.late = (Future(), made.result())
            return self.late[0]

        def _measured(self, config):
            if len(self.measured) == 7:
                self.late[0].set_result(self.late[1])
            return super()._measured(config)

    engine = FirstLast(by_depth, workers=4)
    a_study(engine, trials=16).run()
    chosen = [candidate.config for candidate in engine.candidates[:16]]
    assert engine.measured[:16] == chosen[1:9] + chosen[:1] + chosen[9:]


def test_what_is_still_compiled_at_the_end_is_called_off():
    """Ctrl-C and a spent budget leave no work behind."""

    class Never(FakeEngine):
        def submit(self, candidate):
            self.waiting = [*getattr(self, "waiting", ()), Future()]
            return super().submit(candidate) if len(self.waiting) <= 3 else self.waiting[-1]

    engine = Never(by_depth, workers=4, interrupt_at=2)
    a_study(engine).run()
    assert len(engine.waiting) == 12 + 3  # one more is asked for while each is measured
    assert all(left.cancelled() for left in engine.waiting[3:])


class RacingEngine(FakeEngine):
    """Gives up configs of NRV > 1, with the flattering times of a short race."""

    def _measured(self, config):
        outcome = super()._measured(config)
        raced_out = self.measured[-1]["NRV"] > 1
        return Measurement((1.0,), raced_out=True) if raced_out else outcome


def test_a_config_raced_out_is_told_to_the_sampler_and_meets_nobody_in_the_playoff():
    """It has no full measure, so it cannot win; only the default meets the others whatever its time."""
    store = MemoryStore()
    study = a_study(RacingEngine(by_depth), store)
    best = study.run()
    raced = {r.config for r in store.records(KEY) if r.measurement and r.measurement.raced_out}
    met = {r.config for r in store.records(KEY) if r.phase == "playoff"}
    default = study.lanes[0].default
    assert raced
    assert met & raced <= {default}
    assert best.config not in raced - {default}
    assert store.best(KEY) == best


def test_of_finalists_that_are_equal_the_smallest_digest_wins_here_and_in_the_store():
    """Whatever luck the medians had: the next run, and every look-up, gives the same answer."""

    def equal(config):
        return 100.0 + int(config.digest[:4], 16) / 65536 / 10  # a tenth of a percent at most

    store = MemoryStore()
    best = a_study(FakeEngine(equal), store).run()
    met = [r for r in store.records(KEY) if r.phase == "playoff"]
    assert best.config.digest == min(r.config.digest for r in met)
    assert store.best(KEY) == best
    assert sorted(best.verdict.tied_with) == sorted(r.config.digest for r in met if r != best)
    assert [r for r in met if r.verdict] == [best]


def test_a_tie_is_decided_for_the_store_too_when_the_median_says_otherwise():
    """The smallest digest is the slowest here, by a tenth of a percent."""

    def reversed_by_digest(config):
        return 100.1 - int(config.digest[:4], 16) / 65536 / 10

    store = MemoryStore()
    best = a_study(FakeEngine(reversed_by_digest), store).run()
    met = [r for r in store.records(KEY) if r.phase == "playoff"]
    assert best.config.digest == min(r.config.digest for r in met)
    assert best.measurement.median_us == max(r.measurement.median_us for r in met)
    assert store.best(KEY) == best


def test_the_speedup_over_the_vendor_is_of_paired_rounds():
    """Each finalist carries its own, beside the vendor's samples."""
    best = a_study(FakeEngine(by_depth)).run()
    assert best.baseline.speedup == pytest.approx(100.0 / best.measurement.median_us)
    assert best.baseline.speedup_interval is None  # two rounds bound nothing


def test_every_way_of_the_vendors_is_kept_beside_the_fastest():
    """With its samples, the speedup over it, and what is wrong with its numbers."""
    engine = FakeEngine(by_depth)
    engine.vendors = [("fast", 50.0, None), ("slow", 100.0, "off")]
    best = a_study(engine).run()
    (other,) = best.baseline.others
    assert (best.baseline.name, best.baseline.samples_us, best.baseline.fault) == ("fast", (50.0,), None)
    assert (other.name, other.samples_us, other.fault) == ("slow", (100.0,), "off")
    assert other.speedup == pytest.approx(100.0 / best.measurement.median_us)
