"""A stored study of our own, read back as a recorded space."""

from __future__ import annotations

from ...cache.records import Failure, Record
from ...cache.store import Store
from ...spaces.errors import NoAnswer, UsageError
from ...templates.catalogue import ops
from .recorded import Recorded, Tried, from_tried


def from_store(store: Store, prefix: str) -> Recorded:
    """The study whose best config, or whose key, has a digest that begins so: every config that it tried.

    Costs are not stored.
    Raises: NoAnswer where there is none, UsageError where there are several, NoFeasibleConfig if nothing in it ran.
    """
    kept = [record for op in ops() for record in store.candidates(op)]
    best = [record for record in kept if record.config.digest.startswith(prefix)]
    best = best or sorted((r for r in kept if r.key.digest.startswith(prefix)), key=_us)[:1]
    if not best:
        raise NoAnswer(
            f'no study has a best config whose digest begins with "{prefix}", and no file is called so. '
            "`tune lookup … --json` says the digest of a best config; --db names another database."
        )
    if len(best) > 1:
        named = "; ".join(f"{record.key.digest} is {_name(record)}" for record in best)
        raise UsageError(f'"{prefix}" is the best config of {len(best)} studies. Name one by its key: {named}.')
    return from_records(best[0], store.records(best[0].key))


def from_records(best: Record, records: list[Record]) -> Recorded:
    """The configs that were tried of the template of `best`, among the records of its key."""
    tried = [
        Tried(record.config, None, record.outcome)
        if isinstance(record.outcome, Failure)
        else Tried(record.config, record.outcome.median_us)
        for record in records
        if record.template_digest == best.template_digest
    ]
    notes = ["a study does not try all of its space: the space is the configs it tried"]
    return from_tried(_name(best), tried, notes)


def _us(record: Record) -> float:
    return float("inf") if record.ranked_us is None else record.ranked_us


def _name(record: Record) -> str:
    problem, target = record.key.problem, record.key.target
    return f"{problem.op} {ops()[problem.op].shape_of(problem)} {problem['dtype']} on {target.name}, {record.template}"
