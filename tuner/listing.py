"""Listing: the best that is known of every problem, on every device it was measured on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..cache.records import Answer, Record, RecordKey
from ..cache.rules import winner
from ..cache.store import Store
from ..templates import catalogue
from .lookup import TEMPLATE, answer_from


@dataclass(frozen=True, slots=True)
class Filter:
    """Which answers are wanted; an empty field wants all."""

    ops: tuple[str, ...] = ()
    device: str = ""  # a part of its name, in any case
    dtype: str = ""
    template: str = ""

    def wants(self, record: Record) -> bool:
        """Whether it is of such a device, dtype and template; the ops are the reader's matter."""
        named = self.device.casefold() in record.key.target.name.casefold()
        typed = self.dtype in ("", record.key.problem["dtype"])
        return named and typed and self.template in ("", record.template)


def listed_answers(store: Store, wanted: Filter = Filter()) -> list[Answer]:
    """The answer of every key, as a lookup at that very place gives it, in order of op, device, words and dims.

    A time of a template that was edited since is stale, and says so; what the tools are here is not asked.
    Raises: StoreError.
    """
    answers = []
    for op in wanted.ops or catalogue.ops():
        digests = catalogue.digests(op)
        for best in _best_of_keys(record for record in store.candidates(op) if wanted.wants(record)):
            now = digests.get(best.template, best.template_digest)
            edited = f"{TEMPLATE}{best.template}: {now[:8]} here, {best.template_digest[:8]} stored"
            assert best.measurement is not None
            answers.append(answer_from(best, best.measurement, () if now == best.template_digest else (edited,)))
    return answers


def _best_of_keys(records: Iterable[Record]) -> list[Record]:
    """The best record of each key among the best of each key and template."""
    of_key: dict[RecordKey, list[Record]] = {}
    for record in records:
        of_key.setdefault(record.key, []).append(record)
    found = [best for known in of_key.values() if (best := winner(known)) is not None]
    return sorted(found, key=_order)


def _order(record: Record) -> tuple[str, list[str], list[int], str]:
    """Devices by name, then problems by their words and their dims, in the order of --shape; then other tools."""
    problem = record.key.problem
    words = [str(problem[field.name]) for field in catalogue.op_named(problem.op).fields if field.choices]
    dims = [problem.dim(letter) for letter in catalogue.op_named(problem.op).letters]
    return record.key.target.name, words, dims, record.key.digest
