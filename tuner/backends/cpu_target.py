"""Which processor this is, as this process may use it."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ...spaces.errors import DeviceError
from ...spaces.targets import Cpu

ISA_FLAGS = frozenset(
    (
        *("sse4_2", "avx", "avx2", "fma", "f16c", "avx_vnni"),
        *("avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vnni", "avx512_bf16", "avx512_fp16"),
        *("amx_tile", "amx_bf16", "amx_int8"),
        *("asimd", "asimdhp", "asimddp", "sve", "sve2", "bf16", "i8mm"),
    )
)
"""Flags of /proc/cpuinfo that change the code a compiler makes for a kernel."""


def this_cpu(threads: int | None) -> Cpu:
    """The processor, its caches, and the cores this process may use; `threads` None means all of those.

    Raises: DeviceError where the system does not say.
    """
    facts = processor_facts()
    cores = usable_cores()
    return Cpu(
        model=model_name(facts),
        isa=tuple(sorted(ISA_FLAGS & set(flags_of(facts)))),
        cores=cores,
        threads=min(threads or cores, cores),
        **cache_sizes(Path("/sys/devices/system/cpu/cpu0/cache")),
    )


def processor_facts() -> dict[str, str]:
    """What /proc/cpuinfo says of the first core. Raises: DeviceError."""
    try:
        first = Path("/proc/cpuinfo").read_text().split("\n\n")[0]
    except OSError as error:
        raise DeviceError(f"cannot read /proc/cpuinfo ({error.strerror}): kerntune tunes on Linux only.") from None
    return dict(re.findall(r"^([^\t:]+?)\s*:[ ]?(.*)$", first, re.MULTILINE))


def flags_of(facts: dict[str, str]) -> list[str]:
    """Everything the processor says it can do, sorted."""
    return sorted((facts.get("flags") or facts.get("Features", "")).split())


def model_name(facts: dict[str, str]) -> str:
    """Marketing name with the numbers behind it: a virtual machine may say only `AMD EPYC`."""
    numbers = ("cpu family", "model", "CPU implementer", "CPU part")
    detail = " ".join(f"{name.removeprefix('cpu ')} {facts[name]}" for name in numbers if name in facts)
    name = facts.get("model name", "").strip() or "processor"
    if not detail and name == "processor":
        raise DeviceError("/proc/cpuinfo names no processor model, so times could not be told from another machine's.")
    return f"{name} ({detail})" if detail else name


def usable_cores() -> int:
    """Cores under affinity and the cgroup's quota, at least 1."""
    cores = len(os.sched_getaffinity(0))
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return cores
    return cores if quota == "max" else max(1, min(cores, int(quota) // int(period)))


def cache_sizes(folder: Path) -> dict[str, int]:
    """Data and unified caches of core 0, bytes. Raises: DeviceError where L1 and L2 are not named."""
    sizes = {"l1d_bytes": 0, "l2_bytes": 0, "l3_bytes": 0}
    names = {"1": "l1d_bytes", "2": "l2_bytes", "3": "l3_bytes"}
    for index in sorted(folder.glob("index*")):
        level, kind, size = ((index / name).read_text().strip() for name in ("level", "type", "size"))
        if kind != "Instruction" and level in names:
            sizes[names[level]] = int(size.rstrip("K")) * 1024
    if not sizes["l1d_bytes"] or not sizes["l2_bytes"]:
        raise DeviceError(f"{folder} does not name the caches of this processor: kerntune sizes its tiles by them.")
    return sizes
