"""Making a job of a query: its key, its words, and what a worker needs to run it. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from ..cache.jobs import Miss, NewJob
from ..cache.records import RecordKey
from ..spaces.canonical import digest
from ..spaces.errors import NoFeasibleConfig
from ..spaces.targets import DeviceKind, Target
from ..templates.catalogue import op_named, templates_named
from ..templates.template import KernelTemplate
from .job_words import JobWords, Wish
from .lookup import Query
from .samplers import check_name

MOST_FLOP = 10**21


def new_job(query: Query, wish: Wish, targets: Sequence[Target], priority: int = 0, asked_by: str = "") -> NewJob:
    """The job that answers a query; `targets` are those that are known.

    Raises: UnknownName for a sampler or template there is not, NoFeasibleConfig where no template can compute it,
    UsageError for words that no worker would take.
    """
    check_name(wish.sampler)
    words = JobWords.from_json(_words(query, wish, targets).to_json())  # as its worker will read them
    return NewJob(
        key_digest=key_digest(query),
        op=query.problem.op,
        request=words.to_json(),
        place=words.target or words.device or words.kind,
        backends=_backends(query, words, targets),
        priority=priority,
        created_by=asked_by,
    )


def miss(query: Query, targets: Sequence[Target], count: int = 1) -> Miss:
    """That a query had no answer, so often."""
    flop = query.problem.symbols().get("flops", 0)
    gflop = min(int(flop), MOST_FLOP) / 1e9
    return Miss(key_digest(query), query.problem.op, _words(query, Wish(), targets).to_json(), gflop, count)


def key_digest(query: Query) -> str:
    """Of problem, place and policy. A device by name is another place than one of its targets."""
    if isinstance(query.where, Target):
        return RecordKey(query.problem, query.where, query.policy).digest
    where = {"problem": query.problem.digest, "device": query.where.device, "policy": query.policy.as_dict()}
    return digest(where)


def _words(query: Query, wish: Wish, targets: Sequence[Target]) -> JobWords:
    where = query.where
    return JobWords(
        op=query.problem.op,
        fields=dict(query.problem.fields),
        kind=_kind(query, targets),
        policy=query.policy.cache,
        device=None if isinstance(where, Target) else where.device,
        target=where.digest if isinstance(where, Target) else None,
        wish=wish,
    )


def _kind(query: Query, targets: Sequence[Target]) -> DeviceKind:
    """Of the place; a device that nothing is known of is named by its kind."""
    if isinstance(query.where, Target):
        return query.where.kind
    named = (target.kind for target in targets if target.name == query.where.device)
    return next(named, "cpu" if query.where.device == "cpu" else "gpu")


def _backends(query: Query, words: JobWords, targets: Sequence[Target]) -> tuple[str, ...]:
    """Those of the templates that can compute the problem at one of its places: a worker needs one of them."""
    where = query.where
    places = [where] if isinstance(where, Target) else [target for target in targets if target.name == where.device]
    reasons = {t: _why_not(t, query, words.kind, places) for t in templates_named(words.op, words.wish.templates)}
    fitting = {template.backend for template, reason in reasons.items() if reason is None}
    if not fitting:
        shape = op_named(words.op).shape_of(query.problem)
        said = "; ".join(f"{template.name}: {reason}" for template, reason in reasons.items())
        raise NoFeasibleConfig(f"no template can compute {words.op} {shape} there. {said}.")
    return tuple(sorted(fitting))


def _why_not(template: KernelTemplate, query: Query, kind: DeviceKind, places: Sequence[Target]) -> str | None:
    """Why a template is of no use there; of places that are not known only the kind counts."""
    if (template.backend == "cpu") != (kind == "cpu"):
        return f"it runs on {template.backend}, not on this {kind}"
    refusals = [template.supports(query.problem, place) for place in places]
    return None if not refusals or None in refusals else refusals[0]
