"""Triton templates for NVIDIA GPUs, compiled ahead of time in processes that see no GPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ...cache.records import Failure
from ...spaces.targets import Target
from ...templates.template import Argument, Launch
from ...templates.tensor_map import TensorMap
from ..sessions.session import Message
from .artifact import Artifact, ChildSpec
from .binary_cache import BinaryCache
from .gpu_backend import GpuBackend

WIDEST_LOAD_BYTES = 16
"""Divisibility beyond the widest load, 16 elements of one byte, changes no code."""

ENVIRONMENT: Mapping[str, str | None] = {
    "CUDA_VISIBLE_DEVICES": "",  # compiling needs no GPU, and must not disturb the one that measures
    "TRITON_DISABLE_LINE_INFO": "1",  # else the path of the rendered file is part of the binary
    "TRITON_DEFAULT_FP_FUSION": "1",  # pinned: Triton 3.10 changes the default
    "TRITON_DUMP_PTXAS_LOG": "1",  # registers and spills
    "TRITON_ALWAYS_COMPILE": "1",  # a cache hit has no ptxas log
    "TRITON_STORE_BINARY_ONLY": "1",
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",  # LLVM in huge pages: 8 % more kernels a second on 16 cores
    # What a user may have set changes the code, or whose compiler makes it: it is not handed on, as no key names it.
    **dict.fromkeys(("TRITON_INTERPRET", "TRITON_KERNEL_OVERRIDE", "TRITON_F32_DEFAULT"), None),
    **dict.fromkeys(("PTXAS_OPTIONS", "DISABLE_PTXAS_OPT", "NVPTX_ENABLE_DUMP"), None),
    **dict.fromkeys(("TRITON_PTXAS_PATH", "TRITON_PTXAS_BLACKWELL_PATH", "TRITON_LIBDEVICE_PATH"), None),
    **dict.fromkeys(("TRITON_OVERRIDE_ARCH", "TRITON_MOCK_PTX_VERSION", "TRITON_DEBUG", "TRITON_ENABLE_ASAN"), None),
    **dict.fromkeys(("TRITON_INSTRUMENTATION_MODE", "TRITON_FRONT_END_DEBUGGING", "USE_IR_LOC"), None),
    **dict.fromkeys(("DISABLE_LLVM_OPT", "DISABLE_MMA_V3", "DISABLE_MMA_V5", "LLVM_PASS_PLUGIN_PATH"), None),
    **dict.fromkeys(("TRITON_PREFER_TMEM_16x256_LAYOUT", "TRITON_ENABLE_EXPERIMENTAL_CONSAN"), None),
}


_SPELT = {"f32": "fp32"}
"""Numbers that Triton names otherwise than a Launch does."""


def gpu_child_spec(index: int, uuid: str) -> ChildSpec:
    """The measuring child of the GPU that CUDA counts as `index`, which no other GPU's UUID is."""
    return ChildSpec(f"cuda:{index}", uuid)


class TritonBackend(GpuBackend):
    """Compiles rendered Triton sources."""

    name = compiler = "triton"
    environment = ENVIRONMENT

    def __init__(self, target: Target, workers: int, cache: BinaryCache | None = None) -> None:
        super().__init__(target, target.toolchain.triton, workers, cache)

    def _request(self, launch: Launch) -> Message:
        return {
            "entry": launch.entry,
            "signature": {a.name: _SPELT.get(a.type, a.type) for a in launch.arguments},
            "divisibility": {argument.name: _divisibility(argument) for argument in launch.arguments},
            "options": dict(launch.options),
            "arch": int(self.gpu.arch.removeprefix("sm_")),
        }

    def _artifact(self, launch: Launch, cubin: Path, made: Message) -> Artifact | Failure:
        if made["global_scratch_size"] or made["profile_scratch_size"]:
            return Failure("compile", "the kernel needs a workspace in global memory, which kerntune does not give it")
        mapped = _mapped(launch, made.get("tensor_maps", ()))
        if isinstance(mapped, Failure):
            return mapped
        return Artifact(
            self.name,
            cubin,
            mapped,
            threads_per_block=32 * made["num_warps"],
            smem_bytes=made["shared"],
            registers=made.get("registers", 0),
            spill_bytes=made.get("spill_bytes", 0),
        )


def _mapped(launch: Launch, made: Sequence[Message]) -> Launch | Failure:
    """The launch with the box and swizzle the compiler chose for each descriptor; without a box where it made no TMA.

    Triton tells them of all descriptors in order, or of none: chips before sm_90 have no TMA.
    """
    wrong = next((argument for argument in launch.arguments if not _agree(argument)), None)
    if wrong is not None:
        return Failure("launch", f"{wrong.name} has type {wrong.type}, but its tensor map is {wrong.tensor}")
    tensors = [argument.tensor for argument in launch.arguments if argument.tensor is not None]
    if made and len(made) != len(tensors):
        return Failure("launch", f"{launch.entry} takes {len(made)} descriptors, its launch gives {len(tensors)}")
    told = iter(made or [{"box": (), "swizzle": "none"}] * len(tensors))
    arguments = tuple(
        argument if argument.tensor is None else replace(argument, tensor=_boxed(argument.tensor, next(told)))
        for argument in launch.arguments
    )
    return replace(launch, arguments=arguments)


def _agree(argument: Argument) -> bool:
    """Whether an argument's type is that of a descriptor of its tensor map, or of no descriptor where it has none."""
    tensor, block = argument.tensor, argument.type.rpartition("[")[2]
    if tensor is None:
        return not argument.type.startswith("tensordesc<")
    same_rank = len(tensor.shape) == block.count(",") + 1
    return same_rank and argument.type.startswith(tensor.triton_type().removesuffix("]>"))


def _boxed(tensor: TensorMap, told: Message) -> TensorMap:
    return replace(tensor, box=tuple(told["box"]), swizzle=told["swizzle"])


def _divisibility(argument: Argument) -> int:
    """The largest power of two up to 16 that divides an argument: what lets the compiler widen loads."""
    if argument.tensor is not None:
        return 1  # nothing is known of it, as in Triton's own launcher
    if argument.value is None:
        return WIDEST_LOAD_BYTES  # arrays come from an allocator that aligns to more; the check places them so
    return min(WIDEST_LOAD_BYTES, argument.value & -argument.value) if isinstance(argument.value, int) else 1
