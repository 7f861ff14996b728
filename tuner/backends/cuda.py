"""CUDA C++ templates for NVIDIA GPUs, compiled ahead of time by NVRTC in processes that see no GPU."""

from __future__ import annotations

from math import prod
from pathlib import Path

from ...cache.records import Failure
from ...spaces.targets import Target
from ...templates.template import Launch
from ..sessions.session import Message
from .artifact import Artifact
from .binary_cache import BinaryCache
from .gpu_backend import GpuBackend

OPTIONS = ("--std=c++17", "--ptxas-options=-v")
"""`-v` puts registers and spills into NVRTC's log. No fast math: what a template rounds away, it says in its source."""

FIRST_OF_ITS_OWN = 90
"""From here on a chip has instructions that only code for exactly this architecture may use: wgmma needs sm_90a."""


class CudaBackend(GpuBackend):
    """Compiles rendered CUDA C++, one `extern "C"` kernel per launch. The target's toolchain names the NVRTC."""

    name = "cuda"
    compiler = "nvrtc"

    def __init__(self, target: Target, workers: int, cache: BinaryCache | None = None) -> None:
        super().__init__(target, target.toolchain.nvrtc, workers, cache)

    def _request(self, launch: Launch) -> Message:
        return {"entry": launch.entry, "arch": exact_arch(self.gpu.arch), "options": list(OPTIONS)}

    def _artifact(self, launch: Launch, cubin: Path, made: Message) -> Artifact | Failure:
        if launch.block is None:
            return Failure("launch", f"the template gives {launch.entry} no block: how many threads run it is unknown")
        return Artifact(
            self.name,
            cubin,
            launch,
            threads_per_block=prod(launch.block),
            smem_bytes=launch.smem_bytes,
            static_smem_bytes=made.get("static_smem_bytes", 0),
            registers=made.get("registers", 0),
            spill_bytes=made.get("spill_bytes", 0),
        )


def exact_arch(arch: str) -> str:
    """What NVRTC compiles for on this chip: `sm_90a` of sm_90, `sm_80` of sm_80."""
    return f"{arch}a" if int(arch.removeprefix("sm_")) >= FIRST_OF_ITS_OWN else arch
