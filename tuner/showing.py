"""Showing: what a digest names, with all the evidence there is, and the kernel itself."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..cache.evidence import Evidence, Match, Named, Trouble
from ..cache.records import Measurement, Record, RecordKey
from ..cache.rules import standing
from ..cache.store import Store
from ..cache.studies import Studies, StudyLog
from ..cache.wire import stamp_to_text
from ..cache.wire_records import key_to_json, record_to_json
from ..spaces.errors import NoAnswer, SpaceError, UsageError
from ..templates.catalogue import op_named, templates_named
from ..templates.template import Candidate

LEAST_CHARS = 4
_DIGEST = re.compile(r"[0-9a-f]{4,32}")


@dataclass(frozen=True, slots=True)
class KeyEvidence:
    """What is known of one key: of the digest's records, those that stand first."""

    key: RecordKey
    records: Sequence[Record]  # those that may be the best first, the best of them first; then the others, newest first
    digests: Sequence[str]  # of the records
    troubles: Sequence[Trouble]
    studies: Sequence[StudyLog]


@dataclass(frozen=True, slots=True)
class Shown:
    """What a digest names."""

    named: Named
    digest: str
    keys: Sequence[KeyEvidence]  # the newest first

    @property
    def record(self) -> Record:
        """The one record that stands for all: the best of the newest key."""
        return self.keys[0].records[0]


def found(prefix: str, evidence: Evidence) -> list[Match]:
    """What one digest names, with each key of it. Raises: UsageError, NoAnswer where none or several begin so."""
    text = prefix.lower()
    if not _DIGEST.fullmatch(text):
        raise UsageError(f'"{prefix[:40]}" is no digest: give its first {LEAST_CHARS} to 32 signs of 0-9 and a-f.')
    matches = evidence.matches(text)
    digests = {(match.named, match.digest) for match in matches}
    if not digests:
        raise NoAnswer(f'no config, problem, key, target or record is known that begins "{text}". See: tune list')
    if len({digest for _, digest in digests}) > 1:
        said = ", ".join(f"{named} {digest}" for named, digest in sorted(digests)[:8])
        raise UsageError(f'"{text}" begins {len(digests)} digests: {said}. Give more of it.')
    return matches


def shown(prefix: str, evidence: Evidence, store: Store, studies: Studies) -> Shown:
    """All that is known of what a digest names. Raises: UsageError, NoAnswer, StoreError."""
    matches = found(prefix, evidence)
    named, digest = matches[0].named, matches[0].digest
    keys = []
    for match in matches:
        history = _ordered(of_digest(store.records(match.key), named, digest, evidence))
        if history:
            known = evidence.troubles(match.key), studies.studies(match.key)
            keys.append(KeyEvidence(match.key, history, [evidence.record_digest(r) for r in history], *known))
    if not keys:
        raise NoAnswer(f"what {named} {digest} named was removed meanwhile.")
    return Shown(named, digest, sorted(keys, key=lambda one: max(r.recorded_at for r in one.records), reverse=True))


def of_digest(history: Sequence[Record], named: Named, digest: str, evidence: Evidence) -> list[Record]:
    """Of a key's records those that a digest names; of a key, a problem or a target all."""
    if named == "config":
        return [record for record in history if record.config.digest == digest]
    return [record for record in history if named != "record" or evidence.record_digest(record) == digest]


def _ordered(history: Sequence[Record]) -> list[Record]:
    stand = standing(history)
    rest = [record for record in reversed(history) if not any(record is one for one in stand)]
    return [*stand, *rest]


def is_edited(record: Record) -> bool | None:
    """Whether the record's template reads differently now; None where there is none of its name."""
    now = _templates(record).get(record.template)
    return None if now is None else now != record.template_digest


def _templates(record: Record) -> Mapping[str, str]:
    from ..templates.catalogue import digests, ops

    return digests(record.key.problem.op) if record.key.problem.op in ops() else {}


def candidate_of(record: Record) -> Candidate:
    """The record's kernel, rendered from its template as it is now.

    Raises: UnknownName where there is no such op or template any more; SpaceError where the config is not feasible now.
    """
    op = op_named(record.key.problem.op)
    (template,) = templates_named(op.name, [record.template])
    target = record.key.target
    problem = op.with_facts(record.key.problem, target.kind)  # stores keep none
    refusal = template.supports(problem, target)
    if refusal:
        raise SpaceError(f"{template.name} cannot compute this problem any more: {refusal}.")
    return template.candidate(template.feasible(problem, target), problem, target, record.config)


def as_json(told: Shown) -> dict[str, Any]:
    """Every sample of every record, as the wire has them."""
    return {"named": told.named, "digest": told.digest, "keys": [_key_json(one) for one in told.keys]}


def _key_json(one: KeyEvidence) -> dict[str, Any]:
    return {
        **key_to_json(one.key),
        "digests": {"key": one.key.digest, "problem": one.key.problem.digest, "target": one.key.target.digest},
        "records": [_record_json(r, digest) for r, digest in zip(one.records, one.digests, strict=True)],
        "incidents": [
            {"kind": t.incident.kind, "reason": t.incident.reason, "recorded_at": stamp_to_text(t.at)}
            for t in one.troubles
        ],
        "studies": [study_json(log) for log in one.studies],
    }


def _record_json(record: Record, digest: str) -> dict[str, Any]:
    told = {k: v for k, v in record_to_json(record).items() if k not in ("problem", "target", "policy")}
    outcome = record.outcome
    times = {"median_us": outcome.median_us, "spread_us": outcome.spread_us} if isinstance(outcome, Measurement) else {}
    named = {"digest": digest, "config_digest": record.config.digest}
    return {**named, **told, **times, "edited": is_edited(record)}


def study_json(log: StudyLog) -> dict[str, Any]:
    """What a search cost."""
    words = {n: getattr(log, n) for n in ("seconds", "trials", "sampler", "seed", "stopped", "recorded_by")}
    return {"started_at": stamp_to_text(log.started_at), **words, "templates": list(log.templates)}
