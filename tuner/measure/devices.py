"""Which devices a measuring child can open."""

from __future__ import annotations

from ...spaces.errors import DeviceError
from .device import Device


def open_device(name: str) -> Device:
    """The device of a ChildSpec: `cpu`, or `cuda:0`. Raises: DeviceError."""
    if name == "cpu":
        from .cpu_device import CpuDevice

        return CpuDevice()
    if name.startswith("cuda:"):
        from .cuda_device import CudaDevice

        return CudaDevice(int(name.removeprefix("cuda:")))
    raise DeviceError(f'"{name}" is no device a child can open: cpu, or cuda:<number>.')
