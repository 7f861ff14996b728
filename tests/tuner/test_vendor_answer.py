"""The vendor library as the answer, where it is allowed to be."""

import json

import pytest
import typer
from builders import a_record, a_target
from fakes import FakeEngine
from kerntune.cache.memory import MemoryStore
from kerntune.cache.memory_studies import MemoryStudies
from kerntune.cache.records import Baseline
from kerntune.cache.wire import answer_from_json, answer_to_json
from kerntune.tuner import api, tuning, wiring
from kerntune.tuner.cli.main import make_app
from kerntune.tuner.hosts import Host
from kerntune.tuner.vendor_answer import is_vendors, vendor_answer

SHAPE = {"m": 96, "n": 80, "k": 64}
LT = ("torch.mm (cublaslt)", 8.0, None)
OFF = ("torch.mm (cublas)", 7.0, "element [0, 0] is 1, should be 2")


def against(*ways):
    """A record of 10 µs that met these ways."""
    first, *others = ways
    return a_record(us=10.0, baseline=Baseline(**{**vars_of(first), "others": tuple(others)}))


def vars_of(baseline):
    return {name: getattr(baseline, name) for name in ("name", "samples_us", "speedup", "speedup_interval", "fault")}


def way(us=8.0, interval=(0.78, 0.82), name="blas", **more):
    return Baseline(name, (us,), us / 10.0, interval, **more)


@pytest.fixture
def tune(monkeypatch):
    """A function (request words) -> Report, on a processor and with a vendor of our own; `tune.store` keeps."""
    store, vendors = MemoryStore(), [OFF, LT]

    def engine(problem, policy):
        made = FakeEngine(lambda config: 10.0)
        made.vendors = vendors
        return made

    host = Host(a_target("cpu"), frozenset({"cpu"}), engine, lambda: 1 << 40, {})
    monkeypatch.setattr(wiring, "open_host", lambda name, settings: host)
    monkeypatch.setattr(wiring, "open_store_and_studies", lambda settings, url=None: (store, MemoryStudies()))
    monkeypatch.setattr(wiring, "open_watched_store", lambda settings, url=None: (store, lambda: None))

    def tuned(**more):
        return tuning.run(tuning.Request("gemm", SHAPE, budget=tuning.Budget(4, 60.0), **more))

    tuned.store, tuned.vendors = store, vendors
    return tuned


def test_a_vendor_that_is_clearly_faster_answers():
    """With its own time, no config, and the name of what to call."""
    answer = vendor_answer(against(way()))
    assert (answer.template, dict(answer.config), answer.median_us) == ("vendor:blas", {}, 8.0)
    assert (answer.baseline_name, answer.speedup) == ("blas", 1.0)
    assert is_vendors(answer)
    assert answer_from_json(json.loads(json.dumps(answer_to_json(answer)))) == answer


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (a_record(), "there is none"),
        (against(way(12.0, (1.1, 1.3))), "ours is faster"),
        (against(way(9.9, (0.97, 1.01))), "it may be no faster"),
        (against(way(fault="element [0, 0] is 1, should be 2")), "it is wrong"),
        (against(Baseline("blas", (8.0,))), "they were not paired"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_else_our_own_best_answers(record, why):
    """A tie is ours, and what would not pass as a config of ours is no answer."""
    assert vendor_answer(record) is None, why


def test_a_wrong_way_does_not_stand_before_a_right_one():
    """The fastest of those that may answer."""
    wrong, right, slower = way(6.0, (0.5, 0.7), fault="off"), way(name="right"), way(9.0, (0.8, 0.9), name="slower")
    answer = vendor_answer(against(wrong, right, slower))
    assert answer.template == "vendor:right"
    assert answer.speedup == 6.0 / 8.0  # the fastest was this much faster, and wrong


def test_only_who_allows_the_vendor_is_answered_by_it(tune):
    """The record is our own best, whoever asks; the second answer is from the cache, and so is the third."""
    ours, allowed, again = tune(), tune(allow_vendor=True), tune()
    assert ours.answer.template == again.answer.template == "c_tiled"
    assert ours.answer.config == again.answer.config == allowed.record.config
    assert allowed.cached
    assert allowed.answer.template == "vendor:torch.mm (cublaslt)"
    assert {record.template for record in tune.store.records(ours.record.key)} == {"c_tiled"}


def test_a_lookup_has_our_own_best(tune):
    """What a tune was answered with is not remembered."""
    report = tune(allow_vendor=True)
    assert api.lookup("gemm", **SHAPE).config == report.record.config


def test_python_and_the_command_line_allow_it_in_the_same_words(tune, capsys, monkeypatch):
    """allow_vendor=True, --allow-vendor; the command says what is ours and what is not."""
    assert api.tune("gemm", **SHAPE, trials=4, allow_vendor=True).template == "vendor:torch.mm (cublaslt)"
    app = typer.main.get_command(make_app())
    words = ["gemm", "--shape", "96x80x64", "--device", "cpu", "--allow-vendor"]
    app.main([*words, "--json"], standalone_mode=False)
    told = json.loads(capsys.readouterr().out)
    assert (told["template"], told["config"], told["space"]) == ("vendor:torch.mm (cublaslt)", {}, None)
    assert told["own"]["template"] == "c_tiled"
    assert told["own"]["median_us"] == 10.0
    assert [(one["name"], one["fault"]) for one in told["vendors"]] == [(OFF[0], OFF[2]), (LT[0], None)]
    monkeypatch.setenv("COLUMNS", "160")
    app.main(words, standalone_mode=False)
    said = capsys.readouterr().out
    assert "answer    torch.mm (cublaslt): faster than our own best (--allow-vendor)" in said
    assert "kerntune c_tiled" in said
    assert "torch.mm (cublas), its numbers off" in said
    assert f"config    {tune().record.config!r}" in said
