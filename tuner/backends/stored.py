"""A stored study of our own, read back as a recorded space."""

from __future__ import annotations

from ...cache.records import Failure, Record, RecordKey
from ...cache.store import Store
from ...spaces.errors import NoAnswer, UsageError
from ...templates.catalogue import ops
from .recorded import Recorded, Tried, from_tried


def from_store(store: Store, prefix: str) -> Recorded:
    """The study that a digest names: every config that it tried. Costs are not stored.

    Raises: NoAnswer, UsageError (study_named), NoFeasibleConfig if nothing in it ran.
    """
    best = study_named(store, prefix)
    return from_records(best, store.records(best.key))


def study_named(store: Store, prefix: str) -> Record:
    """The best record of the study whose best config, or whose key, has a digest that begins so.

    Raises: NoAnswer where there is none, UsageError where there are several.
    """
    kept = sorted((record for op in ops() for record in store.candidates(op)), key=_us)
    named = [record for record in kept if record.config.digest.startswith(prefix)]
    named = named or [record for record in kept if record.key.digest.startswith(prefix)]
    studies = {record.key.digest: record for record in reversed(named)}  # of each the fastest
    if not studies:
        raise NoAnswer(
            f'no study has a best config whose digest begins with "{prefix}", nor a key of its own. '
            "`tune lookup … --json` says the digest of a best config; --db names another database. "
            "A study in which nothing ran is found by its problem: tune report OP --shape …"
        )
    if len(studies) > 1:
        among = "; ".join(f"{digest} is {_name(record)}" for digest, record in reversed(studies.items()))
        raise UsageError(f'"{prefix}" names {len(studies)} studies. Name one by its key: {among}.')
    return studies.popitem()[1]


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


def title_of(key: RecordKey) -> str:
    """What a study is of, and where: `gemm 512x512x512 fp32 on Model T`."""
    return f"{key.problem.op} {ops()[key.problem.op].shape_of(key.problem)} {key.problem['dtype']} on {key.target.name}"


def _name(record: Record) -> str:
    return f"{title_of(record.key)}, {record.template}"
