"""kerntune.lookup and the ops, pinned: by a number, by the environment, by an exported file; here and at a server."""

from __future__ import annotations

import socket
import warnings
from contextlib import closing

import numpy as np
import pytest
from builders import a_record
from kerntune import ops, tune
from kerntune.cache.memory import MemoryStore
from kerntune.cache.memory_generations import MemoryGenerations
from kerntune.cache.records import Policy, RecordKey
from kerntune.cache.refusals import ReadOnly, UnknownGeneration
from kerntune.cache.wire import answer_to_json
from kerntune.server.app import create_app
from kerntune.spaces.canonical import canonical_json
from kerntune.spaces.errors import NetworkError, StoreError, UsageError
from kerntune.templates.catalogue import op_named
from kerntune.tuner import api, asking, settings, wiring
from kerntune.tuner.generation_services import GenerationServices
from kerntune.tuner.pinned import Pins
from kerntune.tuner.remembered import RECHECK_S
from kerntune.tuner.serving import StoreServices
from record_server import served

DIMS = {"m": 64, "n": 128, "k": 256}


def key_of(**changes):
    target = wiring.open_host("cpu", settings.read()).target
    return RecordKey(op_named("gemm").problem("cpu", **DIMS, **changes), target, Policy.default_for("cpu"))


def known(us, **changes):
    with closing(wiring.open_store(settings.read())) as store:
        store.add(a_record(key_of(**changes), {"BLOCK_M": int(us)}, us, phase="playoff"))


def frozen(export=None):
    """Freeze the settings' database; its number."""
    with closing(GenerationServices(wiring.open_pins(settings.read()))) as services:
        number = services.freeze("", "tests").generation.number
        if export is not None:
            services.export(number, export)
    return number


def asked(**options):
    return api.lookup("gemm", **DIMS, device="cpu", **options)


def bytes_of(answer):
    return canonical_json(answer_to_json(answer))


def test_a_pinned_lookup_answers_from_its_generation():
    """What is known by now is another question."""
    known(9.0)
    assert frozen() == 1
    known(2.0)
    known(3.0, layout="nt")
    assert frozen() == 2
    assert [asked(generation=n).median_us for n in (1, 2, None)] == [9.0, 2.0, 2.0]
    assert [asked(generation=n).generation for n in (1, 2, None)] == [1, 2, None]
    assert asked(generation=1, layout="nt") is None
    assert asked(generation=1) is asked(generation=1)


def test_the_environment_pins_every_lookup(monkeypatch):
    """And a number that is named goes before it."""
    known(9.0)
    frozen()
    known(2.0)
    frozen()
    monkeypatch.setenv("KERNTUNE_GENERATION", "1")
    assert (asked().median_us, asked(generation=2).median_us) == (9.0, 2.0)


@pytest.mark.parametrize("number", ["0", "-1", "one", "1,2", "1.5", "²"])
def test_an_environment_that_names_no_number_is_refused(monkeypatch, number):
    """With the variable's name; an empty one counts as unset."""
    monkeypatch.setenv("KERNTUNE_GENERATION", number)
    with pytest.raises(UsageError, match="KERNTUNE_GENERATION"):
        asked()
    assert settings.read({"KERNTUNE_GENERATION": " "}).generation is None
    assert settings.read({"KERNTUNE_GENERATION": " 12 "}).generation == 12


def test_an_unknown_generation_is_an_error_and_not_remembered():
    """It may be frozen a moment later."""
    known(9.0)
    with pytest.raises(UnknownGeneration, match="none was frozen yet"):
        asked(generation=1)
    frozen()
    assert asked(generation=1).median_us == 9.0


@pytest.mark.parametrize("number", ["1", 0, 1.0, True, 2**70])
def test_what_is_no_number_is_refused(number):
    """Before anything is asked."""
    with pytest.raises(UsageError, match=r"generation is .* it takes an integer from 1"):
        asked(generation=number)


def test_ops_refuse_a_generation_there_is_not(monkeypatch):
    """A kernel that the other ranks do not run is no answer, and a wrong number is the caller's to mend."""
    known(9.0)
    monkeypatch.setenv("KERNTUNE_GENERATION", "7")
    ops.forget()
    with pytest.raises(UnknownGeneration):
        ops.gemm(np.ones((64, 256), np.float32), np.ones((256, 128), np.float32))
    ops.forget()


def test_an_exported_file_answers_without_database_or_server(tmp_path, monkeypatch):
    """The same bytes, by db= and by the environment; a server the settings name is not asked."""
    known(9.0)
    file = tmp_path / "g.jsonl.gz"
    frozen(file)
    expected = bytes_of(asked(generation=1))
    known(2.0)
    monkeypatch.setenv("KERNTUNE_SERVER", "http://server.example")
    assert bytes_of(asked(db=f"generation:{file}")) == expected
    monkeypatch.setenv("KERNTUNE_DB", f"generation://{file}")
    api.forget()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert bytes_of(asked()) == bytes_of(asked(generation=1)) == expected
        assert asked(layout="nt") is None
    with pytest.raises(UnknownGeneration):
        asked(generation=2, db=f"generation:{file}")


def test_a_file_is_read_once(tmp_path):
    """Renamed, replaced or gone, it is what it was for a process that has it."""
    known(9.0)
    file = tmp_path / "g.jsonl"
    frozen(file)
    url = f"generation:{file}"
    assert asked(db=url).median_us == 9.0
    file.unlink()
    assert asked(db=url, min_match="exact").median_us == 9.0
    api.forget()
    with pytest.raises(StoreError, match="cannot be read"):
        asked(db=url)


def test_what_makes_records_is_refused_before_it_begins(tmp_path):
    """With what to do."""
    known(9.0)
    file = tmp_path / "g.jsonl"
    frozen(file)
    before = file.read_bytes()
    with pytest.raises(ReadOnly, match="Name a database by --db or KERNTUNE_DB"):
        tune("gemm", **DIMS, device="cpu", trials=1, db=f"generation:{file}")
    assert file.read_bytes() == before


@pytest.fixture
def server():
    """A server that knows this machine's processor: 9 µs in generation 1, 1 µs now."""
    store = MemoryStore()
    generations = MemoryGenerations(store)
    pins = Pins(generations, target_named=store.target)
    services = GenerationServices(pins)
    store.add(a_record(key_of(), {"BLOCK_M": 9}, 9.0))
    services.freeze("", "tests")
    store.add(a_record(key_of(), {"BLOCK_M": 1}, 1.0))
    with served(create_app(StoreServices(store, pins=pins))) as url:
        yield url, generations


def test_a_server_is_asked_for_its_generation_alone(server, monkeypatch):
    """A number is of one place: what this machine froze under it is another set."""
    url, generations = server
    known(5.0)
    frozen()
    (expected,) = generations.frozen(1)
    assert bytes_of(asked(server=url, generation=1, timeout_s=20)) == expected.text
    monkeypatch.setenv("KERNTUNE_SERVER", url)
    assert asked(generation=1, timeout_s=20).median_us == 9.0
    assert asked(generation=1, db=settings.read().db_url).median_us == 5.0
    assert asked(generation=1, timeout_s=20, layout="nt") is None
    with pytest.raises(UnknownGeneration, match=r"127.0.0.1.*the newest is 1"):
        asked(generation=2, timeout_s=20)


def test_a_server_that_is_away_is_an_error_and_what_it_said_stays(monkeypatch):
    """Another place's answer would not be the one that the other ranks run; one that was heard is good for ever."""
    known(5.0)
    frozen()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    monkeypatch.setenv("KERNTUNE_SERVER", url)
    for _ in range(2):
        with pytest.raises(NetworkError, match="cannot be reached"):
            asked(generation=1)
    said = asked(generation=1, db=settings.read().db_url)
    monkeypatch.setattr(asking, "ask_server", lambda *_, **words: said)
    assert asked(generation=1) is said
    monkeypatch.undo()
    held = api._TIERS.remembered
    monkeypatch.setattr(held, "_now_s", lambda: 1e12 + RECHECK_S)
    monkeypatch.setenv("KERNTUNE_SERVER", url)
    assert asked(generation=1) is said


@pytest.mark.compiler
def test_ops_run_what_is_pinned(tmp_path, monkeypatch):
    """By a file, with no database: the frozen config, though a better one is known."""
    monkeypatch.delenv("KERNTUNE_DISABLE", raising=False)
    words = {"m": 48, "n": 80, "k": 64, "layout": "nt", "device": "cpu"}
    tuned = tune("gemm", **words, trials=2, time_s=20)
    file = tmp_path / "g.jsonl"
    frozen(file)
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((48, 64), np.float32), rng.standard_normal((80, 64), np.float32)
    for name, value in (("KERNTUNE_GENERATION", "1"), ("KERNTUNE_DB", f"generation:{file}")):
        monkeypatch.setenv(name, value)
        ops.forget()
        plan = ops.gemm_plan(a, b, layout="nt")
        assert (plan.answer.generation, plan.answer.config) == (1, tuned.config)
        assert np.allclose(ops.gemm(a, b, layout="nt"), a @ b.T, atol=1e-4)
    ops.forget()
