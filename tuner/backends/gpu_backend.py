"""What the backends of NVIDIA GPUs share: compile processes that see no GPU, the binary cache, what a chip refuses."""

from __future__ import annotations

import signal
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from queue import LifoQueue
from typing import Any

from ...cache.records import Failure, Incident
from ...spaces.canonical import digest
from ...spaces.errors import DeviceError
from ...spaces.targets import Gpu, Target
from ...templates.template import Candidate, Launch
from ..sessions.session import Crash, Message, Session, TimedOut
from .artifact import Artifact
from .binary_cache import BinaryCache, Entry
from .trusted_folder import is_full, write_whole

COMPILE_TIMEOUT_S = 60.0

MAX_THREADS_PER_BLOCK = 1024
"""Of every chip so far. Source: CUDA C++ Programming Guide, technical specifications per compute capability."""

MAX_SPILL_BYTES = 512
"""Of a thread. Of 65 GEMM kernels that spill, among 500 at 4096³, the 24 beyond this took 4 to 330 times as long as the
best, and the fastest of the 65 twice (H200, 2026-11-22; docs/measured_facts.md): a margin for those that spill once."""

START_TIMEOUT_S = 120.0
"""A compile child imports its compiler from a disk that may be cold: no candidate's fault."""


class GpuBackend(ABC):
    """Compiles rendered sources, one process per worker, started when first needed."""

    name: str
    compiler: str  # which compiler the child runs: a name tuner/measure/child.py knows
    environment: Mapping[str, str | None] = {"CUDA_VISIBLE_DEVICES": ""}  # compiling must not disturb what is measured

    def __init__(self, target: Target, version: str | None, workers: int, cache: BinaryCache | None = None) -> None:
        if not isinstance(target.device, Gpu):
            raise DeviceError(f"{self.name} templates run on a GPU, and {target.name} is none.")
        if version is None:
            raise DeviceError(f"this target names no {self.compiler}, so its kernels could not be told from another's.")
        self.gpu = target.device
        self._version = version
        self._cache = cache
        # Last in, first out: a few candidates at a time do not start every process.
        self._idle: LifoQueue[Session] = LifoQueue()
        opening = {"do": "compile", "compiler": self.compiler}
        self._sessions = [Session(self.environment, opening, START_TIMEOUT_S) for _ in range(max(1, workers))]
        for session in self._sessions:
            self._idle.put(session)

    def compile(self, candidate: Candidate, folder: Path) -> Artifact | Failure | Incident:
        before = []
        for launch in candidate.launch.before:
            made = self._compile(candidate, launch, folder)
            if not isinstance(made, Artifact):
                return made
            before.append(made)
        made = self._compile(candidate, candidate.launch, folder)
        return replace(made, before=tuple(before)) if isinstance(made, Artifact) else made

    def ptx(self, candidate: Candidate, folder: Path) -> str | Failure | Incident:
        """The PTX of each kernel of a candidate, in order, for people to read; never from the cache."""
        texts = []
        for number, launch in enumerate((*candidate.launch.before, candidate.launch)):
            paths = {name: folder / f"{number}.{name}" for name in ("cubin", "ptx")}
            source = paths["cubin"].with_suffix(candidate.suffix)
            source.write_text(candidate.source)
            files = {"source": source, "cache": folder / self.compiler, **paths}
            request = {"do": "compile", "compiler": self.compiler, **self._request(launch)}
            made = self._ask({**request, **{name: str(path) for name, path in files.items()}})
            if not isinstance(made, dict):
                return made
            texts.append(paths["ptx"].read_text())
        return "\n".join(texts)

    def close(self) -> None:
        for session in self._sessions:
            session.close()
        if self._cache is not None:
            self._cache.close()

    @abstractmethod
    def _request(self, launch: Launch) -> Message:
        """All that the compiler is told beside the source: with it, the binary's identity. No path, no time."""

    @abstractmethod
    def _artifact(self, launch: Launch, cubin: Path, made: Message) -> Artifact | Failure:
        """The artifact of what the compiler said of a kernel, or why it cannot be launched by us."""

    def _compile(self, candidate: Candidate, launch: Launch, folder: Path) -> Artifact | Failure | Incident:
        """One kernel of the candidate's source, from the cache where it is there."""
        request = {"do": "compile", "compiler": self.compiler, **self._request(launch)}
        key = digest([candidate.source, candidate.suffix, request, self._version])
        cubin = folder / f"{candidate.template}-{key}.cubin"
        try:
            made = self._made(key, request, candidate, cubin)
        except OSError as error:
            return Incident("disk full" if is_full(error) else "compiler", f"{folder}: {error}")
        if not isinstance(made, dict):
            return made
        artifact = self._artifact(launch, cubin, made)
        refusal = self._refusal(artifact) if isinstance(artifact, Artifact) else None
        return Failure("constraints", refusal) if refusal else artifact

    def _made(self, key: str, request: Message, candidate: Candidate, cubin: Path) -> Message | Failure | Incident:
        """What the compiler says of a kernel, whose cubin lies in its place then. Raises: OSError."""
        # A copy in the study's folder: what another process removes from the cache does not take a kernel from us.
        if self._cache is not None and (entry := self._cache.get(key)):
            write_whole(cubin, entry.binary)
            return dict(entry.facts)
        source = cubin.with_suffix(candidate.suffix)
        source.write_text(candidate.source)
        files = {"source": str(source), "cubin": str(cubin), "cache": str(cubin.parent / self.compiler)}
        made = self._ask({**request, **files})
        if isinstance(made, dict) and self._cache is not None:
            self._cache.put(key, Entry(cubin.read_bytes(), made))
        return made

    def _ask(self, request: Message) -> Message | Failure | Incident:
        session = self._idle.get()
        try:
            return _verdict(session.ask(request, COMPILE_TIMEOUT_S))
        finally:
            self._idle.put(session)

    def _refusal(self, artifact: Artifact) -> str | None:
        """Why a compiled kernel surely cannot be launched, or cannot be fast, with both numbers, or None."""
        limit, smem_bytes = self.gpu.smem_per_block_bytes, artifact.smem_bytes + artifact.static_smem_bytes
        if smem_bytes > limit:
            return f"smem_bytes {smem_bytes:,} > {limit:,} a block may have on {self.gpu.arch}"
        if artifact.threads_per_block > MAX_THREADS_PER_BLOCK:
            return f"threads_per_block {artifact.threads_per_block:,} > {MAX_THREADS_PER_BLOCK:,}"
        if artifact.spill_bytes > MAX_SPILL_BYTES:
            return f"spill_bytes {artifact.spill_bytes:,} of a thread > {MAX_SPILL_BYTES}: it would run from memory"
        registers = artifact.registers * artifact.threads_per_block
        if registers > self.gpu.registers_per_sm:
            return f"registers {registers:,} of a block > {self.gpu.registers_per_sm:,} of a multiprocessor"
        return None


def _verdict(reply: Message | Crash | TimedOut) -> Message | Failure | Incident:
    """Whose fault a failed compile is: the candidate's, or the machine's."""
    if isinstance(reply, TimedOut):
        if reply.after_s >= START_TIMEOUT_S:
            return Incident("compiler", f"a compile process did not start within {reply.after_s:g} s")
        return Failure("timeout", f"compiling took longer than {reply.after_s:g} s")
    if isinstance(reply, Crash):
        if reply.signal == signal.SIGKILL:
            return Incident("memory killer", f"the compile process was {reply.detail}")
        return Failure("compile", f"the compiler crashed: {reply.detail}"[:500])
    if "incident" in reply:
        return Incident(**reply["incident"])
    if "failure" in reply:
        failure: dict[str, Any] = reply["failure"]
        # The child's own faults come as kind runtime: its compiler is missing or broken, no source was looked at.
        return Failure(**failure) if failure["kind"] == "compile" else Incident("compiler", failure["reason"])
    return reply
