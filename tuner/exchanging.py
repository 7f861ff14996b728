"""Exchanging: what is remembered, out to a file and in from one."""

from __future__ import annotations

import gzip
import os
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, cast

from ..cache.checked import digest
from ..cache.exchange.formats import Damaged, Format, Read
from ..cache.exchange.importing import Imported, import_records
from ..cache.paging import every_record
from ..cache.records import Record
from ..cache.store import Store
from ..spaces.errors import NoAnswer, UsageError
from ..templates.catalogue import op_named
from .record_checks import RecordChecks

STREAM = "-"
"""As a file's name: standard input, standard output."""

READ_AT_ONCE = 100
"""Records held in memory."""

_GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which records; an empty field wants all."""

    op: str | None = None
    problem: str | None = None  # digest
    target: str | None = None  # digest
    device: str = ""  # a part of its name, in any case

    def checked(self) -> Wanted:
        """Itself. Raises: UsageError for what no record can be of."""
        if self.op is not None:
            op_named(self.op)
        for name in ("problem", "target"):
            if getattr(self, name) is not None:
                digest(getattr(self, name), f"--{name}")
        return self

    def of(self, store: Store) -> Iterator[Record]:
        """Such records of a store, in order of arrival. Raises: StoreError."""
        pages = every_record(lambda cursor: store.page(self.op, self.problem, self.target, cursor, READ_AT_ONCE))
        return (record for record in pages if self.device.casefold() in record.key.target.name.casefold())


def export_file(store: Store, wanted: Wanted, format: Format, file: str) -> int:
    """Write the records to a file, or STREAM; how many. The file has its name only when it is whole and on disk.

    Raises: NoAnswer where some are wanted and there are none; StoreError, UsageError: the file of before is as it was.
    """
    records = wanted.checked().of(store)
    if wanted != Wanted():
        records = _at_least_one(records)
    if file == STREAM:
        count = format.write(records, sys.stdout.buffer)
        sys.stdout.buffer.flush()
        return count
    try:
        path = Path(file)
        if path.exists() and not path.is_file():  # a pipe, a device: there is nothing to replace
            with path.open("wb") as out:
                return format.write(records, out)
        with _replacing(path) as out:
            return format.write(records, out)
    except OSError as error:
        raise UsageError(f"cannot write {file} ({error.strerror}): name a file in a folder you may write to.") from None


def import_file(store: Store, checks: RecordChecks, format: Format, file: str, *, keep: bool = True) -> Imported:
    """Add the records of a file, or of STREAM, compressed or not. Raises: StoreError; UsageError for no such file."""
    try:
        with _opened(file) as source:
            return import_records(store, _entries(format, source), checks.record, keep=keep)
    except OSError as error:
        raise UsageError(f"cannot read {file} ({error.strerror}): name a file that `tune export` wrote.") from None


def _at_least_one(records: Iterator[Record]) -> Iterator[Record]:
    """The same records, the first of them read at once. Raises: NoAnswer."""
    first = next(records, None)
    if first is None:
        raise NoAnswer("no record is of these: leave some of --op, --problem, --target and --device out.")

    def all_of_them() -> Iterator[Record]:
        yield first
        yield from records

    return all_of_them()


@contextmanager
def _replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file beside `path` that takes its place when the block has ended well; compressed where the name says so."""
    with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", suffix=".part", delete=False) as part:
        try:
            if path.suffix == ".gz":
                # Neither name nor time inside: the same records are the same bytes.
                with gzip.GzipFile("", "wb", fileobj=part, mtime=0) as packed:
                    yield cast("IO[bytes]", packed)
            else:
                yield cast("IO[bytes]", part)
            part.flush()
            os.fchmod(part.fileno(), _mode_of(path))
            os.fsync(part.fileno())
            Path(part.name).replace(path)
        except BaseException:
            with suppress(FileNotFoundError):
                Path(part.name).unlink()
            raise


def _mode_of(path: Path) -> int:
    """The permissions of the file that is replaced, or those of a new one."""
    with suppress(FileNotFoundError):
        return path.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


@contextmanager
def _opened(file: str) -> Iterator[IO[bytes]]:
    """The bytes of a file, unpacked where they are packed, whatever its name."""
    with open(sys.stdin.fileno() if file == STREAM else file, "rb", closefd=file != STREAM) as source:
        if source.peek(2)[:2] == _GZIP:
            with gzip.GzipFile(fileobj=source) as unpacked:
                yield cast("IO[bytes]", unpacked)
        else:
            yield source


def _entries(format: Format, source: IO[bytes]) -> Iterator[Read | Damaged]:
    """What the file holds; where what it is packed in breaks off, that is the last damage."""
    line = 0
    try:
        for entry in format.read(source):
            line = entry.line
            yield entry
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        yield Damaged(line + 1, f"the compressed file is cut off or damaged from here on ({error}).")
