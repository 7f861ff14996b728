"""The C compilers of this machine: $CC, cc, gcc, clang, then the one inside the `ziglang` wheel."""

from __future__ import annotations

import importlib.util
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ...spaces.errors import NoCompiler

BASE_FLAGS = ("-O3", "-march=native", "-std=gnu11", "-shared", "-fPIC")
INSTALL_HINT = (
    "install one (Debian: apt-get install gcc; any system: pip install ziglang) or name yours in CC. "
    "Lookups and serving work without it."
)


@dataclass(frozen=True, slots=True)
class Compiler:
    """A C compiler that answered when asked its version."""

    command: tuple[str, ...]
    version: str  # first line of --version
    openmp: bool

    @property
    def flags(self) -> tuple[str, ...]:
        return (*BASE_FLAGS, "-fopenmp") if self.openmp else BASE_FLAGS


def find_compiler(preferred: str | None) -> Compiler:
    """The first compiler that works. Raises: NoCompiler, which says what was tried and how to get one."""
    tried = []
    for command in _commands(preferred):
        version = _version(command)
        if version is not None:
            return Compiler(command, version, _has_openmp(command))
        tried.append(shlex.join(command))
    if preferred is not None:
        raise NoCompiler(f'CC names "{preferred}", which does not run. Unset it, or {INSTALL_HINT}')
    raise NoCompiler(f"no C compiler was found (tried {', '.join(tried)}): {INSTALL_HINT}")


def _commands(preferred: str | None) -> Iterator[tuple[str, ...]]:
    if preferred is not None:
        yield tuple(shlex.split(preferred))
        return  # whoever names a compiler does not want another one's figures
    yield from (("cc",), ("gcc",), ("clang",))
    if importlib.util.find_spec("ziglang") is not None:
        yield (sys.executable, "-m", "ziglang", "cc")


def _version(command: tuple[str, ...]) -> str | None:
    if not command or shutil.which(command[0]) is None:
        return None
    try:
        answer = subprocess.run([*command, "--version"], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = answer.stdout.splitlines()
    return lines[0].strip() if answer.returncode == 0 and lines else None


def _has_openmp(command: tuple[str, ...]) -> bool:
    """Whether a program with -fopenmp links: clang without libomp and zig do not."""
    with tempfile.TemporaryDirectory(prefix="kerntune-") as folder:
        source = Path(folder) / "probe.c"
        source.write_text("#include <omp.h>\nint probe(void) { return omp_get_max_threads(); }\n")
        probe = [*command, "-shared", "-fPIC", "-fopenmp", str(source), "-o", str(source.with_suffix(".so"))]
        try:
            return subprocess.run(probe, capture_output=True, timeout=60, check=False).returncode == 0
        except (OSError, subprocess.TimeoutExpired):
            return False
