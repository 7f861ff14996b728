"""What each search cost is kept, however it ended."""

import pytest
from builders import a_target
from fakes import Clock, FakeEngine
from kerntune.cache.memory import MemoryStore
from kerntune.cache.memory_studies import MemoryStudies
from kerntune.cache.records import Incident
from kerntune.spaces.errors import DeviceError
from kerntune.tuner import tuning
from kerntune.tuner.budget import Budget
from kerntune.tuner.hosts import Host
from kerntune.tuner.workload import Workload, WorkloadRequest, WorkloadWatch
from kerntune.tuner.workload_file import of_values
from studies import KEY, by_depth

FIELDS = {"m": 512, "n": 512, "k": 512}


def a_host(engine):
    return Host(a_target("cpu"), frozenset({"cpu"}), lambda problem, policy: engine, lambda: 2**40, {})


def tuned(engine, store, studies, trials=12):
    request = tuning.Request("gemm", FIELDS, budget=Budget(trials, 1e9), sampler="random", seed=3)
    return tuning.run(request, host=a_host(engine), store=store, studies=studies)


def test_a_study_is_kept_with_what_it_cost():
    """Once: an answer from the store costs nothing and leaves nothing."""
    store, studies = MemoryStore(), MemoryStudies()
    for _ in range(2):
        tuned(FakeEngine(by_depth), store, studies)
    (log,) = studies.studies(KEY)
    assert (log.trials, log.sampler, log.seed, log.stopped, log.templates) == (12, "random", 3, "trials", ("c_tiled",))
    assert 0 < log.seconds < 60
    assert log.recorded_by == tuning.this_user()


def test_an_interrupted_study_is_kept_and_the_next_counts_its_own_trials():
    """Two studies of one key: 5 trials, then the other 7."""
    store, studies = MemoryStore(), MemoryStudies()
    tuned(FakeEngine(by_depth, interrupt_at=5), store, studies)
    tuned(FakeEngine(by_depth), store, studies)
    assert [(log.trials, log.stopped) for log in studies.studies(KEY)] == [(5, "interrupted"), (7, "trials")]


def test_a_study_that_the_device_ended_is_kept():
    """It cost what it cost."""
    studies = MemoryStudies()
    with pytest.raises(DeviceError):
        tuned(FakeEngine(lambda config: Incident("device lost", "gone")), MemoryStore(), studies)
    assert [(log.trials, log.stopped) for log in studies.studies(KEY)] == [(0, "device")]


@pytest.mark.parametrize("interrupt_at", [None, 9])
def test_a_workload_keeps_a_study_for_each_problem(interrupt_at):
    """With the trials and seconds that went to it."""
    clock, studies = Clock(), MemoryStudies()

    def judge(config):
        clock.now_s += 1.0
        return by_depth(config)

    engine = FakeEngine(judge, overlaps=False, interrupt_at=interrupt_at)
    entries = [{"op": "gemm", "shape": "512x512x512"}, {"op": "gemm", "shape": "64x64x64"}]
    request = WorkloadRequest(lambda kind: (), 60.0, sampler="random")
    workload = Workload(
        *(request, of_values(entries, "cpu"), a_host(engine), MemoryStore(), WorkloadWatch(), clock), studies
    )
    workload.run()
    logs = [log for task in workload.tasks for log in studies.studies(task.key)]
    searched = [task for task in workload.tasks if task.trials]
    assert [log.trials for log in logs] == [task.trials for task in searched]
    assert [log.seconds for log in logs] == [round(task.search_s + task.playoff_s, 3) for task in searched]
    assert {log.stopped == "interrupted" for log in logs} == {interrupt_at is not None}
