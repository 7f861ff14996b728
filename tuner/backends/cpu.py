"""C templates on this machine's processor."""

from __future__ import annotations

import platform
import re
import subprocess
from pathlib import Path

from ...cache.records import Failure, Incident
from ...spaces.canonical import digest
from ...spaces.targets import Target, Toolchain
from ...templates.template import Candidate
from .artifact import Artifact, ChildSpec
from .binary_cache import BinaryCache, Entry
from .compilers import Compiler
from .cpu_target import flags_of, model_name, processor_facts, this_cpu
from .trusted_folder import is_full, write_whole

COMPILE_TIMEOUT_S = 60.0

HANDICAPS = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "MKL_ENABLE_INSTRUCTIONS", "MKL_DEBUG_CPU_TYPE")
"""Settings that some shells carry and that make a vendor library run kernels of another processor.

OPENBLAS_CORETYPE=Haswell halves numpy on a Zen 5 (docs/measured_facts.md): a ratio to that would be no ratio.
"""


def cpu_target(compiler: Compiler | None, threads: int | None) -> Target:
    """This machine's processor with its C compiler; without one, only lookups make sense of it."""
    toolchain = (
        Toolchain() if compiler is None else Toolchain(compiler=compiler.version, flags=" ".join(compiler.flags))
    )
    return Target(this_cpu(threads), toolchain)


def child_spec(target: Target) -> ChildSpec:
    """The measuring child runs kernels and the vendor library with the target's threads, each at its best."""
    threads = str(target.symbols()["threads"])
    pools = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS")
    return ChildSpec("cpu", "cpu", {**dict.fromkeys(pools, threads), **dict.fromkeys(HANDICAPS)})


class CpuBackend:
    """Compiles C sources with the machine's compiler, one process per source."""

    name = "cpu"

    def __init__(self, compiler: Compiler, cache: BinaryCache | None = None) -> None:
        self.compiler = compiler
        self._cache = cache
        self._identity = [*compiler.command, compiler.version, *compiler.flags, *_machine()]

    def compile(self, candidate: Candidate, folder: Path) -> Artifact | Failure | Incident:
        key = digest([candidate.source, candidate.suffix, self._identity])
        binary = folder / f"{candidate.template}-{key}.so"
        try:
            # A copy in the study's folder: what another process removes from the cache does not take a kernel from us.
            if self._cache is not None and (entry := self._cache.get(key)):
                write_whole(binary, entry.binary)
            elif fault := self._compile(candidate, binary):
                return fault
            elif self._cache is not None:
                self._cache.put(key, Entry(binary.read_bytes(), {}))
        except OSError as error:
            return Incident("disk full" if is_full(error) else "compiler", f"{folder}: {error}")
        return Artifact(self.name, binary, candidate.launch)

    def close(self) -> None:
        if self._cache is not None:
            self._cache.close()

    def _compile(self, candidate: Candidate, binary: Path) -> Failure | Incident | None:
        """Make the binary, or say why it cannot be made. Raises: OSError."""
        source = binary.with_suffix(candidate.suffix)
        command = [*self.compiler.command, *self.compiler.flags, str(source), "-o", str(binary), "-lm"]
        source.write_text(candidate.source)
        try:
            # A session of its own, so that Ctrl-C ends the study and not this compile with a false failure.
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=COMPILE_TIMEOUT_S, check=False, start_new_session=True
            )
        except subprocess.TimeoutExpired:
            return Failure("timeout", f"compiling took longer than {COMPILE_TIMEOUT_S:g} s")
        return _verdict(done.returncode, done.stderr) if done.returncode != 0 else None


def _machine() -> list[str]:
    """What -march=native and the linker look at: a cache in a home of several machines must tell them apart."""
    facts = processor_facts()
    return [model_name(facts), *flags_of(facts), platform.machine(), *platform.libc_ver()]


def _verdict(code: int, log: str) -> Failure | Incident:
    """Whose fault a failed compile is: the source's, or the machine's."""
    if "No space left on device" in log:
        return Incident("disk full", "the compiler found no space left on the device")
    if code == -9 or "Killed signal" in log:
        return Incident("memory killer", "the compiler was killed")
    errors = re.findall(r"error: .*", log) or log.strip().splitlines()[-1:] or [f"the compiler ended with {code}"]
    return Failure("compile", "; ".join(errors[:3])[:500])
