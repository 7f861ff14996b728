"""Target and its comparison."""

from dataclasses import replace

from builders import a_target
from kerntune.spaces import Target


def test_a_target_survives_its_own_json():
    """Client, server and store see the same target."""
    target = a_target()
    again = Target.from_dict(target.as_dict())
    assert again == target
    assert again.digest == target.digest


def test_another_compiler_is_a_soft_difference():
    """A time under another toolchain is stale, not another device's."""
    here = a_target()
    there = replace(here, toolchain=replace(here.toolchain, compiler="gcc 99"))
    comparison = here.compare(there)
    assert comparison.verdict == "soft"
    assert comparison.soft == (f"compiler: {here.toolchain.compiler} here, gcc 99 stored",)


def test_fewer_threads_are_a_hard_difference():
    """A time with one thread says nothing about two."""
    here = a_target("cpu")
    there = replace(here, device=replace(here.device, threads=here.device.threads + 1))
    assert here.compare(there).verdict == "hard"
    assert here.digest != there.digest
