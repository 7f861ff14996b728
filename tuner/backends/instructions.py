"""Which instructions a kernel is made of: tensor cores or not, asynchronous copies or not. 0.3 s each: for finalists.

The disassembler is the CUDA toolkit's on PATH, or the one that Triton's package brings.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

from .artifact import Artifact

DISASSEMBLE_TIMEOUT_S = 60.0

_INSTRUCTION = re.compile(r"^\s*/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P[0-9T]+\s+)?([A-Z][A-Z0-9_]*)", re.MULTILINE)


def find_disassembler() -> str | None:
    """Path of an nvdisasm, or None where there is none."""
    if found := shutil.which("nvdisasm"):
        return found
    triton = importlib.util.find_spec("triton")
    folders = triton.submodule_search_locations or () if triton is not None else ()
    bundled = (Path(folder) / "backends" / "nvidia" / "bin" / "nvdisasm" for folder in folders)
    return next((str(path) for path in bundled if path.exists()), None)


def inspected(artifact: Artifact) -> dict[str, Any] | None:
    """What an artifact's kernel uses, its instructions among it; None where nothing is known of it."""
    uses = artifact.uses
    mix = instruction_mix(artifact.path) if uses and artifact.path.suffix == ".cubin" else None
    return {**uses, "instructions": mix} if uses and mix else uses


def instruction_mix(cubin: Path) -> dict[str, int] | None:
    """How often each instruction stands in a cubin, most frequent first: HGMMA, HMMA, FFMA, LDGSTS …

    None where nothing can disassemble it.
    """
    program = find_disassembler()
    if program is None:
        return None
    command = [program, "-c", str(cubin)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=DISASSEMBLE_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return mix_of(done.stdout) if done.returncode == 0 else None


def mix_of(sass: str) -> dict[str, int]:
    """Instructions in nvdisasm's text by family, most frequent first: `LDG.E.128` counts as LDG."""
    return dict(Counter(_INSTRUCTION.findall(sass)).most_common())
