"""A folder that holds loadable code: whether it is this user's alone, and its files through an open descriptor.

What is done through the descriptor is done in the folder that was checked, whoever renames or replaces it meanwhile.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

OPEN = os.O_CLOEXEC | os.O_NOFOLLOW
"""Flags every file and folder is opened with: no link is followed, no child inherits it."""


def open_trusted(folder: Path) -> int | None:
    """A descriptor of the folder; None where it is not there or is not to be trusted."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | OPEN)
    except OSError:
        return None
    if fault_of(os.fstat(descriptor)) is None:
        return descriptor
    os.close(descriptor)
    return None


def fault_of(found: os.stat_result) -> str | None:
    """Why a folder may hold code that this user did not place there, or cannot hold any; None where all is well."""
    if not stat.S_ISDIR(found.st_mode):
        return "it is not a folder"
    if found.st_uid != os.geteuid():
        return f"it belongs to user {found.st_uid}, not to user {os.geteuid()}, so others could place code there"
    mode = stat.S_IMODE(found.st_mode)
    if mode & 0o022:
        return f"its mode {mode:04o} lets others write, so they could place code there"
    return None if mode & 0o700 == 0o700 else f"its mode {mode:04o} keeps its owner out"


def is_ours(found: os.stat_result) -> bool:
    """Whether this is a plain file that only this user can have written."""
    return stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o022


def listed(folder: int) -> Iterator[tuple[float, int, str]]:
    """When each file was last used (seconds since 1970), its bytes, its name."""
    own = os.open(".", os.O_RDONLY | os.O_DIRECTORY | OPEN, dir_fd=folder)  # two listings at once share no place
    try:
        with os.scandir(own) as files:
            for file in files:
                with contextlib.suppress(FileNotFoundError):  # gone since it was listed
                    found = file.stat(follow_symlinks=False)
                    yield found.st_mtime, found.st_size, file.name
    finally:
        os.close(own)


def remove(folder: int, name: str) -> None:
    """Remove a file, unless another process was faster."""
    with contextlib.suppress(OSError):
        os.unlink(name, dir_fd=folder)


def half_of_the_disk(folder: int, held_bytes: int) -> int:
    """Half of the bytes the disk would have free without the `held_bytes` in this folder."""
    disk = os.fstatvfs(folder)
    return (disk.f_bavail * disk.f_frsize + held_bytes) // 2


def is_full(error: OSError) -> bool:
    """Whether a write failed for want of room: the disk's, or this user's share of it."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def write_whole(path: Path, data: bytes) -> None:
    """Write aside and rename: who has the old file open or mapped keeps it. Raises: OSError."""
    aside = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    try:
        aside.write_bytes(data)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)  # there only if something failed
