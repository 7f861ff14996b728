"""Which processor this is, and which compiler."""

import os

import pytest
from kerntune.spaces.errors import DeviceError, NoCompiler
from kerntune.tuner.backends.compilers import find_compiler
from kerntune.tuner.backends.cpu_target import cache_sizes, model_name, this_cpu


def test_this_processor_is_known():
    """Caches, cores and vectors are numbers that fit each other."""
    cpu = this_cpu(None)
    assert 0 < cpu.l1d_bytes < cpu.l2_bytes
    assert cpu.threads == cpu.cores == len(os.sched_getaffinity(0)) or cpu.cores < len(os.sched_getaffinity(0))
    assert cpu.vector_bytes in (16, 32, 64)


def test_threads_are_no_more_than_cores():
    """Asked for more, a kernel would wait for itself."""
    assert this_cpu(1).threads == 1
    assert this_cpu(10**6).threads == this_cpu(None).cores


def test_a_vague_name_is_told_apart_by_its_numbers():
    """Virtual machines say only `AMD EPYC`; Arm names no model at all."""
    assert model_name({"model name": "AMD EPYC", "cpu family": "26", "model": "2"}) == "AMD EPYC (family 26 model 2)"
    assert model_name({"CPU implementer": "0x41", "CPU part": "0xd40"}).endswith(
        "(CPU implementer 0x41 CPU part 0xd40)"
    )


def test_an_unknown_processor_is_an_error_never_an_empty_name():
    """Times that belong to nobody would be anyone's."""
    with pytest.raises(DeviceError, match="names no processor model"):
        model_name({})


def test_caches_are_read_level_by_level(tmp_path):
    """Instruction caches are none of ours; a missing L3 is 0; missing L1 and L2 are an error."""
    for index, (level, kind, size) in enumerate(
        [("1", "Data", "48K"), ("1", "Instruction", "32K"), ("2", "Unified", "1024K")]
    ):
        folder = tmp_path / f"index{index}"
        folder.mkdir()
        for name, text in (("level", level), ("type", kind), ("size", size)):
            (folder / name).write_text(f"{text}\n")
    assert cache_sizes(tmp_path) == {"l1d_bytes": 49152, "l2_bytes": 1048576, "l3_bytes": 0}
    with pytest.raises(DeviceError, match="does not name the caches"):
        cache_sizes(tmp_path / "index0")


def fake_compiler(folder, name, openmp):
    """A program that answers --version and pretends to compile."""
    path = folder / name
    path.write_text(
        f'#!/bin/sh\ncase "$*" in *--version) echo "{name} 1.0"; exit 0;; esac\nexit {0 if openmp else 1}\n'
    )
    path.chmod(0o755)
    return path


def test_compilers_are_tried_in_order(tmp_path, monkeypatch):
    """cc, gcc, clang: the first that answers."""
    monkeypatch.setenv("PATH", str(tmp_path))
    fake_compiler(tmp_path, "cc", openmp=False)
    found = find_compiler(None)
    assert (found.command, found.version, found.openmp) == (("cc",), "cc 1.0", False)
    assert "-fopenmp" not in found.flags


def test_the_preferred_compiler_is_the_only_one_tried(tmp_path):
    """With its own arguments."""
    preferred = fake_compiler(tmp_path, "mine", openmp=True)
    assert find_compiler(f"{preferred} -pipe").command == (str(preferred), "-pipe")
    with pytest.raises(NoCompiler, match="CC names"):
        find_compiler("/no/such/compiler")


def test_no_compiler_says_what_was_tried_and_how_to_get_one(monkeypatch):
    """One line."""
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(NoCompiler, match=r"tried cc, gcc, clang.*apt-get install gcc.*pip install ziglang"):
        find_compiler(None)
