"""What `tune revalidate` says to people and programs."""

import json
from dataclasses import replace

from builders import a_record, a_target
from kerntune.cache.records import RecordKey
from kerntune.templates.catalogue import op_named
from kerntune.tuner.cli.revalidate_tables import print_json, print_report
from kerntune.tuner.hosts import Host
from kerntune.tuner.revalidating import RevalidateReport, Task

NEW = a_target("cpu", compiler="gcc 15.1")


def a_task(**changes):
    problem = op_named("gemm").problem("cpu", m=64, n=48, k=32, layout="nt")
    old = RecordKey(problem, a_target("cpu"), a_record().key.policy)
    key = replace(old, target=NEW)
    best = replace(a_record(key, us=12.0, phase="playoff"))
    words = {"state": "renewed", "best": best, "seconds": 4.2, "doubts": ("slower",)} | changes
    return Task(key, a_record(old), [a_record(old)], 100.0, 5.0, **words)


def a_report(*tasks, interrupted=False):
    return RevalidateReport(tasks, Host(NEW, frozenset(), None, lambda: 0, {}), 4.5, interrupted)


def test_a_line_for_each_problem_and_the_search_that_is_advised(capsys):
    """As it is typed, with why."""
    print_report(a_report(a_task(), a_task(state="exact", doubts=()), interrupted=True), dry_run=False)
    said = capsys.readouterr().out
    assert "+20.0%" in said
    assert "1 renewed, 1 exact in 4 s" in said
    assert "advised   tune gemm --shape 64x48x32 --dtype fp32 --layout nt --force" in said
    assert "interrupted: what was timed is kept" in said
    assert "--retune" in said


def test_a_dry_run_advises_nothing(capsys):
    """Nothing was timed."""
    print_report(a_report(a_task(state="waiting", best=None, doubts=())), dry_run=True)
    said = capsys.readouterr().out
    assert "≤ 5.0 s" in said
    assert "1 to do" in said
    assert "advised" not in said


def test_json_has_every_time_and_cost(capsys):
    """And the differences that made it stale."""
    print_json(a_report(a_task()), dry_run=False)
    told = json.loads(capsys.readouterr().out)
    (one,) = told["problems"]
    assert (one["before_us"], one["after_us"], one["original_s"], one["seconds"]) == (10.0, 12.0, 100.0, 4.2)
    assert one["differences"] == ["compiler: gcc 15.1 here, gcc 14.2 stored"]
    assert told["advised"] == [a_task().key.problem.digest]
    assert one["same_config"] is True


def test_nothing_to_do_says_so(capsys):
    """In a line."""
    print_report(a_report(), dry_run=False)
    assert "nothing to do" in capsys.readouterr().out
