"""Importing: records of a file into a store. Nothing that is kept is changed, nothing that disagrees is lost."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from ...spaces.canonical import digest
from ...spaces.errors import StoreError
from ..records import Record, RecordKey
from ..refusals import printable
from ..rules import at_the_door
from ..store import Store
from ..wire_records import record_digest, record_to_json
from .formats import Damaged, Read

AT_ONCE = 200
"""Records that are added in one step."""

KEYS_IN_MEMORY = 500
"""Keys whose records' digests are held; others are read again from the store when they come up again."""

MOST_NAMED = 100
"""Damaged lines, and conflicts, that are named; the others are counted."""

Objection = Callable[[Record], str | None]
_Instant = tuple[str, str, str, datetime]


@dataclass(frozen=True, slots=True)
class Conflict:
    """Records that say other things of the same config at the same instant; all are kept."""

    line: int  # of the later one, from 1
    what: str


@dataclass(slots=True)
class Imported:
    """What became of a file; of what is off, the first MOST_NAMED are named."""

    added: int = 0
    known: int = 0  # kept before, or twice in the file
    damaged: int = 0
    conflicts: int = 0  # their records are added, and counted there
    first_damaged: list[Damaged] = field(default_factory=list)
    first_conflicts: list[Conflict] = field(default_factory=list)

    def note_damage(self, damaged: Damaged) -> None:
        self.damaged += 1
        if len(self.first_damaged) < MOST_NAMED:
            self.first_damaged.append(damaged)

    def note_conflict(self, conflict: Conflict) -> None:
        self.conflicts += 1
        if len(self.first_conflicts) < MOST_NAMED:
            self.first_conflicts.append(conflict)


def import_records(
    store: Store, entries: Iterable[Read | Damaged], objection: Objection, *, keep: bool = True
) -> Imported:
    """Add every record to which there is no objection; without `keep`, only say what would become of them.

    Raises: StoreError; what was added by then is kept.
    """
    done = Imported()
    known = _KnownKeys(store)
    waiting: list[Record] = []
    for entry in entries:
        if isinstance(entry, Damaged):
            done.note_damage(entry)
            continue
        said = objection(entry.record)
        if said is not None:
            done.note_damage(Damaged(entry.line, printable(said, 500)))
            continue
        record = at_the_door(entry.record)
        if not known.is_new(record):
            done.known += 1
            continue
        if known.disagrees(record):
            done.note_conflict(Conflict(entry.line, _named(record)))
        known.take(record)
        if not keep:
            done.added += 1
            continue
        waiting.append(record)
        if len(waiting) == AT_ONCE:
            _add(store, waiting, done)
            known.forget_oldest()
    _add(store, waiting, done)
    return done


def _add(store: Store, waiting: list[Record], done: Imported) -> None:
    if not waiting:
        return
    try:
        added = store.add_many(waiting)
    except StoreError as error:
        raise StoreError(
            f"{error} {done.added:,} records of the file were added before that: import it again, and they are known."
        ) from None
    done.added += added
    done.known += len(waiting) - added  # somebody else added the same meanwhile
    waiting.clear()


@dataclass(slots=True)
class _Known:
    """What is known of one key: every record, and what was said of each config at each instant."""

    records: set[str] = field(default_factory=set)
    said: dict[_Instant, set[str]] = field(default_factory=dict)

    def take(self, record: Record) -> None:
        self.records.add(record_digest(record))
        self.said.setdefault(_instant(record), set()).add(_result(record))


class _KnownKeys:
    """What the store, and the file so far, say of a key; the keys used last stay in memory."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._keys: OrderedDict[RecordKey, _Known] = OrderedDict()

    def is_new(self, record: Record) -> bool:
        return record_digest(record) not in self._of(record.key).records

    def disagrees(self, record: Record) -> bool:
        said = self._of(record.key).said.get(_instant(record), set())
        return bool(said) and _result(record) not in said

    def take(self, record: Record) -> None:
        self._of(record.key).take(record)

    def forget_oldest(self) -> None:
        """Let go of all keys but those used last; only when everything taken is in the store."""
        while len(self._keys) > KEYS_IN_MEMORY:
            self._keys.popitem(last=False)

    def _of(self, key: RecordKey) -> _Known:
        known = self._keys.get(key)
        if known is None:
            known = self._keys[key] = _Known()
            for record in self._store.records(key):
                known.take(record)
        self._keys.move_to_end(key)
        return known


def _instant(record: Record) -> _Instant:
    """What only one result can belong to."""
    return record.template_digest, record.config.digest, record.phase, record.recorded_at


def _result(record: Record) -> str:
    """Identity of what came of it, whoever says so."""
    said = record_to_json(record)
    return digest({name: said[name] for name in ("measurement", "failure", "baseline", "verdict")})


def _named(record: Record) -> str:
    """A record in a line, as a message names it."""
    problem = " ".join(f"{name}={value}" for name, value in record.key.problem.as_dict().items() if name != "op")
    config = f"{record.template} {record.config.digest[:8]} of {record.recorded_at:%Y-%m-%d %H:%M:%S}"
    return printable(f"{record.key.problem.op} {problem} on {record.key.target.name}: {config}", 500)
