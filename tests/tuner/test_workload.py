"""Many problems under one budget, over fakes: no compiler, no clock, no child process."""

from itertools import pairwise

import pytest
from builders import a_target
from fakes import Clock, FakeEngine
from kerntune.cache.memory import MemoryStore
from kerntune.spaces.errors import DeviceError
from kerntune.tuner.hosts import Host
from kerntune.tuner.tasks import curve
from kerntune.tuner.workload import Workload, WorkloadRequest, WorkloadWatch
from kerntune.tuner.workload_file import of_values
from studies import by_depth

TRIAL_S, PLAYOFF_S = 1.0, 4.0
LARGE, MIDDLE, SMALL = (
    {"op": "gemm", "shape": shape, "weight": weight}
    for shape, weight in (("512x512x512", 10), ("512x512x256", 2), ("64x64x64", 1))
)


class Bench:
    """A machine whose trials take a second, playoffs four; it says which problem had the device when."""

    def __init__(self, interrupt_at=None, memory_bytes=2**40):
        self.clock, self.store, self.opened, self.open_now = Clock(), MemoryStore(), [], 0
        self.trials, self.interrupt_at, self.memory_bytes = 0, interrupt_at, memory_bytes

    def engine(self, problem, policy):
        bench = self

        class Timed(FakeEngine):
            def playoff(self, artifacts, seed, **words):
                found = super().playoff(artifacts, seed, **words)
                bench.clock.now_s += PLAYOFF_S
                return found

            def close(self):
                bench.open_now -= 1

        def judge(config):
            if engine.log[-1] == "measure":
                bench.trials += 1
                bench.clock.now_s += TRIAL_S
                if bench.trials == bench.interrupt_at:
                    raise KeyboardInterrupt
            return by_depth(config)

        assert self.open_now == 0
        self.open_now += 1
        self.opened.append(str(problem["m"]) + "x" + str(problem["k"]))
        engine = Timed(judge, overlaps=False)
        engine_playoff = engine.playoff

        def playoff(artifacts, seed, **words):
            engine.log.append("playoff")
            return engine_playoff(artifacts, seed, **words)

        engine.playoff = playoff
        return engine

    def run(self, *entries, time_s=100.0, **words):
        host = Host(a_target("cpu"), frozenset({"cpu"}), self.engine, lambda: self.memory_bytes, {})
        request = WorkloadRequest(lambda kind: (), time_s, sampler="random", **words)
        workload = Workload(request, of_values(entries, "cpu"), host, self.store, WorkloadWatch(), self.clock)
        workload.run()
        return workload.report()


def test_each_problem_is_searched_and_settled_within_the_time():
    """The heaviest gets most, none is left out, and each winner met the default in a playoff."""
    report = Bench().run(SMALL, MIDDLE, LARGE)
    small, middle, large = report.tasks
    assert large.trials > middle.trials >= small.trials > 0
    assert all(task.is_settled and task.best_us <= task.first_us for task in report.tasks)
    assert 85 <= report.seconds <= 105
    assert report.after_us < report.before_us


def test_the_first_slices_go_by_what_problems_weigh():
    """Before anything ran, operations and bytes stand in for time."""
    bench = Bench()
    bench.run(SMALL, MIDDLE, LARGE)
    assert bench.opened[:3] == ["512x512", "512x256", "64x64"]


def test_playoffs_are_held_though_the_time_is_short():
    """Half of the budget at most is kept for them; the largest weighted time has the first."""
    report = Bench().run(SMALL, MIDDLE, LARGE, time_s=14.0)
    assert (report.tasks[0].is_settled, report.tasks[2].is_settled) == (False, True)
    assert report.seconds <= 14.0 + PLAYOFF_S


def test_time_kept_for_playoffs_and_not_needed_is_searched(monkeypatch):
    """Nobody waits at the end of a run that stopped early."""
    monkeypatch.setitem(globals(), "PLAYOFF_S", 0.1)
    others = [{"op": "gemm", "shape": f"64x64x{64 * place}", "weight": 1} for place in range(2, 6)]
    report = Bench().run(LARGE, SMALL, *others, time_s=40.0)
    assert all(task.trials and task.is_settled for task in report.tasks)
    assert 35.0 <= report.seconds <= 42.0


def test_what_has_converged_is_settled_and_left_alone():
    """The time that is not needed is not spent."""
    report = Bench().run(SMALL, LARGE, time_s=10_000.0, patience=20)
    assert [task.state for task in report.tasks] == ["converged", "converged"]
    assert report.seconds < 1000


def test_a_second_run_costs_nothing_for_what_is_exact():
    """Answers from the store; --force measures again."""
    bench = Bench()
    first = bench.run(SMALL, LARGE, time_s=60.0)
    trials, opened = bench.trials, len(bench.opened)
    second = bench.run(SMALL, LARGE, time_s=60.0)
    assert (bench.trials, len(bench.opened)) == (trials, opened)
    assert [task.state for task in second.tasks] == ["known", "known"]
    assert (second.before_us, second.after_us) == (first.before_us, first.after_us)
    bench.run(SMALL, LARGE, time_s=60.0, force=True)
    assert bench.trials > trials


def test_an_interrupt_keeps_everything_and_the_next_run_goes_on():
    """What was measured is not measured again."""
    bench = Bench(interrupt_at=15)
    report = bench.run(SMALL, LARGE, time_s=100.0)
    kept = sum(len(bench.store.records(task.key)) for task in report.tasks)
    assert (report.interrupted, kept, bench.open_now) == (True, 14, 0)
    assert {task.state for task in report.tasks} == {"cut"}
    again = bench.run(SMALL, LARGE, time_s=40.0)
    for task in again.tasks:
        searched = [record.config for record in bench.store.records(task.key) if record.phase == "search"]
        assert len(searched) == len(set(searched)) == sum(vars_of(task.counts))
        assert task.is_settled


def vars_of(counts):
    return counts.measured, counts.failed, counts.rejected


def test_a_problem_that_cannot_be_computed_leaves_the_others_alone():
    """Too large for the memory, or no template has it: it says why."""
    bench = Bench(memory_bytes=10**7)
    odd = {"op": "gemm", "m": 64, "n": 64, "k": 64, "batch": 7}
    large, other, small = bench.run(LARGE, odd, SMALL, time_s=30.0).tasks
    assert (large.state, other.state) == ("failed", "failed")
    assert "GB" in large.reason
    assert "batch=1 only" in other.reason
    assert small.is_settled


def test_three_troubles_in_a_row_end_the_workload():
    """A dead device is not searched on; what was measured is stored."""
    from kerntune.cache.records import Incident

    bench = Bench()
    bench.engine = lambda problem, policy: FakeEngine(lambda config: Incident("device lost", "gone"))
    with pytest.raises(DeviceError, match="3 troubles of the machine in a row"):
        bench.run(SMALL)


def test_the_curve_of_the_total_begins_at_the_first_times_and_ends_at_the_best():
    """Before the playoffs, which measure anew, it only falls."""
    report = Bench().run(SMALL, MIDDLE, LARGE)
    points = curve(report.tasks, report.moments, report.seconds)
    assert points[0] == (0.0, report.before_us)
    assert points[-1] == (report.seconds, pytest.approx(report.after_us))
    assert all(later[1] <= earlier[1] + 1e-9 for earlier, later in pairwise(points))


def test_a_problem_of_which_nothing_ran_is_waiting_at_the_end():
    """Not searching: nobody is."""
    report = Bench(interrupt_at=1).run(SMALL, LARGE, time_s=100.0)
    assert {task.state for task in report.tasks} == {"waiting"}
