"""What a compiler makes of a candidate, as text for people: PTX, or the machine's own instructions."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Literal, TypeVar

from ...cache.records import Failure, Incident
from ...spaces.errors import DeviceError, UsageError
from ...templates.template import Candidate
from .artifact import Artifact, Backend
from .instructions import DISASSEMBLE_TIMEOUT_S, find_disassembler

T = TypeVar("T", str, Artifact)

Form = Literal["ptx", "sass"]


def assembly(backend: Backend, candidate: Candidate, form: Form) -> str:
    """The text of a candidate's kernels in this form; the backend is closed.

    Raises: UsageError where there is no such form of it, DeviceError where a tool is missing or refuses the source.
    """
    with closing(backend), tempfile.TemporaryDirectory(prefix="kerntune-") as folder:
        if form == "ptx":
            return _checked(_ptx(backend, candidate, Path(folder)))
        program, options = _disassembler(candidate.backend)
        artifact = _checked(backend.compile(candidate, Path(folder)))
        return "\n".join(_disassembled([program, *options, str(one.path)]) for one in (*artifact.before, artifact))


def _ptx(backend: Backend, candidate: Candidate, folder: Path) -> str | Failure | Incident:
    from .gpu_backend import GpuBackend

    if not isinstance(backend, GpuBackend):
        raise UsageError(f"{candidate.template} runs on a processor and has no PTX: --sass shows its instructions.")
    return backend.ptx(candidate, folder)


def _disassembler(backend: str) -> tuple[str, tuple[str, ...]]:
    if backend == "cpu":
        program = shutil.which("objdump")
        if program is None:
            raise DeviceError("objdump is not on PATH: install it (Debian: apt-get install binutils).")
        return program, ("-d", "--no-show-raw-insn", "--section=.text")
    program = find_disassembler()
    if program is None:
        raise DeviceError(
            "nvdisasm is neither on PATH nor in Triton's package: install the CUDA toolkit, or pip install triton."
        )
    return program, ("-c",)


def _disassembled(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=DISASSEMBLE_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DeviceError(f"{command[0]} did not answer: {error}.") from None
    if done.returncode != 0:
        raise DeviceError(f"{command[0]} ended with {done.returncode}: {done.stderr.strip()[:300]}")
    return done.stdout


def _checked(made: T | Failure | Incident) -> T:
    if isinstance(made, Failure | Incident):
        raise DeviceError(f"it does not compile here: {made.kind}: {made.reason}")
    return made
