"""The lines of an exported generation: a header and its answers, each canonical JSON; written, read and checked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, NoReturn

from ..spaces.canonical import canonical_json
from ..spaces.errors import StoreError, UsageError
from . import checked
from .generations import MOST_NOTE_CHARS, FrozenAnswer, Generation, digest_of, frozen_from_text
from .refusals import printable
from .wire import stamp_from_text, stamp_to_text

VERSION = 1
KIND = "generation"
MOST_LINE_BYTES = 2**20
MOST_ANSWERS = 1_000_000
MOST_FILE_BYTES = 2**31
"""Unpacked; some 2 KiB an answer."""


def lines_of(generation: Generation, answers: Sequence[FrozenAnswer]) -> Iterator[str]:
    """The file, line by line."""
    body = [frozen.text + "\n" for frozen in answers]
    header = {
        "kerntune": KIND,
        "version": VERSION,
        "number": generation.number,
        "digest": generation.digest,
        "answers": generation.answers,
        "created_at": stamp_to_text(generation.created_at),
        "created_by": generation.created_by,
        "note": generation.note,
    }
    yield canonical_json({**header, "sha256": _checksum(header, body)}) + "\n"
    yield from body


def _checksum(header: dict[str, Any], body: Iterable[str]) -> str:
    """SHA-256 of the header without it, and of every line."""
    hashed = hashlib.sha256(canonical_json(header).encode() + b"\n")
    for line in body:
        hashed.update(line.encode())
    return hashed.hexdigest()


def read(path: Path, file: IO[bytes]) -> tuple[Generation, list[FrozenAnswer]]:
    """What `lines_of` wrote. Raises: StoreError, which names the path, for anything else."""
    header = _header(path, _line(path, file))
    try:
        generation = _generation(header)
    except (UsageError, ValueError) as error:
        damaged(path, str(error))
    answers: list[FrozenAnswer] = []
    size = 0
    while line := _line(path, file):
        size += len(line)
        if size > MOST_FILE_BYTES or len(answers) == generation.answers:
            damaged(path, f"it goes on after its {generation.answers:,} answers")
        try:
            answers.append(frozen_from_text(line.removesuffix("\n")))
        except UsageError as error:
            damaged(path, f"line {len(answers) + 2}: {error}")
        if not line.endswith("\n"):
            damaged(path, "its last line is cut off")
    if len(answers) < generation.answers:
        damaged(path, f"it has {len(answers):,} of its {generation.answers:,} answers")
    said = header.pop("sha256", None)
    if said != _checksum(header, (frozen.text + "\n" for frozen in answers)):
        damaged(path, "its checksum is of other answers")
    keys = [frozen.key_digest for frozen in answers]
    numbers = {frozen.answer.generation for frozen in answers}
    if digest_of(answers) != generation.digest or keys != sorted(set(keys)) or numbers - {generation.number}:
        damaged(path, "its answers are not those of the generation it names")
    return generation, answers


def _header(path: Path, line: str) -> dict[str, Any]:
    """The header. Raises: StoreError where it is none, or one of a newer kerntune."""
    try:
        header = json.loads(line)
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict) or header.get("kerntune") != KIND:
        raise StoreError(f"{path} is no generation that kerntune exported (tune generations export N FILE).")
    version = header.get("version")
    if isinstance(version, int) and version > VERSION:
        raise StoreError(
            f"{path} was written by a newer kerntune (format {version}; this one reads {VERSION}). "
            "Upgrade kerntune here, or export the generation again with this version."
        )
    return header


def _generation(header: dict[str, Any]) -> Generation:
    checked.one_of(checked.member(header, "version"), "version", (VERSION,))
    return Generation(
        checked.whole(checked.member(header, "number"), "number", 1, 2**31 - 1),
        checked.digest(checked.member(header, "digest"), "digest"),
        stamp_from_text(checked.text(checked.member(header, "created_at"), "created_at", 40)),
        checked.text(checked.member(header, "created_by"), "created_by", 200),
        checked.text(checked.member(header, "note"), "note", MOST_NOTE_CHARS),
        checked.whole(checked.member(header, "answers"), "answers", 1, MOST_ANSWERS),
    )


def _line(path: Path, file: IO[bytes]) -> str:
    """The next line; empty after the last."""
    line = file.readline(MOST_LINE_BYTES + 1)
    if len(line) > MOST_LINE_BYTES:
        damaged(path, f"a line is longer than {MOST_LINE_BYTES:,} bytes")
    try:
        return line.decode("ascii")
    except UnicodeDecodeError:
        damaged(path, "it holds bytes that no generation does")


def damaged(path: Path, why: str) -> NoReturn:
    """Raises: StoreError."""
    raise StoreError(
        f"{path} is damaged: {printable(why, 300)}. Copy it again, or export the generation again."
    ) from None
