"""A job's words, checked against what there is here before anything is made of them: a server is a stranger."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...cache.records import Policy, RecordKey
from ...cache.refusals import printable
from ...cache.remote_jobs import Claimed
from ...spaces.errors import UsageError
from ...templates.catalogue import op_named, templates_named
from .. import tuning
from ..budget import Budget
from ..hosts import Host
from ..job_words import JobWords
from ..samplers import check_name


def request_of(claimed: Claimed) -> tuple[tuning.Request, JobWords]:
    """What is to be tuned, and how. Raises: UsageError where an op, a template or a sampler is none of ours."""
    words = JobWords.from_json(claimed.request)
    if words.op != claimed.op:
        raise UsageError(f"the job is of {claimed.op}, its words of {words.op}.")
    check_name(words.wish.sampler)
    op_named(words.op)
    templates_named(words.op, words.wish.templates)
    request = tuning.Request(
        op=words.op,
        fields=words.fields,
        templates=words.wish.templates,
        budget=Budget(words.wish.trials, words.wish.time_s),
        sampler=words.wish.sampler,
        seed=words.wish.seed,
        policy=words.policy,
        force=words.wish.force,
    )
    return request, words


def key_of(words: JobWords, host: Host) -> RecordKey:
    """The key of the times that are wanted. Raises: UsageError where they could not be taken here."""
    target = host.target
    if words.kind != target.kind or (words.target or words.device) not in (target.digest, target.name, target.kind):
        raise UsageError(
            f"the job is for {words.target or words.device} ({words.kind}), and this is {target.name} "
            f"({target.kind}, digest {target.digest})."
        )
    problem = op_named(words.op).problem(target.kind, **words.fields)
    made: Mapping[str, Any] = dict(problem.fields)
    for name in {**made, **words.fields}:
        if made.get(name) != words.fields.get(name):
            said = f"{words.op}.{printable(name, 60)} is {words.fields.get(name)!r} in the job"
            raise UsageError(f"{said}, and {made.get(name)!r} here: server and worker are of different versions.")
    return RecordKey(problem, target, Policy.named(target.kind, words.policy))
