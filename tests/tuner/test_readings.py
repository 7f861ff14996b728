"""What a device was doing while it was timed."""

import time

import pytest
from kerntune.tuner.measure.readings import BUSY_SHARE, CpuSource, GpuSource, Nothing, warnings, watched


class FakeNvml:
    """One GPU, whose state the test sets; `refuses` names what it does not tell."""

    NVML_CLOCK_SM, NVML_CLOCK_MEM, NVML_TEMPERATURE_GPU = 1, 2, 0
    nvmlClocksEventReasonSwPowerCap = 0x4  # noqa: N815 -- NVML's own name
    nvmlClocksThrottleReasonSwThermalSlowdown = 0x20  # noqa: N815 -- NVML's own name

    class NVMLError(Exception):
        pass

    def __init__(self, reasons=0, processes=1, refuses=()):
        self.reasons, self.processes, self.refuses = reasons, processes, refuses

    def nvmlDeviceGetClockInfo(self, handle, which):  # noqa: N802 -- NVML's own name
        return {1: 1980, 2: 3201}[which]

    def nvmlDeviceGetTemperature(self, handle, sensor):  # noqa: N802 -- NVML's own name
        return 41

    def nvmlDeviceGetPowerUsage(self, handle):  # noqa: N802 -- NVML's own name
        if "power" in self.refuses:
            raise self.NVMLError
        return 512_300

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle):  # noqa: N802 -- NVML's own name
        return self.reasons

    def nvmlDeviceGetComputeRunningProcesses(self, handle):  # noqa: N802 -- NVML's own name
        return [object()] * self.processes


def gpu_readings(**state):
    with watched(GpuSource(FakeNvml(**state), handle=None)) as readings:
        pass
    return readings


def test_a_gpu_tells_clocks_temperature_power_throttles_and_neighbours():
    """Before and after, in plain values."""
    found = gpu_readings(reasons=0x4 | 0x1)
    assert found["before"] == found["after"]
    assert found["after"] == {
        "sm_mhz": 1980,
        "memory_mhz": 3201,
        "temperature_c": 41,
        "power_w": 512.3,
        "throttled_by": ["power"],
        "other_processes": 0,
    }


def test_what_a_gpu_does_not_tell_is_left_out():
    """A MIG slice knows no power of its own; that is no reason to fail."""
    assert "power_w" not in gpu_readings(refuses=("power",))["after"]
    assert gpu_readings(processes=0)["after"]["other_processes"] == 0  # a sandbox that hides even ourselves


def test_a_device_that_tells_nothing_has_no_readings_and_no_warnings():
    """Where NVML is not installed."""
    with watched(Nothing()) as readings:
        pass
    assert readings == {}
    assert warnings(readings) == warnings(None) == []


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({}, []),
        ({"reasons": 0x1}, []),  # idle
        ({"reasons": 0x24}, ["the GPU lowered its clock: temperature"]),
        ({"reasons": 0x4}, []),
        ({"processes": 2}, ["1 other process used the GPU"]),
        ({"processes": 3}, ["2 other processes used the GPU"]),
    ],
)
def test_what_spoils_a_time_on_a_gpu_is_said_in_words(state, said):
    """Throttling and company; an idle clock spoils nothing."""
    assert warnings(gpu_readings(**state)) == said


def a_machine(root, busy_ticks):
    """/proc and /sys of two cores at 3.1 GHz that have worked `busy_ticks`, of 10 ms each, in all."""
    for folder in ("proc", "sys/devices/system/cpu/cpu0/cpufreq"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "proc/loadavg").write_text("1.50 1.00 0.50 2/300 4711\n")
    (root / "proc/stat").write_text(f"cpu  {busy_ticks} 0 0 99 9 0 0 0 0 0\ncpu0 1 1\ncpu1 1 1\nintr 5\n")
    (root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq").write_text("3100000\n")


def test_a_processor_tells_frequency_load_and_what_others_used(tmp_path, monkeypatch):
    """Of 2 cores for 10 s, others worked 5 s and this process 4 s."""
    clocks = iter([100.0, 110.0])
    own = iter([1.0, 5.0])
    monkeypatch.setattr("kerntune.tuner.measure.readings.time.monotonic", lambda: next(clocks))
    monkeypatch.setattr("kerntune.tuner.measure.readings.time.process_time", lambda: next(own))
    monkeypatch.setattr("os.sysconf", lambda name: 100)
    a_machine(tmp_path, 1000)
    with watched(CpuSource(tmp_path)) as found:
        a_machine(tmp_path, 1900)
    assert found == {
        "device": "cpu",
        "before": {"mhz": 3100.0, "load": 1.5},
        "after": {"mhz": 3100.0, "load": 1.5},
        "others_share": 0.25,
    }
    assert warnings(found) == ["other processes used 25% of the processor's cores"]
    assert warnings({**found, "others_share": BUSY_SHARE}) == []


def test_a_machine_without_proc_tells_little_and_fails_at_nothing(tmp_path):
    """Not every system is Linux."""
    with watched(CpuSource(tmp_path)) as found:
        pass
    assert found == {"device": "cpu", "before": {}, "after": {}}


def test_the_frequency_is_taken_from_cpuinfo_where_sys_is_silent(tmp_path):
    """Virtual machines have no cpufreq."""
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text(
        "processor\t: 0\ncpu MHz\t\t: 2600.123\n\nprocessor\t: 1\ncpu MHz\t\t: 1.0\n"
    )
    assert CpuSource(tmp_path).read()["mhz"] == 2600.123


def test_a_reading_of_this_machine_is_cheap():
    """Less than a millisecond, of the best of twenty."""
    source = CpuSource()
    times = []
    for _ in range(20):
        start_s = time.perf_counter()
        source.read()
        times.append(time.perf_counter() - start_s)
    assert min(times) < 1e-3
