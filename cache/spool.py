"""Spool: what is to reach a server and has not yet, in order, on disk.

A folder of segments: files of one JSON object a line, each named after the number of its first line. Numbers only
grow. A file `acknowledged` says up to which number the server has them; a segment behind it is removed. Losing that
file costs nothing but sending twice, which the server knows to take once.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import Any

from ..spaces.canonical import digest
from ..spaces.errors import StoreError
from .spool_files import FILE_MODE, FLAGS, make_own, plain, sync_folder, take, write_all

MOST_BYTES = 256 * 2**20
"""Of what waits: about 100,000 records."""

SEGMENT_BYTES = 2 * 2**20
"""From this size on a new segment is begun; a segment is removed as a whole."""

MOST_REFUSED_BYTES = 16 * 2**20
"""Of what no server wants, kept for a person to look at; beyond, it is dropped."""

_MARK, _LOCK, _REFUSED = "acknowledged", "lock", "refused.jsonl"
_SEGMENT = re.compile(r"[0-9]{16}\.jsonl")


def folder_for(cache_dir: Path, server_url: str) -> Path:
    """Where the spools for a server lie, one folder for each worker of this machine."""
    return cache_dir / "spool" / digest({"server": server_url.rstrip("/")})


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that waits."""

    number: int
    data: Mapping[str, Any]
    line_bytes: int


@dataclass(slots=True)
class _Segment:
    first: int
    path: Path
    lines: int
    size_bytes: int

    @property
    def last(self) -> int:
        return self.first + self.lines - 1


class Spool:
    """What waits for a server. One process has it open at a time; its threads may share it.

    An entry that `append` returned from is on disk: it survives a kill of this process and a loss of power.
    """

    def __init__(self, folder: Path, most_bytes: int = MOST_BYTES, segment_bytes: int = SEGMENT_BYTES) -> None:
        """Open the spool of a folder; made (0700) if it is not there. Raises: SpoolBusy, StoreError."""
        self.folder, self._most_bytes, self._segment_bytes = folder, most_bytes, segment_bytes
        self._guard = RLock()
        self._active: int | None = None  # descriptor of the last segment, once something was appended
        self.damage: list[str] = []  # what was found cut or spoilt when it was opened, in words
        with plain(folder):
            make_own(folder)
            self._lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | FLAGS, FILE_MODE)
        try:
            take(self._lock, folder)
            with plain(folder):
                self._segments = list(self._found())
                self._acknowledged = max(self._mark(), self._segments[0].first - 1 if self._segments else 0)
                self._next = max([self._acknowledged, *(segment.last for segment in self._segments)]) + 1
                self._remove_what_is_done()
        except BaseException:
            os.close(self._lock)
            raise

    @property
    def waiting(self) -> int:
        """How many entries are not acknowledged."""
        return self._next - 1 - self._acknowledged

    def append(self, data: Mapping[str, Any]) -> int:
        """Keep an entry on disk; its number. Raises: StoreError where there is no room or no way: nothing is kept."""
        line = json.dumps(data, separators=(",", ":"), allow_nan=False).encode() + b"\n"
        with self._guard:
            self._refuse_beyond(len(line))
            with plain(self.folder):
                segment, handle = self._writable()
                try:
                    write_all(handle, line)
                    os.fsync(handle)
                except OSError:
                    with suppress(OSError):
                        os.ftruncate(handle, segment.size_bytes)
                    self._leave_segment()  # what a failed fsync left of it is not known
                    raise
            segment.lines, segment.size_bytes = segment.lines + 1, segment.size_bytes + len(line)
            self._next += 1
            return segment.last

    def pending(self, most: int = 500, most_bytes: int = 4 * 2**20) -> list[Entry]:
        """The oldest entries that are not acknowledged, in order: at most so many, and bytes unless one has more."""
        with self._guard, plain(self.folder):
            found: list[Entry] = []
            taken_bytes = 0
            for entry in self._entries():
                taken_bytes += entry.line_bytes
                if len(found) == most or (found and taken_bytes > most_bytes):
                    break
                found.append(entry)
            if not found:
                self.acknowledge(self._next - 1)  # spoilt lines alone
            return found

    def acknowledge(self, number: int) -> None:
        """The server has every entry up to this one: they need not be kept. Raises: StoreError."""
        with self._guard, plain(self.folder):
            if number <= self._acknowledged:
                return
            self._acknowledged = min(number, self._next - 1)
            aside = self.folder / f"{_MARK}.new"
            aside.write_text(f"{self._acknowledged}\n")
            aside.replace(self.folder / _MARK)
            self._remove_what_is_done()

    def set_aside(self, entry: Entry, reason: str) -> None:
        """Keep an entry that no server wants where a person can look at it; acknowledge it then. Raises: StoreError."""
        line = json.dumps({"reason": reason, "entry": entry.data}).encode() + b"\n"
        with self._guard, plain(self.folder):
            handle = os.open(self.folder / _REFUSED, os.O_WRONLY | os.O_CREAT | os.O_APPEND | FLAGS, FILE_MODE)
            try:
                if os.fstat(handle).st_size + len(line) <= MOST_REFUSED_BYTES:
                    write_all(handle, line)
                    os.fsync(handle)
            finally:
                os.close(handle)

    def close(self) -> None:
        """Let another process have it. Idempotent."""
        with self._guard:
            if self._lock >= 0 and not self.waiting:
                with suppress(OSError):
                    self._leave_segment()
                    self._remove_what_is_done()
            for handle in (self._active, self._lock):
                if handle is not None and handle >= 0:
                    os.close(handle)
            self._active, self._lock = None, -1

    def _found(self) -> Iterator[_Segment]:
        """The segments that are there, each without a last line that was cut; said in `damage`."""
        for path in sorted(path for path in self.folder.iterdir() if _SEGMENT.fullmatch(path.name)):
            data = path.read_bytes()
            whole = data[: data.rfind(b"\n") + 1]
            if len(whole) < len(data):
                self.damage.append(f"{path}: the last line was cut after {len(data) - len(whole)} bytes and is dropped")
                os.truncate(path, len(whole))
            if whole:
                yield _Segment(int(path.stem), path, whole.count(b"\n"), len(whole))
            else:
                path.unlink()

    def _entries(self) -> Iterator[Entry]:
        for segment in self._segments:
            if segment.last <= self._acknowledged:
                continue
            with segment.path.open("rb") as file:
                for number, line in enumerate(file, segment.first):
                    if number > self._acknowledged and (data := self._parsed(line, number)) is not None:
                        yield Entry(number, data, len(line))

    def _parsed(self, line: bytes, number: int) -> Mapping[str, Any] | None:
        try:
            data = json.loads(line)
        except ValueError:
            data = None
        if isinstance(data, dict):
            return data
        words = f"{self.folder}: entry {number} is spoilt and is passed over"
        if words not in self.damage:
            self.damage.append(words)
        return None

    def _mark(self) -> int:
        try:
            return int((self.folder / _MARK).read_text())
        except (FileNotFoundError, ValueError):
            return 0  # everything is sent again

    def _writable(self) -> tuple[_Segment, int]:
        """The last segment, begun anew where there is none of this process or it is full."""
        if self._active is not None and self._segments[-1].size_bytes < self._segment_bytes:
            return self._segments[-1], self._active
        self._leave_segment()
        path = self.folder / f"{self._next:016d}.jsonl"
        self._active = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | FLAGS, FILE_MODE)
        sync_folder(self.folder)
        self._segments.append(_Segment(self._next, path, 0, 0))
        return self._segments[-1], self._active

    def _leave_segment(self) -> None:
        if self._active is not None:
            os.close(self._active)
            self._active = None
            if not self._segments[-1].lines:  # nothing could be written to it
                self._segments.pop().path.unlink()

    def _remove_what_is_done(self) -> None:
        """Of the segments nothing is written to any more."""
        written_to = 0 if self._active is None else 1
        while len(self._segments) > written_to and self._segments[0].last <= self._acknowledged:
            self._segments.pop(0).path.unlink(missing_ok=True)

    def _refuse_beyond(self, more_bytes: int) -> None:
        held = sum(segment.size_bytes for segment in self._segments)
        if held + more_bytes > self._most_bytes:
            raise StoreError(
                f"the spool {self.folder} is full: {self.waiting:,} records ({held:,} bytes, of {self._most_bytes:,} "
                "allowed) wait for the server. They are safe; once it is back `tune worker` sends them."
            )
