"""What one core of a device does in a clock: a multiprocessor of a GPU, a core of a processor.

A target does not say it, and the analytic model (roofline.py) needs it. Clocks are taken for `CLOCK_MHZ`: estimates are
to be right up to a factor that is the same for all configs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..spaces.targets import Cpu, Gpu, Target
from .limits import MAX_REGISTERS_PER_THREAD, WARP_THREADS

Floats = NDArray[np.float64]

CLOCK_MHZ = {"gpu": 1700.0, "cpu": 3000.0}


@dataclass(frozen=True, slots=True)
class Multiprocessor:
    """Of one compute capability. Source: CUDA C++ Programming Guide, arithmetic instructions and compute capabilities;
    tensor_flops from the dense rates of the data sheets (T4, A100, RTX 3090, RTX 4090, H100, B200, RTX 5090)."""

    tensor_flops: int  # a clock, 16-bit inputs summed in fp32
    fp32_flops: int  # a clock, on the ordinary cores
    threads: int  # that can be there at once
    blocks: int  # that can be there at once
    smem_bytes: int  # shared memory
    warpgroups: bool = False  # 64 rows and four warps multiply straight from shared memory (wgmma)


_BY_ARCH = {
    75: Multiprocessor(1024, 128, 1024, 16, 64 << 10),
    80: Multiprocessor(2048, 128, 2048, 32, 164 << 10),
    86: Multiprocessor(512, 256, 1536, 16, 100 << 10),
    89: Multiprocessor(512, 256, 1536, 24, 100 << 10),
    90: Multiprocessor(4096, 256, 2048, 32, 228 << 10, warpgroups=True),
    100: Multiprocessor(8192, 256, 2048, 32, 228 << 10, warpgroups=True),
    120: Multiprocessor(512, 256, 1536, 24, 100 << 10),
}


def capability(device: Gpu) -> int:
    """Compute capability times ten."""
    return int(device.arch.removeprefix("sm_").rstrip("af"))


def multiprocessor(device: Gpu) -> Multiprocessor:
    """Of the newest compute capability listed that is not newer than the device's; of the oldest before that."""
    arch = capability(device)
    return _BY_ARCH[max((known for known in _BY_ARCH if known <= arch), default=min(_BY_ARCH))]


def cores(target: Target) -> int:
    """Cores that work at the same time: multiprocessors, or the threads a kernel runs with."""
    device = target.device
    return device.threads if isinstance(device, Cpu) else device.sm_count


def clock_mhz(target: Target) -> float:
    """Clocks in a µs."""
    return CLOCK_MHZ[target.kind]


SMEM_BYTES_A_CLOCK = 128.0
"""Of one multiprocessor: 32 banks of 4 bytes. Source: CUDA C++ Programming Guide."""

SYSTEM_SMEM_BYTES = 1024
"""Shared memory of every block that is the system's, from sm_80 on. Source: CUDA C++ Programming Guide."""


def resident_blocks(device: Gpu, warps: Floats, registers: Floats, smem_bytes: Floats) -> Floats:
    """Blocks that one multiprocessor holds at once, 1 or more; `registers` are a thread's.

    Source: CUDA C++ Programming Guide, occupancy: what fits by shared memory, registers, threads and blocks.
    """
    chip, threads = multiprocessor(device), warps * WARP_THREADS
    by_smem = chip.smem_bytes / (smem_bytes + SYSTEM_SMEM_BYTES)
    by_registers = device.registers_per_sm / (np.minimum(registers, MAX_REGISTERS_PER_THREAD) * threads)
    held = np.minimum(np.minimum(by_smem, by_registers), np.minimum(chip.threads / threads, chip.blocks))
    whole: Floats = np.floor(held)
    return np.maximum(whole, 1.0)
