"""Triton templates for NVIDIA GPUs, compiled ahead of time in helper processes that see no GPU."""

from __future__ import annotations

import errno
import signal
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from queue import LifoQueue
from typing import Any

from ...cache.records import Failure, Incident
from ...spaces.canonical import digest
from ...spaces.errors import DeviceError
from ...spaces.targets import Gpu, Target
from ...templates.template import Argument, Candidate, Launch
from ..sessions.session import Crash, Message, Session, TimedOut
from .artifact import Artifact, ChildSpec

COMPILE_TIMEOUT_S = 60.0

START_TIMEOUT_S = 120.0
"""A compile child imports Triton from a disk that may be cold: no candidate's fault."""

WIDEST_LOAD_BYTES = 16
"""Divisibility beyond the widest load, 16 elements of one byte, changes no code."""

ENVIRONMENT: Mapping[str, str | None] = {
    "CUDA_VISIBLE_DEVICES": "",  # compiling needs no GPU, and must not disturb the one that measures
    "TRITON_DISABLE_LINE_INFO": "1",  # else the path of the rendered file is part of the binary
    "TRITON_DEFAULT_FP_FUSION": "1",  # pinned: Triton 3.10 changes the default
    "TRITON_DUMP_PTXAS_LOG": "1",  # registers and spills
    "TRITON_ALWAYS_COMPILE": "1",  # a cache hit has no ptxas log
    "TRITON_STORE_BINARY_ONLY": "1",
    # What a user may have set for debugging changes the code: it is not handed on.
    **dict.fromkeys(("TRITON_INTERPRET", "TRITON_KERNEL_OVERRIDE", "TRITON_F32_DEFAULT"), None),
    **dict.fromkeys(("PTXAS_OPTIONS", "DISABLE_PTXAS_OPT", "NVPTX_ENABLE_DUMP"), None),
}


def gpu_child_spec(index: int, uuid: str) -> ChildSpec:
    """The measuring child of the GPU that CUDA counts as `index`, which no other GPU's UUID is."""
    return ChildSpec(f"cuda:{index}", uuid)


class TritonBackend:
    """Compiles rendered Triton sources, one helper process per worker, started when first needed."""

    name = "triton"

    def __init__(self, target: Target, workers: int) -> None:
        if not isinstance(target.device, Gpu):
            raise DeviceError(f"Triton templates run on a GPU, and {target.name} is none.")
        self.gpu = target.device
        self._triton = target.toolchain.triton
        # Last in, first out: a few candidates at a time do not start every helper.
        self._idle: LifoQueue[Session] = LifoQueue()
        self._sessions = [Session(ENVIRONMENT, {"do": "compile"}, START_TIMEOUT_S) for _ in range(max(1, workers))]
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

    def close(self) -> None:
        for session in self._sessions:
            session.close()

    def _compile(self, candidate: Candidate, launch: Launch, folder: Path) -> Artifact | Failure | Incident:
        """One kernel of the candidate's source."""
        request = self._request(candidate, launch, folder)
        try:
            Path(request["source"]).write_text(candidate.source)
        except OSError as error:
            return Incident("disk full" if error.errno == errno.ENOSPC else "compiler", f"{folder}: {error}")
        session = self._idle.get()
        try:
            reply = session.ask(request, COMPILE_TIMEOUT_S)
        finally:
            self._idle.put(session)
        made = _verdict(reply)
        return made if not isinstance(made, dict) else self._artifact(launch, Path(request["cubin"]), made)

    def _request(self, candidate: Candidate, launch: Launch, folder: Path) -> Message:
        arguments = launch.arguments
        request: Message = {
            "do": "compile",
            "entry": launch.entry,
            "signature": {argument.name: argument.type for argument in arguments},
            "divisibility": {argument.name: _divisibility(argument) for argument in arguments},
            "options": dict(launch.options),
            "arch": int(self.gpu.arch.removeprefix("sm_")),
        }
        name = f"{candidate.template}-{digest([candidate.source, request, self._triton])}"
        files = {"source": folder / f"{name}{candidate.suffix}", "cubin": folder / f"{name}.cubin"}
        return {**request, **{key: str(path) for key, path in files.items()}, "cache": str(folder / "triton")}

    def _artifact(self, launch: Launch, cubin: Path, made: Message) -> Artifact | Failure:
        if refusal := self._refusal(made):
            return Failure("constraints", refusal)
        if made["global_scratch_size"] or made["profile_scratch_size"]:
            return Failure("compile", "the kernel needs a workspace in global memory, which kerntune does not give it")
        return Artifact(
            self.name,
            cubin,
            launch,
            threads_per_block=32 * made["num_warps"],
            smem_bytes=made["shared"],
            registers=made.get("registers", 0),
            spill_bytes=made.get("spill_bytes", 0),
        )

    def _refusal(self, made: Message) -> str | None:
        """Why a compiled kernel surely cannot be launched, with both numbers, or None."""
        limit = self.gpu.smem_per_block_bytes
        if made["shared"] > limit:
            return f"smem_bytes {made['shared']:,} > {limit:,} a block may have on {self.gpu.arch}"
        registers = made.get("registers", 0) * 32 * made["num_warps"]
        if registers > self.gpu.registers_per_sm:
            return f"registers {registers:,} of a block > {self.gpu.registers_per_sm:,} of a multiprocessor"
        return None


def _divisibility(argument: Argument) -> int:
    """The largest power of two up to 16 that divides an argument: what lets the compiler widen loads."""
    if argument.value is None:
        return WIDEST_LOAD_BYTES  # arrays come from the allocator, which aligns to 256 bytes
    return min(WIDEST_LOAD_BYTES, argument.value & -argument.value)


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
        # The child's own faults come as kind runtime: Triton is missing or broken, no source was looked at.
        return Failure(**failure) if failure["kind"] == "compile" else Incident("compiler", failure["reason"])
    return reply
