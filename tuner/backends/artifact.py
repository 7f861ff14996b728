"""Artifact: what a compiler made of a Candidate, and the Backend port that makes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from ...cache.records import Failure, Incident
from ...templates.template import Argument, Candidate, Launch


@dataclass(frozen=True, slots=True)
class Artifact:
    """A binary on this machine's disk and how to call it."""

    backend: str
    path: Path
    launch: Launch
    threads_per_block: int = 0  # GPU only
    smem_bytes: int = 0  # shared memory of one block, given at launch
    static_smem_bytes: int = 0  # shared memory of one block, declared in the source
    registers: int = 0  # of one thread
    spill_bytes: int = 0  # of one thread
    before: tuple[Artifact, ...] = ()  # of `launch.before`, in order

    @property
    def uses(self) -> dict[str, int] | None:
        """What a compiler for GPUs says of the kernel: bytes of shared memory per block, registers and spills per
        thread; None where it says nothing."""
        if not self.threads_per_block:
            return None
        return {
            "threads_per_block": self.threads_per_block,
            "smem_bytes": self.smem_bytes + self.static_smem_bytes,
            "registers": self.registers,
            "spill_bytes": self.spill_bytes,
        }

    def given(self, numbers: Mapping[str, float]) -> Artifact:
        """The same binary, launched with these numbers in place of its own, by argument."""
        arguments = tuple(replace(a, value=numbers[a.name]) if a.name in numbers else a for a in self.launch.arguments)
        before = tuple(artifact.given(numbers) for artifact in self.before)
        return replace(self, launch=replace(self.launch, arguments=arguments), before=before)

    def as_dict(self) -> dict[str, Any]:
        launch = asdict(self.launch) | {"before": []}  # each of `before` has its own
        return asdict(self) | {"path": str(self.path), "launch": launch, "before": [a.as_dict() for a in self.before]}

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Artifact:
        launch = dict(data["launch"])
        launch["arguments"] = tuple(Argument.from_dict(argument) for argument in launch["arguments"])
        block = launch["block"]
        launch |= {"grid": tuple(launch["grid"]), "block": block and tuple(block), "before": ()}
        before = tuple(Artifact.from_dict(artifact) for artifact in data["before"])
        return Artifact(**{**data, "path": Path(data["path"]), "launch": Launch(**launch), "before": before})


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """How the measuring child of a device is started."""

    device: str  # which Device tuner/measure/devices.py opens: "cpu", "cuda:0"
    lock: str  # identity of the device among all programs of the machine: "cpu", a GPU's UUID
    environment: Mapping[str, str | None] = field(default_factory=dict)  # None: not handed on to the child


class Backend(Protocol):
    """Makes artifacts of candidates for one kind of device."""

    name: str

    def compile(self, candidate: Candidate, folder: Path) -> Artifact | Failure | Incident:
        """Compile into `folder`. Safe to call from several threads. Never raises for the candidate's faults."""

    def close(self) -> None:
        """End helper processes. Idempotent."""
