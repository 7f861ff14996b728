"""`tune bench`: one config again, as a person does it; what a real compiler cannot be made to do is done by a fake."""

import json
import os
import subprocess
import sys

import pytest
import typer
from builders import a_key, a_record, a_target
from fakes import FakeEngine
from kerntune.cache.memory import MemoryStore
from kerntune.cache.records import Failure, Incident, Measurement
from kerntune.spaces.errors import DeviceError, NoFeasibleConfig, SpaceError, UnknownName, UsageError
from kerntune.templates.catalogue import ops
from kerntune.tuner import benching, wiring
from kerntune.tuner.cli.main import make_app
from kerntune.tuner.hosts import Host

TUNE = [sys.executable, "-m", "kerntune.tuner.cli"]
PROBLEM = ["gemm", "--shape", "96x80x64", "--device", "cpu"]
SHAPE = {"m": 96, "n": 80, "k": 64}
FIELDS = (
    "problem target policy template config digest median_us spread_us tflops baseline speedup default known vendors "
    "left_out rounds seconds"
)


def tune(*arguments, **environment):
    """Run `tune` to its end."""
    env = {**os.environ, **environment}
    return subprocess.run([*TUNE, *arguments], capture_output=True, text=True, timeout=120, check=False, env=env)


def answer(*arguments):
    done = tune(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class KeptStore(MemoryStore):
    """A store whose records stay to be looked at, by the keys they came with."""

    def __init__(self) -> None:
        super().__init__()
        self.added = []
        self.troubles = []

    def add(self, record):
        super().add(record)
        self.added.append(record)

    def add_incident(self, key, incident):
        super().add_incident(key, incident)
        self.troubles.append(incident)


@pytest.fixture
def bench(monkeypatch):
    """A function (config text, judge of configs, …) -> Report, on a processor of our own; `bench.store` keeps."""
    store = KeptStore()

    def benched(config=None, judge=lambda config: 10.0, **more):
        def engine(problem, policy):
            return FakeEngine(judge)

        host = Host(a_target("cpu"), frozenset({"cpu"}), engine, lambda: 1 << 40, {})
        monkeypatch.setattr(wiring, "open_host", lambda name, settings: host)
        monkeypatch.setattr(wiring, "open_store", lambda settings, url=None: store)
        return benching.run(benching.Request("gemm", SHAPE, config, **more))

    benched.store = store
    return benched


def changed(config, **values):
    """The config with other values, as JSON."""
    return json.dumps(dict(config) | values)


@pytest.mark.compiler
def test_a_tuned_winner_is_benched_checked_and_kept():
    """Without --config the best known; by digest, prefix and JSON the same one; each time is a search record."""
    tuned = answer(*PROBLEM, "--trials", "4")
    first = answer("bench", *PROBLEM)
    assert first.keys() == set(FIELDS.split())
    assert (first["config"], first["digest"]) == (tuned["config"], tuned["digest"])
    assert first["known"]["median_us"] == tuned["median_us"]
    assert first["tflops"] == pytest.approx(2 * 96 * 80 * 64 / first["median_us"] / 1e6)
    assert first["speedup"] == pytest.approx(first["baseline"]["median_us"] / first["median_us"], rel=0.5)
    assert first["default"]["median_us"] > 0
    by_prefix = tune("bench", *PROBLEM, "--config", tuned["digest"][:6])
    assert by_prefix.returncode == 0, by_prefix.stderr
    for word in ("config ", "digest ", "template ", "time ", "vendor ", "default ", "known "):
        assert f"\n{word}" in f"\n{by_prefix.stdout}"
    assert answer("bench", *PROBLEM, "--config", json.dumps(tuned["config"]))["digest"] == tuned["digest"]
    again = answer(*PROBLEM, "--trials", "4")
    assert (again["cached"], again["median_us"]) == (True, tuned["median_us"])  # the playoff's winner stands


@pytest.mark.compiler
def test_a_config_that_fails_ends_with_exit_3_and_its_reason(tmp_path):
    """The compiler's own words, and nothing on standard output."""
    wrapper = tmp_path / "mycc"
    wrapper.write_text('#!/bin/sh\ncase "$*" in *study-*) echo "no such luck" >&2; exit 1;; esac\nexec cc "$@"\n')
    wrapper.chmod(0o755)
    done = tune("bench", *PROBLEM, "--json", CC=str(wrapper))
    assert (done.returncode, done.stdout) == (3, "")
    assert "compile: " in done.stderr
    assert "no such luck" in done.stderr


@pytest.mark.parametrize("op", ops().values(), ids=lambda op: op.name)
def test_every_op_has_the_command_with_its_own_flags(op):
    """Made from the op's description, as `tune lookup OP` is."""
    command = typer.main.get_command(make_app()).commands["bench"].commands[op.name]
    known = {name for parameter in command.params for name in parameter.opts}
    fields = {"--" + field.name.replace("_", "-") for field in op.fields}
    assert fields | {"--shape", "--config", "--device", "--template", "--seed", "--policy", "--db", "--json"} <= known
    assert f"Example: tune bench {op.name}" in command.epilog


def test_nothing_known_means_the_default(bench):
    """It is its own default, timed once."""
    report = bench()
    assert report.record.config == report.default
    assert report.default_time == report.measurement
    assert report.known is None
    assert report.choice.why == "the default: nothing is known"


def test_the_record_is_of_the_search_and_has_the_vendors_time(bench):
    """A config that was only benched does not shut out a search."""
    report = bench()
    assert bench.store.added == [report.record]
    assert (report.record.phase, report.record.baseline.name) == ("search", "fake vendor")


def test_a_config_is_held_against_its_time_before(bench):
    """12 µs after 10 µs of the same key and config: 20 % slower, outside a spread of nothing."""
    before = bench().record
    report = bench(before.config.digest, lambda config: 12.0)
    assert report.known == before
    assert report.change == pytest.approx(0.2)
    assert report.outside_spread
    assert bench(changed(before.config, KU=1)).known is None


def test_a_digest_of_another_problem_serves_where_its_config_is_feasible(bench):
    """What won for another shape is tried here by its digest."""
    config = changed(bench().record.config, KU=1)
    other = a_record(a_key(), json.loads(config))
    bench.store.add(other)
    assert bench(other.config.digest[:8]).record.config == other.config


def test_an_infeasible_config_is_told_the_constraint_with_both_numbers(bench):
    """Explain's reason; and the same by the digest of a record of another target."""
    config = changed(bench().record.config, SPLIT="grid")
    with pytest.raises(SpaceError, match=r"c_tiled: a grid needs 2 x 2 threads \(.* target\.threads = 2 < 4\)"):
        bench(config)
    other = a_record(a_key(), json.loads(config))
    bench.store.add(other)
    with pytest.raises(SpaceError, match=r"target\.threads = 2 < 4"):
        bench(other.config.digest)


def test_an_unknown_digest_is_told_what_is_known(bench):
    """The fastest of this problem, by digest."""
    known = bench().record.config.digest
    with pytest.raises(UnknownName, match=rf'"0123456789" is not the digest .*Known: {known[:12]} '):
        bench("0123456789")


def test_a_prefix_of_two_digests_is_refused_with_both(bench, monkeypatch):
    """Whoever meant one of them says more of it."""
    config = bench().record.config
    monkeypatch.setattr(type(config), "digest", property(lambda self: f"abcdef{self['KU']}".ljust(32, "0")))
    bench.store.add(a_record(bench().record.key, json.loads(changed(config, KU=1))))
    with pytest.raises(UsageError, match=r"begins 2 digests: abcdef10*, abcdef40*"):
        bench("abcdef")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"MR": 8,', r"it is no JSON \(.*Example: --config '\{\"SPLIT\": "),
        ('{"a":' * 50_000, "it is no JSON"),
        ("[8]", "it is no JSON object, and no digest"),
        ("abc12", "no digest of 6 to 32 hexadecimal characters"),
        ('{"MR": [8]}', r"MR=\[8\] is not plain"),
        ('{"MR": 8}', "c_tiled: SPLIT is missing"),
        ('{"TILE": 8}', r"TILE is not a parameter \(known: SPLIT"),
    ],
    ids=lambda text: text[:12],
)
def test_words_that_name_no_config_are_refused_with_an_example(bench, text, says):
    """Bad usage, before anything is compiled."""
    with pytest.raises(UsageError, match=says):
        bench(text, lambda config: pytest.fail("measured"))


def test_values_of_json_are_read_as_the_space_writes_them(bench):
    """8.0 is 8, in any order: one config, one digest."""
    config = bench().record.config
    loose = json.dumps({name: float(v) if isinstance(v, int) else v for name, v in reversed(list(config.items()))})
    assert bench(loose).record.config.canonical == config.canonical


def test_a_failing_config_is_kept_as_failed(bench):
    """No answer, with kind and reason; a winner that fails now is out."""
    with pytest.raises(NoFeasibleConfig, match="incorrect: 3 of 9 wrong"):
        bench(judge=lambda config: Failure("incorrect", "3 of 9 wrong"))
    assert [record.outcome.kind for record in bench.store.added] == ["incorrect"]


def test_a_trouble_of_the_machine_is_not_held_against_the_config(bench):
    """DeviceError; the incident is kept, no record is."""
    with pytest.raises(DeviceError, match="memory killer: gone"):
        bench(judge=lambda config: Incident("memory killer", "gone"))
    assert bench.store.added == []
    assert bench.store.troubles == [Incident("memory killer", "gone")]


def test_a_default_that_fails_leaves_the_configs_own_time(bench):
    """The report says why there is no ratio to it."""
    default = bench().default
    wrong = Failure("incorrect", "wrong")
    report = bench(changed(default, KU=1), lambda config: wrong if config == default else 9.0)
    assert report.default_time == wrong
    assert report.measurement == Measurement((9.0, 9.0))
