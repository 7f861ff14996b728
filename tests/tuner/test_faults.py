"""Kernels at their worst: every fault becomes a Failure with its reason, and costs one config and not the study."""

import re
import resource

import kernels
import pytest
from builders import a_target
from kerntune.cache.records import Failure, Measurement, Policy, RecordKey
from kerntune.templates.catalogue import op_named, templates_named
from kerntune.tuner.backends.compilers import find_compiler
from kerntune.tuner.backends.cpu import CpuBackend, child_spec
from kerntune.tuner.engine import local
from kerntune.tuner.engine.local import LocalEngine
from kerntune.tuner.measure.host_memory import data_bytes
from kerntune.tuner.sessions.session import Session
from saboteur import sabotaged

pytestmark = pytest.mark.compiler

TARGET = a_target("cpu")
PROBLEM = op_named("gemm").problem("cpu", m=64, n=48, k=32)  # a and c fill whole pages, b does not
POLICY = Policy("warm", "eager")


@pytest.fixture(autouse=True)
def little_memory():
    """The tests' own processes may not take more than 1 GiB beyond what they have."""
    old = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (data_bytes() + 2**30, old[1]))
    yield
    resource.setrlimit(resource.RLIMIT_DATA, old)


@pytest.fixture
def engine(tmp_path, monkeypatch):
    """An engine that waits two and a half seconds for an answer."""
    monkeypatch.setattr(local, "GRACE_S", 2.5)
    monkeypatch.setattr(local, "MEASURE_S", 0.01)
    monkeypatch.setattr(local, "PLAYOFF_S", 0.2)
    backends = {"cpu": CpuBackend(find_compiler(None))}
    made = LocalEngine(PROBLEM, POLICY, backends, child_spec(TARGET), tmp_path / "cache", 2)
    yield made
    made.close()


FAULTS = {
    "wrong in one element": ("incorrect", r"element \[32, 0\] is"),
    "writes past c": ("incorrect", r"^wrote 12 bytes past the end of c, first at \+64$"),
    "writes before c": ("incorrect", r"^wrote 4 bytes before the start of c, first at -8$"),
    "writes a": ("incorrect", r"^wrote its input a: 1 elements, first \[1, 3\]$"),
    "uses what lies past b": ("incorrect", r"^1 of 3,072 elements are NaN or infinite"),
    "right by turns": ("incorrect", r"element \[0, 9\] is"),
    "reads past a": ("runtime", r"killed by SIGSEGV: its arrays stood between protected pages: it reads or writes"),
    "reads past b": ("runtime", r"killed by SIGSEGV: its arrays stood right before protected pages: .* past the end"),
    "reads before b": ("runtime", r"killed by SIGSEGV: its arrays stood"),
    "allocates without end": ("runtime", r"^out of memory: it took more than [0-2]\.\d GiB, half of what was left$"),
    "segfaults": ("runtime", r"killed by SIGSEGV$"),
    "aborts": ("runtime", r"killed by SIGABRT$"),
    "exits": ("runtime", r"ended with status 3$"),
    "hangs": ("timeout", r"no answer within 3 s"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_a_failure_with_its_reason_and_the_next_kernel_runs(engine, tmp_path, name):
    """Where it went wrong stands in the record."""
    kind, reason = FAULTS[name]
    outcome = engine.measure(kernels.build(tmp_path, name), seed=1)
    assert isinstance(outcome, Failure)
    assert outcome.kind == kind
    assert re.search(reason, outcome.reason), outcome.reason
    assert isinstance(engine.measure(kernels.build(tmp_path, "right"), seed=2), Measurement)


@pytest.mark.parametrize(("name", "deterministic"), [("right", True), ("rounds by turns", False)])
def test_the_child_says_whether_two_runs_gave_the_same_bits(tmp_path, name, deterministic):
    """Beside the samples."""
    session = Session({}, {"do": "open", "device": "cpu"})
    request = {
        **{"do": "measure", "problem": PROBLEM.as_dict(), "policy": POLICY.as_dict(), "seed": 1, "time_s": 0.01},
        **{"artifact": kernels.build(tmp_path, name).as_dict(), "incumbent_us": None},
    }
    assert session.ask(request, 30)["deterministic"] is deterministic
    session.close()


def test_a_device_that_does_not_open_is_an_incident_in_its_own_words():
    """No config is blamed for it."""
    session = Session({}, {"do": "open", "device": "tpu"})
    reply = session.ask({"do": "measure"}, 30)
    session.close()
    assert reply["incident"]["kind"] == "device"
    assert reply["incident"]["reason"].startswith('"tpu" is no device a child can open')


@pytest.mark.slow
def test_a_study_of_200_kernels_with_40_faulty_ones_loses_nothing_and_believes_none(engine, tmp_path):
    """Every fault is told by its kind, every right kernel is measured, and the winner is a right one."""
    (template,) = templates_named("gemm", ["c_tiled"])
    built = {name: kernels.build(tmp_path, name) for name in ("right", *FAULTS)}
    sabotaged(engine, RecordKey(PROBLEM, TARGET, POLICY), template, built, {n: kind for n, (kind, _) in FAULTS.items()})
