"""Studies that find their kernels in the binary cache, with real compilers."""

import json

import kernels
import numpy as np
import pytest
from builders import a_target
from kerntune.cache.records import Failure, Incident
from kerntune.templates.catalogue import op_named, templates_named
from kerntune.tuner.backends import binary_cache
from kerntune.tuner.backends.artifact import Artifact
from kerntune.tuner.backends.binary_cache import BinaryCache
from kerntune.tuner.backends.compilers import find_compiler
from kerntune.tuner.backends.cpu import CpuBackend
from kerntune.tuner.backends.triton import TritonBackend


def a_backend(compiler, folder):
    return CpuBackend(compiler, BinaryCache(folder / "binaries"))


def study(folder, name):
    """A study's own folder."""
    made = folder / name
    made.mkdir()
    return made


@pytest.mark.compiler
def test_a_second_study_compiles_nothing(tmp_path, monkeypatch):
    """Its binary lies in its own folder: the first study's is gone, and the cache may be emptied."""
    compiler = find_compiler(None)
    candidate = kernels.candidate(kernels.source(kernels.RIGHT))
    first = a_backend(compiler, tmp_path).compile(candidate, study(tmp_path, "first"))
    monkeypatch.setattr("subprocess.run", None)  # whoever compiles now raises
    second = a_backend(compiler, tmp_path).compile(candidate, study(tmp_path, "second"))
    assert isinstance(second, Artifact)
    assert second.path.parent == tmp_path / "second"
    assert second.path.read_bytes() == first.path.read_bytes()


@pytest.mark.compiler
def test_another_source_compiler_or_flag_is_compiled(tmp_path):
    """The key is everything that made the binary."""
    compiler = find_compiler(None)
    candidate = kernels.candidate(kernels.source(kernels.RIGHT))
    other = kernels.candidate(kernels.source(kernels.RIGHT, m=65))
    folder = study(tmp_path, "study")
    a_backend(compiler, tmp_path).compile(candidate, folder)
    a_backend(compiler, tmp_path).compile(other, folder)
    a_backend(type(compiler)(compiler.command, "another version", compiler.openmp), tmp_path).compile(candidate, folder)
    a_backend(type(compiler)(compiler.command, compiler.version, not compiler.openmp), tmp_path).compile(
        candidate, folder
    )
    assert BinaryCache(tmp_path / "binaries").usage().entries == 4


@pytest.mark.compiler
def test_a_source_that_does_not_compile_is_not_kept(tmp_path):
    """It is asked again: what failed may have been mended."""
    backend = a_backend(find_compiler(None), tmp_path)
    broken = kernels.candidate(kernels.source("return no_such_name;"))
    assert isinstance(backend.compile(broken, study(tmp_path, "study")), Failure)
    assert BinaryCache(tmp_path / "binaries").usage().entries == 0


@pytest.mark.compiler
def test_a_disk_that_fills_while_a_binary_is_kept_is_an_incident(tmp_path, monkeypatch):
    """The machine's fault, as for every other file."""

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(binary_cache.os, "fsync", full)
    candidate = kernels.candidate(kernels.source(kernels.RIGHT))
    outcome = a_backend(find_compiler(None), tmp_path).compile(candidate, study(tmp_path, "study"))
    assert isinstance(outcome, Incident)
    assert outcome.kind == "disk full"


@pytest.mark.triton
def test_a_cubin_from_the_cache_has_all_its_facts_and_starts_no_process(tmp_path):
    """Registers, spills, shared memory and threads as on the day it was compiled."""
    (template,) = templates_named("gemm", ["triton_tiled"])
    of, target = op_named("gemm").problem("gpu", m=1000, n=1002, k=1001), a_target()
    feasible = template.feasible(of, target)
    (config,) = feasible.sample(np.random.default_rng(3), 1)
    candidate = template.candidate(feasible, of, target, config)
    made = []
    for name in ("first", "second"):
        backend = TritonBackend(target, 1, BinaryCache(tmp_path / "binaries"))
        made.append(backend.compile(candidate, study(tmp_path, name)))
        started = [session._process is not None for session in backend._sessions]  # white box: nothing else tells
        backend.close()
        assert started == [name == "first"]
    first, second = (
        json.loads(json.dumps(artifact.as_dict()).replace(f"/{name}/", "/"))
        for artifact, name in zip(made, ("first", "second"), strict=True)
    )
    assert first == second
    assert made[0].path.read_bytes() == made[1].path.read_bytes()


@pytest.mark.triton
def test_a_kernel_from_the_cache_is_refused_where_it_does_not_fit(tmp_path):
    """The limits are judged by the target at hand, not kept."""
    (template,) = templates_named("gemm", ["triton_tiled"])
    of, target = op_named("gemm").problem("gpu", m=256, n=384, k=512), a_target()
    feasible = template.feasible(of, target)
    candidate = template.candidate(feasible, of, target, template.seed_configs(feasible, of, target)[0])
    outcomes = []
    for chip in (target, a_target(smem_per_block_bytes=1000)):
        backend = TritonBackend(chip, 1, BinaryCache(tmp_path / "binaries"))
        outcomes.append(backend.compile(candidate, tmp_path))
        backend.close()
    assert isinstance(outcomes[0], Artifact)
    assert outcomes[1].kind == "constraints"
