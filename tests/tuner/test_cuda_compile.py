"""The CUDA backend with real compile children: cubins without a GPU, every kind of failure, what they are made of."""

import importlib.metadata
import re
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from builders import a_target
from kerntune.cache.records import Failure, Incident
from kerntune.spaces.config import Config
from kerntune.spaces.errors import DeviceError
from kerntune.templates.template import Argument, Candidate, Launch
from kerntune.tuner import settings, wiring
from kerntune.tuner.backends import gpu_target, instructions
from kerntune.tuner.backends.artifact import Artifact
from kerntune.tuner.backends.binary_cache import BinaryCache
from kerntune.tuner.backends.cuda import CudaBackend, exact_arch
from kerntune.tuner.backends.cuda_compiler import CompileError, compile_source, first_useful_line
from kerntune.tuner.backends.instructions import instruction_mix, mix_of
from kerntune.tuner.measure.cuda_kernels import number
from kerntune.tuner.measure.device import LaunchError

TARGET = a_target(nvrtc="13.0.88")
SOURCE = """
extern "C" __global__ void __launch_bounds__(128) scale(const float *a, float *c, int n)
{
    __shared__ float row[128];
    row[threadIdx.x] = threadIdx.x < n ? a[threadIdx.x] : 0.0f;
    __syncthreads();
    c[threadIdx.x] = row[threadIdx.x ^ 1] * 3.0f + 1.0f;
}
"""
LAUNCH = Launch("scale", (Argument("a", "*fp32"), Argument("c", "*fp32"), Argument("n", "i32", 100)), block=(32, 2, 2))


def a_candidate(source=SOURCE, **changes):
    return Candidate("hand_written", "cuda", Config({}), source, ".cu", replace(LAUNCH, **changes))


@pytest.fixture(scope="module")
def compilers():
    """A compile process that all tests here share."""
    made = CudaBackend(TARGET, 1)
    yield made
    made.close()


@pytest.mark.nvrtc
@pytest.mark.parametrize("arch", ["sm_80", "sm_89", "sm_90"])
def test_a_source_becomes_a_cubin_with_what_it_uses(tmp_path, arch):
    """Ahead of time, for a GPU that is not here."""
    backend = CudaBackend(a_target(nvrtc="13.0.88", arch=arch), 1)
    artifact = backend.compile(a_candidate(smem_bytes=1024), tmp_path)
    backend.close()
    assert isinstance(artifact, Artifact)
    assert artifact.path.read_bytes().startswith(b"\x7fELF")
    assert (artifact.threads_per_block, artifact.static_smem_bytes, artifact.smem_bytes) == (128, 512, 1024)
    assert 0 < artifact.registers < 40
    assert artifact.spill_bytes == 0
    assert Artifact.from_dict(artifact.as_dict()) == artifact


@pytest.mark.nvrtc
def test_the_same_source_gives_the_same_bytes(compilers, tmp_path):
    """No path or time leaks into a binary."""
    made = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        made.append(compilers.compile(a_candidate(), tmp_path / name).path.read_bytes())
    assert made[0] == made[1]


@pytest.mark.nvrtc
@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("row[threadIdx.x ^ 1]", "rwo[0]", 'kernel.cu(7): error: identifier "rwo" is undefined'),
        ("[128];", "[99999];", "uses too much shared data"),
        ("scale(", "other(", 'there is no extern "C" kernel scale'),
        ('extern "C" ', "", 'there is no extern "C" kernel scale'),
        ("\nextern", "\n#include <cuda_fp16.h>\nextern", "cuda_fp16.h"),
    ],
)
def test_a_broken_source_is_a_compile_failure_that_says_what_is_wrong(compilers, tmp_path, old, new, said):
    """One line a reader can use; the next source compiles."""
    outcome = compilers.compile(a_candidate(SOURCE.replace(old, new, 1)), tmp_path)
    assert isinstance(outcome, Failure)
    assert outcome.kind == "compile"
    assert said in outcome.reason
    assert "\n" not in outcome.reason
    assert isinstance(compilers.compile(a_candidate(), tmp_path), Artifact)


@pytest.mark.nvrtc
def test_a_chip_this_nvrtc_does_not_know_is_nobodys_candidates_fault(tmp_path):
    """An incident, which is not remembered of a config."""
    backend = CudaBackend(a_target(nvrtc="13.0.88", arch="sm_61"), 1)
    outcome = backend.compile(a_candidate(), tmp_path)
    backend.close()
    assert isinstance(outcome, Incident)
    assert outcome.kind == "compiler"
    assert "gpu-architecture" in outcome.reason


@pytest.mark.nvrtc
def test_shared_memory_of_both_kinds_counts_against_the_limit(tmp_path):
    """Declared in the source and given at launch."""
    backend = CudaBackend(a_target(nvrtc="13.0.88", smem_per_block_bytes=1000), 1)
    outcome = backend.compile(a_candidate(smem_bytes=512), tmp_path)
    backend.close()
    assert outcome == Failure("constraints", "smem_bytes 1,024 > 1,000 a block may have on sm_90")


@pytest.mark.nvrtc
def test_a_launch_without_a_block_is_refused(compilers, tmp_path):
    """Nobody else says how many threads there are."""
    outcome = compilers.compile(a_candidate(block=None), tmp_path)
    assert isinstance(outcome, Failure)
    assert outcome.kind == "launch"


@pytest.mark.nvrtc
def test_a_cubin_is_kept_and_needs_no_compiler_then(tmp_path):
    """The next study starts no process."""
    made = []
    for _ in range(2):
        backend = CudaBackend(TARGET, 1, BinaryCache(tmp_path / "binaries"))
        made.append(backend.compile(a_candidate(), tmp_path))
        started = backend._sessions[0]._process is not None  # white box: nothing else tells
        backend.close()
        assert started == (len(made) == 1)
    assert made[0] == made[1]


@pytest.mark.nvrtc
def test_a_full_disk_is_an_incident(compilers, tmp_path, monkeypatch):
    """The machine's fault."""

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_text", full)
    assert compilers.compile(a_candidate(), tmp_path).kind == "disk full"


def test_a_target_without_nvrtc_has_no_cuda_backend():
    """Its binaries could not be told from another version's."""
    with pytest.raises(DeviceError, match="names no nvrtc"):
        CudaBackend(a_target(), 1)


@pytest.mark.parametrize(("arch", "exact"), [("sm_80", "sm_80"), ("sm_90", "sm_90a"), ("sm_120", "sm_120a")])
def test_newer_chips_get_their_own_instructions(arch, exact):
    """wgmma is in sm_90a only."""
    assert exact_arch(arch) == exact


def test_the_line_of_an_nvrtc_error_is_its_first():
    """Not the source around it, nor the count at the end."""
    log = 'kernel.cu(3): error: identifier "x" is undefined\n   y = x;\n       ^\n\n1 error detected in "kernel.cu".\n'
    assert first_useful_line(CompileError(log)) == 'kernel.cu(3): error: identifier "x" is undefined'
    assert first_useful_line(RuntimeError("no library")) == "RuntimeError: no library"


@pytest.mark.nvrtc
def test_opening_loads_the_compiler_only():
    """So that no candidate pays for it."""
    assert compile_source({})["ok"]


SASS = """
        .section        .text.k,"ax",@progbits
k:
        /*0000*/                   LDC R1, c[0x0][0x28] ;
        /*0010*/               @P0 LDG.E.128 R4, desc[UR6][R2.64] ;
        /*0020*/              @!PT LDGSTS.E [R5], desc[UR6][R2.64] ;
        /*0030*/              @UP0 UMOV UR4, 0x400 ;
        /*10040*/                  FFMA R5, R0, R5, 1 ;
        /*10050*/                  FFMA R6, R0, R5, 1 ;
"""


def test_instructions_are_counted_by_family():
    """With or without a predicate, whatever follows the dot."""
    assert mix_of(SASS) == {"FFMA": 2, "LDC": 1, "LDG": 1, "LDGSTS": 1, "UMOV": 1}


@pytest.mark.nvrtc
@pytest.mark.triton
def test_the_mix_of_a_real_cubin_shows_its_work(compilers, tmp_path):
    """Triton's package brings the disassembler."""
    mix = instruction_mix(compilers.compile(a_candidate(), tmp_path).path)
    assert mix["FFMA"] == 1
    assert {"LDG", "STS", "LDS", "STG", "BAR", "EXIT"} <= mix.keys()


def test_without_a_disassembler_the_mix_is_unknown(tmp_path, monkeypatch):
    """Absent, not empty."""
    monkeypatch.setattr(instructions, "find_disassembler", lambda: None)
    assert instruction_mix(tmp_path / "k.cubin") is None
    monkeypatch.setattr(instructions, "find_disassembler", lambda: "/bin/false")
    assert instruction_mix(tmp_path / "k.cubin") is None


@pytest.mark.parametrize(
    ("type_", "value", "made"),
    [("i32", -5, np.int32(-5)), ("i64", 2**40, np.int64(2**40)), ("f32", 0.5, np.float32(0.5))],
)
def test_a_number_is_given_in_its_type(type_, value, made):
    """A kernel reads as many bytes as its type has."""
    found = number(Argument("n", type_, value))
    assert (found, found.dtype) == (made, made.dtype)


@pytest.mark.parametrize(("type_", "value", "said"), [("i32", 2**31, "does not fit i32"), ("f64", 1, "has type f64")])
def test_a_number_that_cannot_be_given_is_a_launch_error(type_, value, said):
    """Neither wrapped around nor guessed."""
    with pytest.raises(LaunchError, match=said):
        number(Argument("n", type_, value))


@pytest.mark.nvrtc
def test_the_version_of_nvrtc_is_known_in_full():
    """13.0 would not tell 13.0.48 from 13.0.88; where only a toolkit brings it, it is asked."""
    assert re.fullmatch(r"1[23]\.\d+(\.\d+)?", gpu_target.nvrtc_version())


def test_an_nvrtc_of_a_toolkit_is_asked_and_a_missing_one_is_none(monkeypatch):
    """No package by name: cuda.bindings looks for the library."""

    def no_package(name):
        raise importlib.metadata.PackageNotFoundError(name)

    nvrtc = SimpleNamespace(nvrtcVersion=lambda: (0, 12, 8))
    monkeypatch.setattr(gpu_target.importlib.metadata, "version", no_package)
    monkeypatch.setitem(sys.modules, "cuda", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "cuda.bindings", SimpleNamespace(nvrtc=nvrtc))
    assert gpu_target.nvrtc_version() == "12.8"
    monkeypatch.setitem(sys.modules, "cuda.bindings", None)
    assert gpu_target.nvrtc_version() is None


@pytest.mark.parametrize(
    ("nvrtc", "backends", "notes"), [("13.0.88", {"triton", "cuda"}, set()), (None, {"triton"}, {"nvrtc"})]
)
def test_a_missing_nvrtc_takes_only_cuda_from_a_gpu_and_is_said(monkeypatch, nvrtc, backends, notes):
    """Triton's templates are tuned all the same."""
    monkeypatch.setattr(gpu_target, "gpu_target", lambda index: a_target(nvrtc=nvrtc))
    host = wiring.open_host("cuda", settings.read())
    assert host.backends == backends
    assert host.notes.keys() == notes
    assert all("kerntune[gpu]" in note for note in host.notes.values())
