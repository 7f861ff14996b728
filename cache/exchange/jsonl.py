"""JSON lines: a header, then a record a line, with every field to the last bit."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import IO, Any

from ...spaces.errors import UsageError
from ..checked import whole
from ..records import Record
from ..refusals import printable
from ..wire_records import record_from_json, record_to_json
from .formats import Damaged, Format, Read

VERSION = 1
HEADER = {"kerntune": "records", "version": VERSION}
MOST_LINE_BYTES = 8 * 2**20


class JsonLines:
    """The format `jsonl`; reading holds a line in memory, and no more."""

    summary = "every record with every sample, a line of JSON each"

    def write(self, records: Iterable[Record], out: IO[bytes]) -> int:
        out.write(_line(HEADER))
        count = 0
        for record in records:
            out.write(_line(record_to_json(record)))
            count += 1
        return count

    def read(self, file: IO[bytes]) -> Iterator[Read | Damaged]:
        _check_header(file.readline(MOST_LINE_BYTES))
        number = 1
        while line := file.readline(MOST_LINE_BYTES):
            number += 1
            whole_line = line.endswith(b"\n")
            if not whole_line and len(line) == MOST_LINE_BYTES:
                _skip_line(file)
                yield Damaged(number, f"the line is longer than {MOST_LINE_BYTES:,} bytes.")
            elif line.strip():
                yield _read(line, number, "" if whole_line else " The file ends here: was it cut off?")


FORMAT: Format = JsonLines()


def _line(data: dict[str, Any]) -> bytes:
    return json.dumps(data, allow_nan=False, separators=(",", ":")).encode() + b"\n"


def _read(line: bytes, number: int, hint: str) -> Read | Damaged:
    try:
        return Read(number, record_from_json(_parsed(line)))
    except UsageError as error:
        return Damaged(number, printable(f"{error}{hint}", 500))


def _parsed(line: bytes) -> Any:
    try:
        return json.loads(line)
    except UnicodeDecodeError:
        said = "not UTF-8 text"
    except RecursionError:
        said = "nested too deep"
    except ValueError as error:
        said = str(error)
    raise UsageError(f"no JSON ({said}).")


def _check_header(line: bytes) -> None:
    """Raises: UsageError where the file is none of ours, or of a newer version."""
    try:
        header = json.loads(line.removeprefix(b"\xef\xbb\xbf"))
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict) or header.get("kerntune") != HEADER["kerntune"]:
        raise UsageError(
            f"line 1 is no header of kerntune's records, which is {json.dumps(HEADER)}: was the file written by "
            "`tune export --format jsonl`, and is it whole?"
        )
    version = whole(header.get("version"), "version in line 1", 1)
    if version > VERSION:
        raise UsageError(f"the file is of version {version}, written by a newer kerntune: this one reads {VERSION}.")


def _skip_line(file: IO[bytes]) -> None:
    while (rest := file.readline(MOST_LINE_BYTES)) and not rest.endswith(b"\n"):
        pass
