"""Paging: records in order of arrival, a bounded number at a time, and the cursor that says where to go on."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ..spaces.errors import UsageError
from .records import Record
from .refusals import printable

MOST_PER_PAGE = 500

_CURSOR = re.compile("r([0-9a-f]{1,16})")
_LARGEST_ID = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Page:
    """Some records, and where the next ones begin; None after the last."""

    records: tuple[Record, ...]
    next: str | None


def cursor_after(row_id: int) -> str:
    """The cursor that goes on after this row."""
    return f"r{row_id:x}"


def row_id_of(cursor: str | None) -> int:
    """The row a cursor goes on after; 0 before the first. Raises: UsageError for what no page gave."""
    if cursor is None:
        return 0
    match = _CURSOR.fullmatch(cursor)
    if match is None or (row_id := int(match[1], 16)) > _LARGEST_ID:
        raise UsageError(
            f'cursor is "{printable(cursor, 60)}": give `next` of the page before as it came, or none to begin.'
        )
    return row_id


def checked_limit(limit: int) -> int:
    """The limit. Raises: UsageError beyond what one page may hold."""
    if not 1 <= limit <= MOST_PER_PAGE:
        raise UsageError(f"limit is {limit}: a page holds 1 to {MOST_PER_PAGE} records.")
    return limit


def every_record(read: Callable[[str | None], Page]) -> Iterator[Record]:
    """The records of all pages, in order of arrival; a page is read, by its cursor, when the one before is used up."""
    page = read(None)
    yield from page.records
    while page.next is not None:
        page = read(page.next)
        yield from page.records
