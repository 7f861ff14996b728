"""The files of a spool: this user's alone, one process's at a time, and on disk when it is said that they are."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..spaces.errors import StoreError

FILE_MODE, FOLDER_MODE = 0o600, 0o700
FLAGS = os.O_CLOEXEC | os.O_NOFOLLOW


class SpoolBusy(StoreError):
    """Another process has the spool open."""


@contextmanager
def plain(folder: Path) -> Iterator[None]:
    """What the file system complains of, in our words."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"the spool {folder} cannot be read or written: {error.strerror} ({error.filename or 'a write'}). "
            "Look at its owner, its mode and the room on its disk, or name another folder by KERNTUNE_CACHE_DIR."
        ) from None


def take(lock: int, folder: Path) -> None:
    """Hold a lock file until this process ends. Raises: SpoolBusy."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SpoolBusy(f"another worker uses the spool {folder}: each has one of its own.") from None


def make_own(folder: Path) -> None:
    """Make a folder that only this user may enter (0700). Raises: StoreError where one is open to others; OSError."""
    for missing in reversed([one for one in (folder, *folder.parents) if not one.exists()]):
        missing.mkdir(mode=FOLDER_MODE, exist_ok=True)  # exist_ok: another worker may be making it as well
    found = folder.stat()
    if found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise StoreError(
            f"the spool {folder} is open to others (user {found.st_uid}, mode {found.st_mode & 0o777:04o}): what lies "
            f"there is sent in your name. Make it yours: chmod 700 {folder}, or name another by KERNTUNE_CACHE_DIR."
        )


def write_all(handle: int, data: bytes) -> None:
    """Raises: OSError, perhaps with a part written."""
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]


def sync_folder(folder: Path) -> None:
    """Have the names in it outlive a loss of power. Raises: OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | FLAGS)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
