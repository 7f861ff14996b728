"""The benchmark of searches counts alike for all, and its statistics are those of paired seeds."""

import json
import math
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from .recordings import write_space

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
with pytest.MonkeyPatch.context() as patched:
    patched.syspath_prepend(BENCHMARKS)
    search, peers, report = [import_module(name) for name in ("search", "search_peers", "search_report")]

FAILED = math.nan


def counted_rows(rows, times_us, trials=200):
    """Times by trial of a peer's sequence."""
    asked = iter(rows)
    return search.counted(lambda: next(asked, None), lambda row, time_us: None, times_us, trials)


def a_report(shuffled=False, **runs):
    """A file of the benchmark: shares by label, sampler and seed at 25 and 50 trials."""
    stored = {
        label.replace("_knowing_", " knowing "): {
            sampler: {"shares": {str(seed): shares for seed, shares in enumerate(each)}}
            for sampler, each in samplers.items()
        }
        for label, samplers in runs.items()
    }
    return {"trials": 50, "shuffled": shuffled, "places": [25, 50], "made": [], "spaces": {}, "runs": stored}


def test_a_config_is_charged_once():
    """Asked for again it is answered again, and no trial."""
    assert counted_rows([0, 1, 0, 1, 2], [5.0, 4.0, 3.0]) == [5.0, 4.0, 3.0]


def test_a_failed_config_is_charged_once_too():
    """It is a trial without a time."""
    assert counted_rows([0, 0, 1], [FAILED, 4.0]) == [None, 4.0]


def test_trials_beyond_the_budget_do_not_count():
    """A peer that evaluates more than it was told has the first ones."""
    assert counted_rows([2, 1, 0], [5.0, 4.0, 3.0], trials=2) == [3.0, 4.0]


def test_a_sampler_is_told_what_it_asked_for_and_stops_when_it_only_repeats():
    """A repeated row is told again, so that a sampler does not wait for it."""
    told = []
    times = search.counted(lambda: 0, lambda row, time_us: told.append((row, time_us)), [5.0], 200, repeats=3)
    assert times == [5.0]
    assert told == [(0, 5.0)] * 4


def test_shares_are_the_optimum_over_the_best_so_far():
    """0 where nothing ran yet; a search that ended early keeps its last best."""
    assert search.shares([None, 4.0, 8.0, 2.0], 2.0, [1, 2, 3, 4, 200]) == [0.0, 0.5, 0.5, 1.0, 1.0]


def test_the_paired_difference_has_the_error_of_the_differences():
    """Not of the shares: what two seeds have in common cancels."""
    found = report.paired({0: 0.5, 1: 0.9, 2: 0.8}, {0: 0.4, 1: 0.6, 2: 0.6, 3: 0.0})
    assert found.difference == pytest.approx(0.2)
    assert found.error == pytest.approx(0.1 / math.sqrt(3))
    assert found.errors == pytest.approx(2 * math.sqrt(3))


def test_searches_that_find_the_same_differ_by_no_error():
    """A difference without spread is beyond any error; no difference is none."""
    assert report.paired({0: 0.5, 1: 0.5}, {0: 0.5, 1: 0.5}).errors == 0
    assert report.paired({0: 0.25, 1: 0.25}, {0: 0.5, 1: 0.5}).errors == -math.inf


def test_one_seed_says_nothing_of_an_error():
    """Said as such, not as an error of zero."""
    with pytest.raises(ValueError, match="at least 2"):
        report.paired({0: 0.5}, {0: 0.4, 1: 0.4})


def test_the_mean_over_spaces_is_taken_by_seed():
    """Of the seeds that every space has, so that means are paired as well."""
    assert report.over_spaces([{0: 0.5, 1: 1.0, 2: 0.1}, {1: 0.5, 0: 0.25}]) == {0: 0.375, 1: 0.75}


def test_first_is_the_best_mean():
    """And its lead is over the second, not over all."""
    first, second, gap = report.first_place({"a": {0: 0.1, 1: 0.2}, "b": {0: 0.9, 1: 0.7}, "c": {0: 0.6, 1: 0.6}})
    assert (first, second) == ("b", "c")
    assert gap.difference == pytest.approx(0.2)


def test_what_is_there_is_not_run_again():
    """Seeds of one search come together from several runs, in order."""
    runs = {}
    search.merge(runs, "space", "tpe", {"shares": {"10": [0.5]}, "trials": {"10": 200}})
    search.merge(runs, "space", "tpe", {"shares": {"2": [0.25]}, "trials": {"2": 150}})
    assert runs == {"space": {"tpe": {"shares": {"2": [0.25], "10": [0.5]}, "trials": {"2": 150, "10": 200}}}}
    assert list(runs["space"]["tpe"]["shares"]) == ["2", "10"]
    assert search.missing(runs, "space", "tpe", 4) == [0, 1, 3]
    assert search.missing(runs, "space", "random", 2) == [0, 1]


def test_a_written_report_is_read_as_it_was(tmp_path):
    """With each seed on one line."""
    whole = a_report(space={"tpe": [[0.5, 0.75]] * 3})
    search.write(tmp_path / "found.json", whole)
    assert report.read([tmp_path / "found.json"]) == [whole]
    assert '"1": [0.5, 0.75]' in (tmp_path / "found.json").read_text()


def test_files_of_one_kind_are_shown_together(tmp_path):
    """Shuffled times are another kind."""
    files = [a_report(one={"tpe": [[0.5, 0.5]]}), a_report(one={"random": [[0.4, 0.5]]}), a_report(True, one={})]
    for number, file in enumerate(files):
        search.write(tmp_path / f"{number}.json", file)
    told = report.read([tmp_path / f"{number}.json" for number in range(3)])
    assert [list(each["runs"]["one"]) for each in told] == [["tpe", "random"], []]


def test_the_table_names_the_first_at_each_budget():
    """With its lead over the second."""
    told = report.table([a_report(one={"tpe": [[0.5, 0.7], [0.7, 0.7]], "random": [[0.4, 0.8], [0.4, 0.9]]})])
    assert "| tpe | **0.600** | 0.700 |" in told
    assert "| first | tpe | random |" in told
    assert "| before the second | +0.200, 2.0 SE | +0.150, 3.0 SE |" in told


def test_the_mean_leaves_out_who_did_not_search_every_space():
    """It would be a mean over easier ones."""
    both = {"tpe": [[0.5, 0.7], [0.7, 0.7]], "random": [[0.4, 0.5], [0.4, 0.6]]}
    mean = report.table([a_report(one=both, other={"tpe": both["tpe"]})]).partition("### Mean")[2]
    assert "tpe" in mean
    assert "random" not in mean


def test_shuffled_times_are_held_against_random():
    """In standard errors, behind each share."""
    told = report.table([a_report(True, one={"tpe": [[0.5, 0.7], [0.7, 0.7]], "random": [[0.4, 0.8], [0.4, 0.9]]})])
    assert "| tpe | **0.600** (+2.0) | 0.700 (-3.0) |" in told
    assert "| random | 0.400 |" in told


def test_a_search_that_knows_others_is_held_against_itself_cold():
    """On the same space, by the same seeds."""
    cold, warm = [[0.4, 0.7], [0.4, 0.7]], [[0.5, 0.7], [0.7, 0.7]]
    told = report.table([a_report(one={"ranked": cold}, one_knowing_other={"ranked": warm})])
    assert "| ranked | 0.600 (+2.0) | 0.700 (+0.0) |" in told


def test_a_space_is_a_cache_of_kernel_tuner():
    """Times as they are, failures as its own kind, and a rule where the constraints are not all."""
    asked = {"parameters": {"X": [1, 2], "Y": [3]}, "constraints": None, "rows": [[1, 3]], "times_us": [None]}
    assert peers.cache_document(asked)["cache"]["1,3"]["time"] == "RuntimeFailedConfig"
    assert peers.restrictions(asked)({"X": 1, "Y": 3})
    assert not peers.restrictions(asked)({"X": 2, "Y": 3})
    assert peers.restrictions({**asked, "constraints": ["X < 2"]}) == ["X < 2"]


def test_a_peer_that_fails_says_its_last_words(tmp_path):
    """The other searches go on."""
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\ncat > /dev/null\necho No module named kernel_tuner >&2\nexit 1\n")
    broken.chmod(0o755)
    with pytest.raises(peers.PeerFailed, match="No module named kernel_tuner"):
        peers.ask(str(broken), {"seeds": [0]})


@pytest.mark.replay
def test_a_second_run_adds_what_is_missing(tmp_path):
    """The samplers and seeds that stand in the file are left as they are; no path of the machine is in it."""
    write_space(tmp_path)
    peer = tmp_path / "peer"
    peer.write_text("""#!/bin/sh\ncat > /dev/null\necho '{"version": "9", "tried": {"0": [0, 1, 1], "1": [29]}}'\n""")
    peer.chmod(0o755)
    out = tmp_path / "found.json"

    def run(*more):
        line = [sys.executable, BENCHMARKS / "search.py", "run", "--datasets", tmp_path, "--spaces", "toy"]
        line += ["--trials", "10", "--seeds", "2", "--jobs", "1", "--out", out, *more]
        subprocess.run(line, check=True, capture_output=True, timeout=120)
        return json.loads(out.read_text())

    first = run("--samplers", "random")
    assert run("--samplers", "random") == first
    both = run("--samplers", "random,genetic", "--peer-python", peer, "--peers", "mls")
    assert both["runs"]["toy"]["random"] == first["runs"]["toy"]["random"]
    assert both["runs"]["toy"].keys() == {"random", "genetic", "kernel_tuner.mls"}
    assert both["runs"]["toy"]["kernel_tuner.mls"]["shares"] == {"0": [0.0, 0.0], "1": [1.0, 1.0]}
    assert both["runs"]["toy"]["kernel_tuner.mls"]["trials"] == {"0": 2, "1": 1}
    assert both["made"][1]["host"]["kernel_tuner"] == "9"
    assert str(tmp_path) not in out.read_text()
