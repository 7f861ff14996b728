"""What compilers made, kept on disk by what it was made of: neither another process nor another day compiles it again.

An entry is one file: a line of JSON (its key, the compiler's facts, a hash) and the binary. It is written aside and
renamed whole; whatever does not check out when it is read is a miss and is removed. The folder is held open, so that
what was checked is what is used, whoever renames it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from ...spaces.canonical import canonical_json
from .trusted_folder import OPEN, fault_of, half_of_the_disk, is_ours, listed, open_trusted, remove

LIMIT_BYTES = 2 * 2**30
"""What the entries of one cache may take: some 50,000 kernels of 40 kB. A small disk lowers it."""

LOOK_EVERY = 16
"""The folder is counted when this process has added a 16th of the limit since it last was."""

FILL_AFTER = 0.9
"""Share of the limit that is left when the least recently used entries went: the next entry removes none."""

LEFT_ASIDE_S = 3600.0
"""A file written aside and this old belongs to a process that is gone."""

MAX_HEADER_BYTES = 64 * 1024
ENTRY, ASIDE = ".bin", ".new"

Facts = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """A binary and what its compiler said of it, as JSON can say it."""

    binary: bytes
    facts: Facts


@dataclass(frozen=True, slots=True)
class Usage:
    """How much a cache holds."""

    entries: int
    size_bytes: int


class BinaryCache:
    """A folder of entries. Safe for several threads and processes; made when the first entry is put."""

    def __init__(self, folder: Path, limit_bytes: int = LIMIT_BYTES) -> None:
        self.folder = folder
        self._limit_bytes = limit_bytes
        self._added_bytes: int | None = None  # since the folder was counted; None: it was not yet
        self._descriptor: int | None = None
        self._lock = Lock()

    def refusal(self) -> str | None:
        """Why this folder is not used, and how to mend it; None where it can be, or is not there yet."""
        try:
            found = self.folder.lstat()
        except OSError:
            return None
        fault = fault_of(found)
        remedy = "Remove it (it holds compiled kernels only), or name another folder in KERNTUNE_CACHE_DIR."
        return fault and f"binaries are not kept in {self.folder}: {fault}. {remedy}"

    def get(self, key: str) -> Entry | None:
        """The entry of this key, from now on the most recently used one. None: compile."""
        folder = self._opened(make=False)
        if folder is None:
            return None
        try:
            descriptor = os.open(key + ENTRY, os.O_RDONLY | os.O_NONBLOCK | OPEN, dir_fd=folder)
        except FileNotFoundError:
            return None
        except OSError:  # a link, or not ours to read
            remove(folder, key + ENTRY)
            return None
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            entry = _parsed(file.read(), key) if is_ours(found) else None
            if entry is not None:
                with contextlib.suppress(OSError):
                    os.utime(descriptor)
        if entry is None:
            remove(folder, key + ENTRY)
        return entry

    def put(self, key: str, entry: Entry) -> None:
        """Keep an entry, replacing one of the same key. Does nothing where the folder is refused.

        Raises: OSError if it cannot be written, as on a full disk; nothing of it is left then.
        """
        folder = self._opened(make=True)
        if folder is None:
            return
        data = _as_bytes(key, entry)
        aside = f"{key}.{os.getpid()}.{secrets.token_hex(8)}{ASIDE}"
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | OPEN, 0o600, dir_fd=folder)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(descriptor)  # else a power cut can leave the name with nothing behind it
            os.replace(aside, key + ENTRY, src_dir_fd=folder, dst_dir_fd=folder)
        finally:
            remove(folder, aside)  # there only if something failed
        self._keep_within_limit(folder, len(data))

    def usage(self) -> Usage:
        """Entries and bytes on disk now."""
        folder = self._opened(make=False)
        sizes = [] if folder is None else [size for _, size, name in listed(folder) if name.endswith(ENTRY)]
        return Usage(len(sizes), sum(sizes))

    def remove_unused(self, since_s: float, dry_run: bool = False) -> Usage:
        """Remove entries not used since (seconds since 1970), and what was left aside; what went, or would go."""
        folder = self._opened(make=False)
        if folder is None:
            return Usage(0, 0)
        gone = [(size, name) for used_s, size, name in listed(folder) if used_s < since_s]
        for _, name in () if dry_run else gone:
            remove(folder, name)
        return Usage(len(gone), sum(size for size, _ in gone))

    def close(self) -> None:
        """Let go of the folder; using the cache opens it again. Idempotent."""
        with self._lock:
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None

    def _opened(self, make: bool) -> int | None:
        """A descriptor of the folder, checked once; None where it is not there or is not to be trusted."""
        with self._lock:
            if self._descriptor is None:
                if make:
                    self.folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                    with contextlib.suppress(FileExistsError):
                        self.folder.mkdir(mode=0o700)
                self._descriptor = open_trusted(self.folder)
            return self._descriptor

    def _keep_within_limit(self, folder: int, added_bytes: int) -> None:
        """Count the folder now and then; above the limit the entries used longest ago go.

        The bound is soft: between two counts each process adds a 16th of the limit at most, unseen by the others.
        """
        with self._lock:
            if self._added_bytes is not None:
                self._added_bytes += added_bytes
                if self._added_bytes < self._limit_bytes / LOOK_EVERY:
                    return
            self._added_bytes = 0
        found = sorted(listed(folder))
        for modified_s, _, name in found:
            if name.endswith(ASIDE) and modified_s < time.time() - LEFT_ASIDE_S:
                remove(folder, name)
        entries = [(size, name) for _, size, name in found if name.endswith(ENTRY)]
        held = sum(size for size, _ in entries)
        limit = min(self._limit_bytes, half_of_the_disk(folder, held))
        if held <= limit:
            return
        for size, name in entries:
            if held <= FILL_AFTER * limit:
                break
            remove(folder, name)
            held -= size


def _hash(key: str, facts: Facts, binary: bytes) -> str:
    named = canonical_json({"key": key, "facts": dict(facts)}).encode()
    return hashlib.sha256(named + b"\n" + binary).hexdigest()


def _as_bytes(key: str, entry: Entry) -> bytes:
    header = {"key": key, "facts": dict(entry.facts), "sha256": _hash(key, entry.facts, entry.binary)}
    return canonical_json(header).encode() + b"\n" + entry.binary


def _parsed(data: bytes, key: str) -> Entry | None:
    """The entry in a file, or None where a byte of it is not as it was put under this key."""
    line, _, binary = data.partition(b"\n")
    if len(line) > MAX_HEADER_BYTES:
        return None
    try:
        header = json.loads(line)
        facts = header["facts"]
        whole = header["key"] == key and header["sha256"] == _hash(key, facts, binary)
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return Entry(binary, facts) if whole else None
