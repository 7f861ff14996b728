"""What the device was doing while a time was taken: read before and after, never changed.

Readings are plain JSON values: they are stored with the measurement. What cannot be read is left out.
"""

from __future__ import annotations

import importlib.util
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

Reading = dict[str, Any]
Readings = dict[str, Any]

BUSY_SHARE = 0.10
"""Part of all cores that others may use before a time on a processor is doubted."""

MIN_WATCH_S = 0.2
"""The kernel counts a core's time in steps of 10 ms: over less than this, they say nothing of others."""

THROTTLES = {
    "SwPowerCap": "power",
    "HwSlowdown": "hardware slowdown",
    "SyncBoost": "sync boost",
    "SwThermalSlowdown": "temperature",
    "HwThermalSlowdown": "temperature",
    "HwPowerBrakeSlowdown": "power brake",
}
"""What NVML calls the reasons for a lowered clock, and our words. Idling and a clock that was asked for are none."""

EXPECTED = "power"
"""Not a fault: a large product runs any card into its power limit, its rivals too (docs/measured_facts.md)."""

CPUINFO_BYTES = 4096
"""Enough of /proc/cpuinfo for its first core; all of a large machine's take many milliseconds."""


class Source(Protocol):
    """Where readings of one device come from. A reading takes less than a millisecond."""

    def read(self) -> Reading:
        """What the device is doing now."""

    def between(self, before: Reading, after: Reading) -> Readings:
        """What two readings say of the time between them."""


class Nothing:
    """A device that tells nothing of itself."""

    def read(self) -> Reading:
        return {}

    def between(self, before: Reading, after: Reading) -> Readings:
        return {}


class GpuSource:
    """An NVIDIA GPU, through NVML. `handle` is NVML's; `nvml` the module pynvml."""

    def __init__(self, nvml: Any, handle: Any) -> None:
        self._nvml, self._handle = nvml, handle
        self._reasons = {
            mask: words
            for name, words in THROTTLES.items()
            for prefix in ("nvmlClocksEventReason", "nvmlClocksThrottleReason")
            if (mask := getattr(nvml, prefix + name, None)) is not None
        }

    def read(self) -> Reading:
        nvml, handle = self._nvml, self._handle
        asked: dict[str, Callable[[], Any]] = {
            "sm_mhz": lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM),
            "memory_mhz": lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_MEM),
            "temperature_c": lambda: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU),
            "power_w": lambda: nvml.nvmlDeviceGetPowerUsage(handle) / 1000,
            "throttled_by": self._throttled_by,
            "other_processes": self._other_processes,
        }
        reading = {}
        for name, ask in asked.items():
            with suppress(nvml.NVMLError):  # a virtual machine or a MIG slice does not tell everything
                reading[name] = ask()
        return reading

    def between(self, before: Reading, after: Reading) -> Readings:
        return {"device": "gpu", "before": before, "after": after}

    def _throttled_by(self) -> list[str]:
        mask = self._nvml.nvmlDeviceGetCurrentClocksThrottleReasons(self._handle)
        return sorted({words for bit, words in self._reasons.items() if mask & bit})

    def _other_processes(self) -> int:
        """Processes with a CUDA context but this one, which in a container may go by another number."""
        return max(0, len(self._nvml.nvmlDeviceGetComputeRunningProcesses(self._handle)) - 1)


class CpuSource:
    """The processor, through /proc and /sys. `root` is where they hang."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._proc, self._cpus = root / "proc", root / "sys/devices/system/cpu"

    def read(self) -> Reading:
        reading: Reading = {"at_s": time.monotonic(), "own_s": time.process_time()}
        with suppress(OSError, ValueError, IndexError):
            reading["load"] = float((self._proc / "loadavg").read_text().split()[0])
        with suppress(OSError, ValueError, IndexError):
            reading["cores_busy_s"], reading["cores"] = self._busy()
        if (mhz := self._mhz()) is not None:
            reading["mhz"] = mhz
        return reading

    def between(self, before: Reading, after: Reading) -> Readings:
        shown = ("mhz", "load")
        found: Readings = {
            "device": "cpu",
            "before": {name: before[name] for name in shown if name in before},
            "after": {name: after[name] for name in shown if name in after},
        }
        passed_s = after["at_s"] - before["at_s"]
        if passed_s >= MIN_WATCH_S and "cores_busy_s" in before and "cores_busy_s" in after:
            others_s = after["cores_busy_s"] - before["cores_busy_s"] - (after["own_s"] - before["own_s"])
            found["others_share"] = round(max(0.0, others_s) / (passed_s * after["cores"]), 3)
        return found

    def _busy(self) -> tuple[float, int]:
        """Seconds all cores have worked so far, for anybody or for another virtual machine, and how many there are."""
        with (self._proc / "stat").open() as stat:
            fields = [int(field) for field in next(stat).split()[1:9]]
            cores = sum(1 for line in stat if line.startswith("cpu"))
        user, nice, system, _idle, _iowait, irq, softirq, steal = fields
        return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK"), max(cores, 1)

    def _mhz(self) -> float | None:
        """Frequency of the first core."""
        with suppress(OSError, ValueError):
            return int((self._cpus / "cpu0/cpufreq/scaling_cur_freq").read_text()) / 1000
        with suppress(OSError), (self._proc / "cpuinfo").open() as file:
            found = re.search(r"^cpu MHz\s*:\s*([\d.]+)", file.read(CPUINFO_BYTES), re.MULTILINE)
            return float(found[1]) if found else None
        return None


def source_of(device: str) -> Source:
    """Readings of `cpu` or `cuda:0`; none where NVML cannot be had."""
    if device == "cpu":
        return CpuSource()
    if importlib.util.find_spec("pynvml") is None:
        return Nothing()
    import cupy
    import pynvml

    try:
        pynvml.nvmlInit()
        # CUDA and NVML count GPUs differently: the bus address is the same in both.
        bus = cupy.cuda.runtime.deviceGetPCIBusId(int(device.removeprefix("cuda:")))
        return GpuSource(pynvml, pynvml.nvmlDeviceGetHandleByPciBusId(bus))
    except (pynvml.NVMLError, cupy.cuda.runtime.CUDARuntimeError):
        return Nothing()


@contextmanager
def watched(source: Source) -> Iterator[Readings]:
    """A dict that holds the readings of the block once it has ended."""
    found: Readings = {}
    before = source.read()
    yield found
    found.update(source.between(before, source.read()))


def warnings(readings: Mapping[str, Any] | None) -> list[str]:
    """What spoils a time taken under these readings, in words."""
    if not readings:
        return []
    if readings.get("device") == "cpu":
        share = readings.get("others_share", 0.0)
        return [f"other processes used {share:.0%} of the processor's cores"] if share > BUSY_SHARE else []
    ends = [readings.get("before", {}), readings.get("after", {})]
    found = []
    if throttles := sorted({word for end in ends for word in end.get("throttled_by", [])} - {EXPECTED}):
        found.append(f"the GPU lowered its clock: {', '.join(throttles)}")
    if others := max(end.get("other_processes", 0) for end in ends):
        found.append(f"{others} other process{'' if others == 1 else 'es'} used the GPU")
    return found
