"""The Triton backend with real compile children: cubins without a GPU, and every kind of failure."""

import signal
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from builders import a_target
from kerntune.cache.records import Failure, Incident
from kerntune.spaces.errors import DeviceError
from kerntune.templates.catalogue import op_named, templates_named
from kerntune.templates.template import Argument
from kerntune.tuner.backends import gpu_backend
from kerntune.tuner.backends import triton as backend
from kerntune.tuner.backends.artifact import Artifact
from kerntune.tuner.backends.ptxas_log import resources
from kerntune.tuner.backends.triton import TritonBackend, gpu_child_spec
from kerntune.tuner.backends.triton_compiler import first_useful_line
from kerntune.tuner.sessions.session import Crash, TimedOut

(TEMPLATE,) = templates_named("gemm", ["triton_tiled"])
TARGET = a_target()


def candidates(count=1, **fields):
    of = op_named("gemm").problem("gpu", **({"m": 256, "n": 384, "k": 512} | fields))
    feasible = TEMPLATE.feasible(of, TARGET)
    configs = feasible.sample(np.random.default_rng(1), count)
    return [TEMPLATE.candidate(feasible, of, TARGET, config) for config in configs]


@pytest.fixture(scope="module")
def compilers():
    """Two compile processes that all tests here share."""
    made = TritonBackend(TARGET, 2)
    yield made
    made.close()


@pytest.mark.triton
@pytest.mark.parametrize("layout", ["nn", "tt"])
def test_sampled_configs_become_cubins_side_by_side(compilers, tmp_path, layout):
    """Ahead of time, for a GPU that is not here."""
    several = candidates(3, layout=layout) + candidates(3, m=131, n=77, k=203, layout=layout)
    several += candidates(2, m=2**16 + 1, n=63, k=2**15 + 1, layout=layout)  # offsets of 64 bits
    with ThreadPoolExecutor(2) as pool:
        made = list(pool.map(lambda candidate: compilers.compile(candidate, tmp_path), several))
    assert sum(isinstance(artifact, Artifact) for artifact in made) >= len(made) // 2
    for candidate, artifact in zip(several, made, strict=True):
        if isinstance(artifact, Failure):  # compiled like the others, and not worth a device's time
            assert artifact.reason.startswith("spill_bytes ")
            continue
        assert isinstance(artifact, Artifact)
        assert artifact.path.read_bytes().startswith(b"\x7fELF")
        assert artifact.launch == candidate.launch
        assert artifact.threads_per_block == 32 * candidate.config["num_warps"]
        assert 0 < artifact.registers <= 255
        assert artifact.smem_bytes <= TARGET.device.smem_per_block_bytes


@pytest.mark.triton
def test_the_same_candidate_gives_the_same_bytes(compilers, tmp_path):
    """No path, time or process number leaks into a binary."""
    (candidate,) = candidates()
    first, second = tmp_path / "a", tmp_path / "b"
    made = []
    for folder in (first, second):
        folder.mkdir()
        made.append(compilers.compile(candidate, folder))
    assert made[0].path != made[1].path
    assert made[0].path.read_bytes() == made[1].path.read_bytes()


@pytest.mark.triton
@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (lambda source: source.replace("tl.dot(", "tl.dott("), "dott"),
        (lambda source: source.replace("def gemm_tiled", "def other"), "gemm_tiled"),
        (lambda source: source.replace("import triton\n", "import triton !\n"), "SyntaxError"),
    ],
)
def test_a_broken_source_is_a_compile_failure_that_says_what_is_wrong(compilers, tmp_path, broken, said):
    """The reason is one line a reader can use."""
    (candidate,) = candidates()
    outcome = compilers.compile(replace(candidate, source=broken(candidate.source)), tmp_path)
    assert isinstance(outcome, Failure)
    assert outcome.kind == "compile"
    assert said in outcome.reason
    assert "\n" not in outcome.reason


@pytest.mark.triton
def test_a_compiler_that_crashes_is_a_compile_failure_and_the_next_one_compiles(compilers, tmp_path):
    """One bad source costs one process."""
    (candidate,) = candidates()
    crash = "import os\nos.abort()\n" + candidate.source
    outcome = compilers.compile(replace(candidate, source=crash), tmp_path)
    assert isinstance(outcome, Failure)
    assert outcome.kind == "compile"
    assert "SIGABRT" in outcome.reason
    assert isinstance(compilers.compile(candidate, tmp_path), Artifact)


@pytest.mark.triton
def test_a_compile_that_never_ends_is_a_timeout(tmp_path, monkeypatch):
    """Sixty seconds, shortened here."""
    monkeypatch.setattr(gpu_backend, "COMPILE_TIMEOUT_S", 1.0)
    (candidate,) = candidates()
    made = TritonBackend(TARGET, 1)
    try:
        endless = replace(candidate, source="while True: pass\n" + candidate.source)
        assert made.compile(endless, tmp_path) == Failure("timeout", "compiling took longer than 1 s")
    finally:
        made.close()


@pytest.mark.triton
def test_a_kernel_beyond_shared_memory_is_refused_with_both_numbers(tmp_path):
    """What the space let through, the compiler's own figure stops."""
    made = TritonBackend(a_target(smem_per_block_bytes=1000), 1)
    try:
        outcome = made.compile(candidates()[0], tmp_path)
    finally:
        made.close()
    assert isinstance(outcome, Failure)
    assert outcome.kind == "constraints"
    assert outcome.reason.startswith("smem_bytes ")
    assert outcome.reason.endswith("> 1,000 a block may have on sm_90")


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        (TimedOut(60.0), Failure("timeout", "compiling took longer than 60 s")),
        (TimedOut(120.0), Incident("compiler", "a compile process did not start within 120 s")),
        (
            Crash(signal.SIGKILL, "killed by SIGKILL"),
            Incident("memory killer", "the compile process was killed by SIGKILL"),
        ),
        (Crash(0, "ended with status 3"), Failure("compile", "the compiler crashed: ended with status 3")),
        ({"incident": {"kind": "disk full", "reason": "x"}}, Incident("disk full", "x")),
        (
            {"failure": {"kind": "runtime", "reason": "no module named triton"}},
            Incident("compiler", "no module named triton"),
        ),
    ],
)
def test_whose_fault_a_failed_compile_is(reply, verdict):
    """The candidate's, or the machine's."""
    assert gpu_backend._verdict(reply) == verdict


def test_a_processor_has_no_triton_backend():
    """Said before a process is started."""
    with pytest.raises(DeviceError, match="Model T"):
        TritonBackend(a_target("cpu"), 1)


def test_the_measuring_child_opens_the_gpu_cuda_counts():
    """Under CUDA_VISIBLE_DEVICES, as the parent counts it."""
    assert gpu_child_spec(1, "of-the-second").device == "cuda:1"


@pytest.mark.parametrize(("value", "divides"), [(None, 16), (4096, 16), (1000, 8), (3333, 1), (2, 2)])
def test_an_argument_is_known_to_divide_by_what_it_does(value, divides):
    """Arrays are aligned; numbers by their largest power of two up to 16."""
    assert backend._divisibility(Argument("x", "i32", value)) == divides


def test_what_ptxas_says_is_read_and_nothing_is_made_up():
    """Registers and spills of a thread, or nothing."""
    log = "    0 bytes stack frame, 468 bytes spill stores, 400 bytes spill loads\nptxas info : Used 255 registers\n"
    assert resources(log) == {"registers": 255, "spill_bytes": 468}
    assert resources("") == {}


def test_the_line_of_a_compile_error_is_its_last_with_its_place():
    """Triton quotes the kernel before it says what is wrong."""
    error = ValueError("at 3:4:\ndef kernel():\n    x = y\n        ^\nNameError('y is not defined')")
    assert first_useful_line(error) == "ValueError: NameError('y is not defined') (at 3:4)"
