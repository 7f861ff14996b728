"""One timed kernel at a time on a device."""

import itertools
import subprocess
import sys
import time

import pytest
from kerntune.tuner.engine.device_lock import DeviceBusy, DeviceLock

HOLD = """
import sys, time
from pathlib import Path
from kerntune.tuner.engine.device_lock import DeviceLock
lock = DeviceLock("cpu", Path(sys.argv[1]))
for _ in range(int(sys.argv[2])):
    with lock.held(20):
        start = time.monotonic()
        time.sleep(float(sys.argv[3]))
        print(start, time.monotonic(), flush=True)
"""


def holder(folder, turns, seconds):
    """Another program that takes the device for some turns and prints when it held it."""
    return subprocess.Popen([sys.executable, "-c", HOLD, folder, str(turns), str(seconds)], stdout=subprocess.PIPE)


def test_programs_take_turns_and_never_overlap(tmp_path):
    """Three programs, ten turns each: no two spans of holding share an instant."""
    programs = [holder(tmp_path, 10, 0.01) for _ in range(3)]
    lines = [line for program in programs for line in program.communicate(timeout=60)[0].splitlines()]
    spans = sorted(tuple(map(float, line.split())) for line in lines)
    assert len(spans) == 30
    assert all(one[1] <= other[0] for one, other in itertools.pairwise(spans))


def test_a_device_that_stays_taken_is_busy_and_says_where(tmp_path):
    """Waiting has an end, and the file that stands for the device is named."""
    with holder(tmp_path, 1, 20) as program:
        while not list(tmp_path.iterdir()):
            time.sleep(0.01)
        time.sleep(0.1)
        busy = r"another program has used the device for 0\.2 s .*kerntune-cpu\.lock"
        with pytest.raises(DeviceBusy, match=busy), DeviceLock("cpu", tmp_path).held(0.2):
            raise AssertionError("the device was given twice")
        program.kill()


def test_a_killed_holder_lets_go(tmp_path):
    """kill -9 leaves a file and no lock."""
    with holder(tmp_path, 1, 60) as program:
        time.sleep(1)
        program.kill()
    with DeviceLock("cpu", tmp_path).held(0.5):
        pass


def test_a_lock_made_by_another_user_can_be_taken(tmp_path):
    """It is readable for all, and that is enough."""
    with DeviceLock("gpu-1", tmp_path).held(0.1):
        pass
    (tmp_path / "kerntune-gpu-1.lock").chmod(0o444)
    with DeviceLock("gpu-1", tmp_path).held(0.1):
        pass


def test_a_link_is_no_lock(tmp_path):
    """In a folder of all users somebody may plant one."""
    (tmp_path / "kerntune-cpu.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic link"), DeviceLock("cpu", tmp_path).held(0.1):
        raise AssertionError("a link was followed")
    assert not (tmp_path / "elsewhere").exists()


def test_devices_do_not_wait_for_each_other(tmp_path):
    """A lock per device."""
    with DeviceLock("gpu-1", tmp_path).held(0.1), DeviceLock("gpu-2", tmp_path).held(0.1):
        pass
