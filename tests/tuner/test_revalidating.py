"""After an upgrade the old best few are timed anew, over fakes: no compiler, no clock, no child process."""

import re
from dataclasses import replace

import pytest
from builders import a_target
from fakes import Clock, FakeEngine
from kerntune.cache.memory import MemoryStore
from kerntune.cache.memory_studies import MemoryStudies
from kerntune.cache.records import Failure, RecordKey
from kerntune.spaces.errors import UsageError
from kerntune.tuner import tuning
from kerntune.tuner.budget import Budget
from kerntune.tuner.former import REVALIDATE
from kerntune.tuner.hosts import Host
from kerntune.tuner.revalidating import RevalidateRequest, RevalidateWatch, Revalidation
from studies import KEY, by_depth

OLD, NEW = a_target("cpu"), a_target("cpu", compiler="gcc 15.1")
LARGE, SMALL = {"m": 512, "n": 512, "k": 512}, {"m": 64, "n": 64, "k": 64}
KEY_NOW = RecordKey(KEY.problem, NEW, KEY.policy)


class Machine:
    """A device whose trials take a second; its store knows what older tools found."""

    def __init__(self, *problems, judge=by_depth, seconds=None):
        self.clock, self.store, self.studies = Clock(), MemoryStore(), MemoryStudies()
        self.engines, self.judge, self.interrupt_at = [], judge, None
        for fields in problems:
            request = tuning.Request("gemm", fields, budget=Budget(30, 1e9), sampler="random")
            tuning.run(request, host=self.host(OLD, by_depth), store=self.store, studies=self.studies)
        if seconds is not None:
            self.studies._studies = {replace(log, seconds=seconds): None for log in self.studies._studies}
        self.engines.clear()

    def host(self, target, judge):
        def timed(config):
            if engine.log[-1:] == ["measure"]:
                self.clock.now_s += 1.0
            return judge(config)

        def make(problem, policy):
            nonlocal engine
            engine = FakeEngine(timed, interrupt_at=self.interrupt_at, overlaps=False)
            self.engines.append(engine)
            return engine

        engine = None
        return Host(target, frozenset({"cpu"}), make, lambda: 2**40, {})

    def renew(self, target=NEW, **words):
        words.setdefault("fraction", 0.5)
        return Revalidation(
            *(RevalidateRequest(**words), self.host(target, self.judge), self.store, self.studies),
            *(RevalidateWatch(), self.clock),
        ).run()


def test_the_old_best_few_are_timed_anew_under_the_present_key():
    """Five configs and a playoff; lookups are exact again, and the winner is the one of before."""
    machine = Machine(LARGE, seconds=100.0)
    before = machine.store.best(KEY)
    (task,) = machine.renew().tasks
    after = machine.store.best(KEY_NOW)
    assert (task.state, task.best, task.doubts) == ("renewed", after, ())
    assert (after.phase, after.config) == ("playoff", before.config)
    assert len([r for r in machine.store.records(KEY_NOW) if r.phase == "search"]) == 5
    assert machine.engines[0].closed


def test_the_budget_is_a_share_of_what_the_search_cost():
    """The first opens the device; half of the rest is for the others, the playoff has what is left."""
    machine = Machine(LARGE, seconds=120.0)
    (task,) = machine.renew(fraction=0.05).tasks
    assert (task.cost_s, task.budget_s) == (120.0, pytest.approx(6.0))
    assert len(machine.engines[0].measured) == 3
    assert machine.engines[0].log[-1] == "playoff of 1.55 s"  # of 4.8: a fifth is kept for what else the machine does


def test_where_no_study_says_the_default_time_counts_and_a_time_replaces_it():
    """Five hundredths of 120 s; or the seconds that were named."""
    machine = Machine(LARGE)
    machine.studies = MemoryStudies()
    (planned,) = machine.renew(fraction=0.05, dry_run=True).tasks
    assert (planned.cost_s, planned.budget_s, planned.state) == (None, pytest.approx(6.0), "waiting")
    (named,) = machine.renew(time_s=2.5, dry_run=True).tasks
    assert named.budget_s == 2.5
    assert machine.engines == []


def test_a_revalidation_is_no_measure_of_the_next():
    """After two upgrades, the share is still of the search."""
    machine = Machine(LARGE, seconds=100.0)
    machine.renew()
    (log,) = machine.studies.studies(KEY_NOW)
    assert (log.sampler, log.trials) == (REVALIDATE, 5)
    (task,) = machine.renew(a_target("cpu", compiler="gcc 16.0")).tasks
    assert (task.cost_s, task.state) == (100.0, "renewed")


def test_dearest_comes_first_and_what_is_exact_is_left_alone():
    """By what its search cost, then by its time; --force times it all the same."""
    machine = Machine(SMALL, LARGE)
    for number, log in enumerate(list(machine.studies._studies)):
        machine.studies._studies.pop(log)
        machine.studies.add_study(replace(log, seconds=[40.0, 100.0][number]))
    assert [task.cost_s for task in machine.renew().tasks] == [100.0, 40.0]
    machine.engines.clear()
    assert [task.state for task in machine.renew().tasks] == ["exact", "exact"]
    assert machine.engines == []
    assert [task.state for task in machine.renew(force=True).tasks] == ["renewed", "renewed"]


def test_another_device_is_none_of_our_business():
    """Its times say nothing of ours."""
    assert Machine(LARGE).renew(a_target("cpu", cores=64)).tasks == []


@pytest.mark.parametrize(
    ("judge", "words"),
    [
        (lambda config: 2 * by_depth(config), r"the best time went from .* to .* µs \(\+100%\)"),
        (lambda config: Failure("compile", "no"), "none of the old configs works any more"),
        (lambda config: 20.0 - by_depth(config), "the order of the best changed"),
    ],
)
def test_a_search_is_advised_where_the_neighbours_look_different(judge, words):
    """Slower by a tenth, all failing, or in another order."""
    machine = Machine(LARGE, judge=judge, seconds=100.0)
    report = machine.renew(best=8)
    assert report.advised == report.tasks
    assert re.search(words, " ".join([*report.tasks[0].doubts, report.tasks[0].reason]))


def test_retune_searches_anew_what_is_advised():
    """A whole study, whose winner is the answer from then on."""
    machine = Machine(LARGE, judge=lambda config: 2 * by_depth(config), seconds=100.0)
    report = machine.renew(retune=True)
    assert (report.advised, report.tasks[0].retuned) == ([], True)
    assert len(machine.studies.studies(KEY_NOW)) == 2


def test_an_edited_template_counts_as_an_upgrade():
    """The key is the same; times of the old source are stale."""
    machine = Machine(LARGE, seconds=100.0)
    old = MemoryStore()
    for record in machine.store.records(KEY):
        old.add(replace(record, template_digest="e" * 32))
    machine.store = old
    (task,) = machine.renew(OLD).tasks
    assert (task.state, task.best.template_digest != "e" * 32) == ("renewed", True)
    assert [task.state for task in machine.renew(OLD).tasks] == ["exact"]


def test_an_interrupt_keeps_what_is_done():
    """The first problem is exact then, the other waits."""
    machine = Machine(LARGE, SMALL, seconds=100.0)
    watch, calls = RevalidateWatch(changed=lambda task: interrupt()), []

    def interrupt():
        calls.append(1)
        raise KeyboardInterrupt

    report = Revalidation(
        *(RevalidateRequest(fraction=0.5), machine.host(NEW, by_depth), machine.store, machine.studies),
        *(watch, machine.clock),
    ).run()
    assert (report.interrupted, [task.state for task in report.tasks]) == (True, ["renewed", "waiting"])
    assert [task.state for task in machine.renew().tasks] == ["exact", "renewed"]


@pytest.mark.parametrize("words", [{"best": 0}, {"fraction": 0.0}, {"time_s": -1.0}])
def test_words_that_hold_nothing_are_refused(words):
    """Before anything is opened."""
    with pytest.raises(UsageError, match="--best takes at least 1"):
        RevalidateRequest(**words)
