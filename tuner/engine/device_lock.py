"""DeviceLock: one timed kernel at a time on a device, among all programs and users of this machine."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

POLL_S = 0.01
"""How often a waiting program looks: short beside a measurement, so that two of them take turns."""


class DeviceBusy(Exception):
    """Another program holds the device for longer than was to be waited."""


class DeviceLock:
    """A lock file named after the device's identity, in the folder all users of the machine share. Not thread-safe.

    The kernel lets go of it when its holder ends, however it ends.
    """

    def __init__(self, identity: str, folder: Path | None = None) -> None:
        self.path = (folder or Path(tempfile.gettempdir())) / f"kerntune-{identity}.lock"

    @contextlib.contextmanager
    def held(self, wait_s: float) -> Iterator[None]:
        """Hold the device. Raises: DeviceBusy if it is not free within `wait_s`, OSError if the file cannot be made."""
        handle = self._open()
        try:
            deadline_s = time.monotonic() + wait_s
            while not _taken(handle):
                if time.monotonic() >= deadline_s:
                    raise DeviceBusy(f"another program has used the device for {wait_s:g} s ({self.path})")
                time.sleep(POLL_S)
            yield
        finally:
            os.close(handle)

    def _open(self) -> int:
        # Read-only is enough for flock, and is what another user's file in a shared folder allows.
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            return os.open(self.path, flags)
        except FileNotFoundError:
            with contextlib.suppress(FileExistsError):  # another program was first
                os.close(os.open(self.path, flags | os.O_CREAT | os.O_EXCL, 0o644))
            return os.open(self.path, flags)


def _taken(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
