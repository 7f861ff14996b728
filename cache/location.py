"""Where a database may lie: its URL read and checked, its folder and file made. Opens no database."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from ..spaces.errors import StoreError

FORMS = "sqlite:////folder/file.db (four slashes: an absolute path) or postgresql://user:password@host:5432/database"

DRIVERS = {"sqlite": "sqlite+pysqlite", "postgresql": "postgresql+psycopg"}

NETWORK_FILE_SYSTEMS = frozenset(
    {
        *("nfs", "nfs4", "cifs", "smb2", "smb3", "smbfs", "ncpfs", "afs", "coda", "9p"),
        *("lustre", "gpfs", "ceph", "glusterfs", "beegfs", "orangefs", "pvfs2", "panfs", "wekafs", "gfs2", "ocfs2"),
        *("fuse.sshfs", "fuse.ceph", "fuse.glusterfs", "fuse.juicefs", "fuse.davfs", "fuse.rclone"),
        *("fuse.s3fs", "fuse.goofys", "fuse.mount-s3", "fuse.gcsfuse"),
    }
)
"""File systems that several machines share: SQLite's log needs memory shared by all who write, and locks that hold
(sqlite.org/wal.html, "does not work over a network filesystem"; sqlite.org/howtocorrupt.html section 2.1)."""

_making = Lock()


@dataclass(frozen=True, slots=True)
class Location:
    """A database, by URL; `path` is its file where it is one, `shown` what messages may say (no password)."""

    url: URL
    path: Path | None
    shown: str


def locate(text: str) -> Location:
    """The location a URL names. Raises: StoreError for a malformed URL, another database or another driver."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise StoreError(
            f'"{_without_password(text)}" is not a database URL (--db, KERNTUNE_DB). Write {FORMS}.'
        ) from None
    backend = url.get_backend_name()
    if backend not in DRIVERS or url.drivername not in (backend, DRIVERS[backend]):
        raise StoreError(f'"{url.drivername}" is not a database kerntune can use (--db, KERNTUNE_DB). Write {FORMS}.')
    url = url.set(drivername=DRIVERS[backend])
    if backend != "sqlite":
        return Location(url, None, url.set(drivername=backend).render_as_string(hide_password=True))
    if not _is_plain_file(url):
        raise StoreError(f'"{text}" names no plain file (--db, KERNTUNE_DB). Write {FORMS}.')
    path = Path(os.path.expanduser(url.database or "")).absolute()  # noqa: PTH111 - Path's own raises for ~nobody
    return Location(url.set(database=str(path)), path, str(path))


def prepare_file(path: Path) -> None:
    """Make the folder (0700) and an empty file (0600) where there is none.

    A file that is there is not opened: to close it again would let go of every lock this process has on it, by
    whatever connection (POSIX), and another process would take SQLite's log away from under it
    (sqlite.org/howtocorrupt.html, 2.2). Raises: StoreError where the disk is a network's, or where they cannot be made.
    """
    refuse_network_file_system(path)
    try:
        for folder in reversed([folder for folder in path.parents if not folder.exists()]):
            folder.mkdir(mode=0o700, exist_ok=True)  # exist_ok: another process may be making it as well
        _make(path)
    except OSError as error:
        raise StoreError(
            f"{path} cannot be made or opened: {error.strerror} ({error.filename}). "
            "Name a file in a folder you may write to by --db or KERNTUNE_DB."
        ) from None


def _make(path: Path) -> None:
    with _making:  # it is closed again before another thread connects to it
        try:
            os.close(os.open(os.path.realpath(path), os.O_CREAT | os.O_EXCL | os.O_RDONLY, 0o600))
        except FileExistsError:
            path.stat()  # a circle of links is there, and is no file


def refuse_network_file_system(path: Path) -> None:
    """Raises: StoreError if a network file system holds the path. Silent where there is no /proc to ask."""
    if not sys.platform.startswith("linux"):
        return
    try:
        mounts = Path("/proc/self/mounts").read_text(errors="surrogateescape")
    except OSError:
        return
    kind = network_file_system(Path(os.path.realpath(path)), mounts)
    if kind:
        raise StoreError(
            f"{path} lies on a network file system ({kind}), where SQLite loses data when two machines write. "
            "Name a file on a local disk by --db or KERNTUNE_DB, or share a PostgreSQL or `tune serve` (--server)."
        )


def network_file_system(path: Path, mounts: str) -> str | None:
    """The kind of network file system that holds an absolute path, or None; `mounts` as in /proc/self/mounts."""
    kind, options, longest = "", "", -1
    for point, its_kind, its_options in _mounts(mounts):
        # Of mounts on one point, the last one hides the others.
        if path.is_relative_to(point) and len(point.parts) >= longest:
            kind, options, longest = its_kind, its_options, len(point.parts)
    if kind == "9p" and "trans=fd" in options.split(","):
        return None  # gVisor's own view of a local disk: one kernel sees every lock
    return kind if kind in NETWORK_FILE_SYSTEMS else None


def _mounts(text: str) -> Iterator[tuple[Path, str, str]]:
    """Mount point, kind and options of each line `source point kind options …`; spaces in it are written \\040."""
    for line in text.splitlines():
        words = line.split(" ")
        if len(words) >= 4:
            point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), words[1])
            yield Path(point), words[2], words[3]


def _is_plain_file(url: URL) -> bool:
    name = url.database or ""
    return (
        name != ""
        and name != ":memory:"
        and not name.startswith("file:")
        and "\0" not in name
        and not (url.query or url.host)
    )


def _without_password(text: str) -> str:
    return re.sub(r"//[^/]*@", "//***@", text)
