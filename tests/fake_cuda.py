"""A CUDA driver that runs nothing (fake_cuda.c), and torch tensors of the processor that pretend to lie on a GPU."""

from __future__ import annotations

import ctypes
import subprocess
from dataclasses import replace
from pathlib import Path

from kerntune.templates.template import Argument, Launch
from kerntune.tuner.backends.artifact import Artifact
from kerntune.tuner.ops.cuda_driver import CudaDriver

CONTEXT = 0x7F0000000100
"""Of device 0, as the fake has it; that of device 1 is the next number."""


class Launched(ctypes.Structure):
    """What cuLaunchKernel was given."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("function", "stream", "context")),
        ("grid", ctypes.c_uint * 3),
        ("block", ctypes.c_uint * 3),
        ("shared", ctypes.c_uint),
        ("parameters", ctypes.c_uint64 * 8),
    ]


class FakeCuda:
    """The library, what it was asked for, and the driver over it."""

    def __init__(self, folder: Path) -> None:
        library = folder / "fake_cuda.so"
        source = Path(__file__).with_name("fake_cuda.c")
        subprocess.run(["cc", "-O1", "-shared", "-fPIC", source, "-o", library], check=True)
        self.library = ctypes.CDLL(str(library))
        self.library.fake_enter.argtypes = [ctypes.c_void_p]
        self.library.fake_current.restype = ctypes.c_void_p
        self.library.fake_capture.argtypes = [ctypes.c_uint64]
        self.library.fake_launch.restype = ctypes.POINTER(Launched)
        self.library.fake_zero.restype = ctypes.c_uint64
        self.driver = CudaDriver(self.library)
        self.cubin = folder / "kernel.cubin"
        self.cubin.write_bytes(b"cubin")

    @property
    def launches(self) -> list[Launched]:
        return [self.library.fake_launch(place).contents for place in range(self.library.fake_launched())]

    @property
    def zeroed(self) -> list[int]:
        """Addresses, in order."""
        return [self.library.fake_zero(place) for place in range(self.library.fake_zeroed())]

    def artifact(self, *names: str, **changes: object) -> Artifact:
        """A kernel that takes arrays of these names and the number 64."""
        arguments = (*(Argument(name, "*bf16") for name in names), Argument("M", "i32", 64))
        launch = Launch("gemm", arguments, (4, 2, 1), workspace=dict(changes.pop("workspace", {})))
        return replace(Artifact("triton", self.cubin, launch, threads_per_block=128, smem_bytes=60000), **changes)


def pretend_library(index: int = 0):
    """The tensors of the processor as those of GPU `index`."""
    import torch
    from kerntune.tuner.ops.torch_arrays import TorchLibrary

    class PretendLibrary(TorchLibrary):
        def __init__(self) -> None:
            self.handle, self.made = 0x1000, []

        def view(self, name, array):
            return replace(super().view(name, array), device=f"cuda:{index}")

        def empty(self, shape, dtype, device):
            return super().empty(shape, dtype, "cpu")

        def stream(self, index):
            return self.handle

        def scratch(self, size, index, captured):
            array = torch.empty(size, dtype=torch.uint8)
            self.made.append((array, captured))
            return array, array.data_ptr()

    return PretendLibrary()
