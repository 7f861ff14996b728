"""A generation as one file: a header and its answers as lines of canonical JSON, packed where the name ends in .gz."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Sequence
from datetime import datetime
from io import BytesIO
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, cast

from ..spaces.errors import StoreError
from .generation_format import damaged, lines_of, read
from .generations import MOST_LISTED, Frozen, FrozenAnswer, Generation, Rule, digest_of
from .refusals import ReadOnly, printable, unknown_generation

SCHEME = "generation:"
"""How the URL of such a file begins, where that of a database may stand: `generation:/srv/kernels.jsonl.gz`."""

_GZIP = b"\x1f\x8b"


class FileGenerations:
    """The one generation of a file, read whole and checked; the file is not looked at again. Takes no records."""

    def __init__(self, where: str, generation: Generation, answers: Sequence[FrozenAnswer]) -> None:
        self.where, self.number = where, generation.number
        self._generation = generation
        self._answers = tuple(answers)
        self._of_problem: dict[str, list[FrozenAnswer]] = {}
        for frozen in answers:
            self._of_problem.setdefault(frozen.problem_digest, []).append(frozen)

    @classmethod
    def load(cls, path: Path) -> FileGenerations:
        """Raises: StoreError for a file that cannot be read, is no generation, damaged, or of a newer kerntune."""
        try:
            with path.open("rb") as file:
                packed = file.read(2) == _GZIP
                file.seek(0)
                with cast("IO[bytes]", gzip.open(file)) if packed else file as lines:
                    return cls(str(path), *read(path, lines))
        except OSError as error:
            if isinstance(error, gzip.BadGzipFile):
                damaged(path, str(error))
            raise StoreError(
                f"{path} cannot be read: {error.strerror or error}. Name a file that "
                "`tune generations export` wrote, as generation:FILE (--db, KERNTUNE_DB)."
            ) from None
        except (EOFError, zlib.error) as error:
            damaged(path, str(error))

    def freeze(self, rule: Rule, created_by: str, note: str, now: datetime) -> Frozen:
        raise ReadOnly(no_records(self.where))

    def generations(self, before: int | None = None, limit: int = MOST_LISTED) -> list[Generation]:
        return [self._generation][:limit] if before is None or self.number < before else []

    def generation(self, number: int) -> Generation:
        if number != self.number:
            raise unknown_generation(number, self.number)
        return self._generation

    def frozen(self, number: int, problem_digest: str | None = None) -> list[FrozenAnswer]:
        self.generation(number)
        return list(self._answers if problem_digest is None else self._of_problem.get(problem_digest, ()))

    def close(self) -> None:
        """Nothing to let go of: it is read."""


def is_file_url(url: str) -> bool:
    """Whether a URL names a generation's file, and no database."""
    return url.startswith(SCHEME)


def path_of(url: str) -> Path:
    """The file of `generation:FILE` or `generation:///FILE`. Raises: StoreError where none is named."""
    text = url.removeprefix(SCHEME)
    if text.startswith("///"):
        text = text[2:]
    if not text or "\0" in text:
        raise StoreError(f'"{printable(url, 200)}" names no file: write generation:/folder/file.jsonl (KERNTUNE_DB).')
    return Path(os.path.expanduser(text)).absolute()  # noqa: PTH111 - Path's own raises for ~nobody


def no_records(where: str) -> str:
    """Why what needs records, or makes them, is refused."""
    return (
        f"{printable(where, 200)} is a frozen generation: it answers lookups (tune lookup, kerntune.lookup, "
        "kerntune.ops, tune serve) and neither holds records nor takes them. "
        "Name a database by --db or KERNTUNE_DB for anything else."
    )


def export(generation: Generation, answers: Sequence[FrozenAnswer], path: Path) -> int:
    """Write the file whole, or not at all; its size in bytes. The same generation is the same bytes.

    Raises: StoreError where it cannot be written, or where the answers are not what was frozen.
    """
    if len(answers) != generation.answers or digest_of(answers) != generation.digest:
        raise StoreError(
            f"generation {generation.number} is damaged: its answers are not those that were frozen "
            f"(digest {generation.digest}). Put a copy of the database back, or export another generation."
        )
    data = "".join(lines_of(generation, answers)).encode()
    if path.name.endswith(".gz"):
        buffer = BytesIO()
        with gzip.GzipFile(filename="", fileobj=buffer, mode="wb", mtime=0) as packed:  # no name, no time in it
            packed.write(data)
        data = buffer.getvalue()
    _write(path, data)
    return len(data)


def _write(path: Path, data: bytes) -> None:
    """Beside it first, flushed, then renamed: who opens it meanwhile sees the old file or the new one."""
    try:
        with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as made:
            try:
                made.write(data)
                made.flush()
                os.fchmod(made.fileno(), 0o644)  # it is there to be given to others
                os.fsync(made.fileno())
                Path(made.name).replace(path)
            except OSError:
                Path(made.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise StoreError(
            f"{path} cannot be written: {error.strerror}. Name a file in a folder that is there and yours to write to."
        ) from None
