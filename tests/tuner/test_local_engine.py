"""The local engine with real compilers, real children and kernels that misbehave."""

import os
import re
import signal
import subprocess
import sys
import time

import kernels
import pytest
from builders import a_target
from kerntune.cache.records import Failure, Incident, Measurement, Policy
from kerntune.templates.catalogue import op_named
from kerntune.tuner.backends.artifact import Artifact
from kerntune.tuner.backends.compilers import find_compiler
from kerntune.tuner.backends.cpu import CpuBackend, child_spec
from kerntune.tuner.engine import local
from kerntune.tuner.engine.local import LocalEngine, session_of
from kerntune.tuner.sessions.session import Session

pytestmark = pytest.mark.compiler
PROBLEM = op_named("gemm").problem("cpu", m=64, n=48, k=32)


@pytest.fixture
def engine(tmp_path, monkeypatch):
    """An engine that waits three seconds for an answer."""
    monkeypatch.setattr(local, "GRACE_S", 3.0)
    monkeypatch.setattr(local, "PLAYOFF_S", 0.2)
    backends = {"cpu": CpuBackend(find_compiler(None))}
    made = LocalEngine(PROBLEM, Policy("cold", "eager"), backends, child_spec(a_target("cpu")), tmp_path / "cache", 2)
    yield made
    made.close()


@pytest.mark.parametrize("name", ["right", "prints"])
def test_a_right_kernel_is_measured(engine, tmp_path, name):
    """Printing does not disturb the channel."""
    outcome = engine.measure(kernels.build(tmp_path, name), seed=1)
    assert isinstance(outcome, Measurement)
    assert len(outcome.samples_us) >= 10


@pytest.mark.parametrize(
    ("name", "kind", "reason"),
    [
        ("wrong in one element", "incorrect", r"element \[32, 0\] is .*, should be"),
        ("one product short", "incorrect", r"element \[0, 0\] is|relative error"),
        ("an element not written", "incorrect", "1 of 3,072 elements are NaN or infinite"),
        ("hangs", "timeout", "no answer within 3 s"),
        ("segfaults", "runtime", "killed by SIGSEGV"),
        ("aborts", "runtime", "killed by SIGABRT"),
        ("exits", "runtime", "ended with status 3"),
        ("no memory", "launch", "no memory for its workspace"),
    ],
)
def test_each_fault_is_a_failure_with_its_kind_and_the_next_kernel_runs(engine, tmp_path, name, kind, reason):
    """One bad kernel costs one record, not the study."""
    outcome = engine.measure(kernels.build(tmp_path, name), seed=1)
    assert isinstance(outcome, Failure)
    assert outcome.kind == kind
    assert re.search(reason, outcome.reason), outcome.reason
    assert isinstance(engine.measure(kernels.build(tmp_path, "right"), seed=2), Measurement)


def test_a_time_out_counts_only_after_a_second_try(engine, tmp_path):
    """A busy machine is slow once; a slow config is slow twice."""
    mark = tmp_path / "mark"
    once = (
        f'FILE *mark = fopen("{mark}", "r"); if (!mark) {{ fclose(fopen("{mark}", "w")); for (;;) {{}} }} fclose(mark);'
    )
    assert isinstance(engine.measure(kernels.build(tmp_path, "once", once + kernels.RIGHT), seed=1), Measurement)


def test_a_child_killed_from_outside_is_an_incident(engine, tmp_path):
    """The memory killer's signal is the machine's trouble, not the config's."""
    outcome = engine.measure(kernels.build(tmp_path, "killed"), seed=1)
    assert isinstance(outcome, Incident)
    assert outcome.kind == "memory killer"


def test_a_source_that_does_not_compile_is_a_failure_with_the_compilers_words(engine):
    """The first errors, not the whole log."""
    outcome = engine.submit(kernels.candidate(kernels.source("return no_such_name;"))).result()
    assert isinstance(outcome, Failure)
    assert outcome.kind == "compile"
    assert "no_such_name" in outcome.reason


def test_a_full_disk_is_an_incident(engine, monkeypatch):
    """A compile that cannot write blames the disk."""

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_text", full)
    outcome = engine.submit(kernels.candidate(kernels.source(kernels.RIGHT))).result()
    assert isinstance(outcome, Incident)
    assert outcome.kind == "disk full"


def test_the_playoff_times_every_contender_and_the_vendor_library(engine, tmp_path):
    """Interleaved in one process, with at least three rounds of five calls each."""
    made = kernels.build(tmp_path, "right")
    result = engine.playoff({"one": made, "two": made}, seed=3)
    assert set(result.measurements) == set(result.rounds_us) == {"one", "two"}
    (vendor,) = result.vendors
    assert vendor.name.startswith("numpy")
    assert (vendor.fault, result.left_out) == (None, {})
    assert result.baseline.name == vendor.name
    assert len(vendor.rounds_us) == len(result.rounds_us["one"])
    assert all(len(m.samples_us) >= 15 for m in result.measurements.values())


def test_a_playoff_may_be_longer_than_it_takes_to_settle_it(engine, tmp_path):
    """As many rounds as are asked for."""
    result = engine.playoff({"one": kernels.build(tmp_path, "right")}, seed=3, rounds=9)
    assert len(result.rounds_us["one"]) == len(result.vendors[0].rounds_us) == 9


def test_close_leaves_no_process_and_no_file(tmp_path):
    """A finished study leaves its cache directory as it found it."""
    backends = {"cpu": CpuBackend(find_compiler(None))}
    spec = child_spec(a_target("cpu"))
    engine = LocalEngine(PROBLEM, Policy("warm", "eager"), backends, spec, tmp_path / "cache", 1)
    assert (tmp_path / "cache").stat().st_mode & 0o777 == 0o700
    engine.measure(kernels.build(tmp_path, "right"), seed=1)
    child = engine._session._process.pid  # white box: no other way to name the child
    engine.close()
    engine.close()
    assert list((tmp_path / "cache").iterdir()) == []
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_a_lent_session_outlives_its_engines(tmp_path):
    """The next problem finds the device open; whoever lent it ends the child."""
    spec = child_spec(a_target("cpu"))
    session, children = session_of(spec), set()
    for _ in range(2):
        policy, backends = Policy("warm", "eager"), {"cpu": CpuBackend(find_compiler(None))}
        engine = LocalEngine(PROBLEM, policy, backends, spec, tmp_path / "cache", 1, session)
        assert isinstance(engine.measure(kernels.build(tmp_path, "right"), seed=1), Measurement)
        engine.close()
        children.add(session._process.pid)  # white box: no other way to name the child
    assert len(children) == 1
    session.close()


def test_a_lent_session_is_left_without_work(tmp_path):
    """A kernel that nobody waits for any more must not run beside those of the next engine."""
    spec = child_spec(a_target("cpu"))
    session = session_of(spec)
    engine = LocalEngine(PROBLEM, Policy("warm", "eager"), {}, spec, tmp_path / "cache", 1, session)
    engine._begin({"do": "measure", "artifact": kernels.build(tmp_path, "hangs").as_dict(), "seed": 1, "time_s": 1}, 1)
    engine.close()
    assert session._process is None  # white box
    session.close()


def test_folders_of_killed_studies_are_removed(tmp_path):
    """kill -9 leaves a folder behind; the next study clears it, and leaves those of the living."""
    gone, alive = tmp_path / "study-999999999-x", tmp_path / f"study-{os.getpid()}-y"
    gone.mkdir()
    alive.mkdir()
    engine = LocalEngine(PROBLEM, Policy(), {}, child_spec(a_target("cpu")), tmp_path, 1)
    engine.close()
    assert list(tmp_path.iterdir()) == [alive]


def test_a_child_ends_when_its_parent_is_gone(tmp_path):
    """kill -9 of the tuner leaves no kernel running."""
    code = (
        "import sys, kernels, pathlib\n"
        "from kerntune.tuner.sessions.session import Session\n"
        "from kerntune.templates.catalogue import op_named\n"
        "made = kernels.build(pathlib.Path(sys.argv[1]), 'hangs')\n"
        "session = Session({}, {'do': 'open', 'device': 'cpu'})\n"
        "session.ask({'do': 'no such verb'}, 30)\n"
        "print(session._process.pid, flush=True)\n"
        "problem = op_named('gemm').problem('cpu', m=64, n=48, k=32).as_dict()\n"
        "policy = {'cache': 'cold', 'launch': 'eager'}\n"
        "what = dict(do='measure', problem=problem, policy=policy, artifact=made.as_dict(), seed=1, time_s=1)\n"
        "session.ask(what, 60)\n"
    )
    env = {**os.environ, "PYTHONPATH": os.path.dirname(kernels.__file__)}  # noqa: PTH120 -- a plain string is wanted
    parent = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=env)
    with parent:
        child = int(parent.stdout.readline())
        time.sleep(1.0)
        parent.send_signal(signal.SIGKILL)
    deadline_s = time.monotonic() + 10
    while time.monotonic() < deadline_s and _runs(child):
        time.sleep(0.1)
    assert not _runs(child)


def _runs(pid: int) -> bool:
    """Alive and not a zombie."""
    try:
        with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123 -- /proc is read as text
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_an_artifact_survives_its_own_json(tmp_path):
    """Parent and child see the same artifact."""
    artifact = Artifact("cpu", tmp_path / "x.so", kernels.LAUNCH, smem_bytes=3)
    assert Artifact.from_dict(artifact.as_dict()) == artifact


def test_the_vendor_library_runs_at_its_best(monkeypatch):
    """A shell that pins OpenBLAS to an old processor's kernels does not hand a win to ours."""
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    session = Session(child_spec(a_target("cpu", threads=2)).environment)
    assert "OPENBLAS_CORETYPE" not in session._environment  # white box: what the child is started with
    assert session._environment["OPENBLAS_NUM_THREADS"] == "2"
    session.close()
