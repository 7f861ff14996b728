"""What POST /v1/jobs asks for, made into a query and a wish."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..cache.checked import whole
from ..cache.jobs import MAX_PRIORITY
from ..spaces.targets import DeviceKind, Target
from ..tuner.job_words import Wish
from ..tuner.lookup import Query, Stated
from .asked import Asked, asked_from
from .queries import KIND_WORDS, UnknownDevice, place_from, query_at, with_registered
from .services import JobServices

WISH = asdict(Wish())


@dataclass(frozen=True, slots=True)
class Submission:
    """A study that is asked for."""

    query: Query
    wish: Wish
    priority: int


def submission_from(body: Mapping[str, Any], services: JobServices) -> Submission:
    """The study that this body asks for; what it leaves out, or says null to, takes its default.

    Raises: UsageError where the words are off, UnknownDevice or UnknownTarget for a place that is not known.
    """
    asked = asked_from(body, [*WISH, "priority"], "a job")
    priority = body.get("priority")
    return Submission(
        query_for_job(asked, services),
        wish_from(body),
        0 if priority is None else whole(priority, "priority", 0, MAX_PRIORITY),
    )


def wish_from(body: Mapping[str, Any]) -> Wish:
    """How to tune, of those words of a body that say so. Raises: UsageError."""
    return Wish.from_json({**WISH, **{word: body[word] for word in WISH if body.get(word) is not None}})


def query_for_job(asked: Asked, services: JobServices) -> Query:
    """The query of these words, at a place where a job may run. Raises: UsageError, UnknownDevice, UnknownTarget."""
    where, kind = _place(asked.values, services)
    return query_at(asked.op, asked.dims, asked.values, where, kind)


def _place(values: Mapping[str, Any], services: JobServices) -> tuple[Target | Stated, DeviceKind]:
    """Where the job is to run: a target that is known or registered, a device that is known, or any of a kind."""
    targets = with_registered(services.targets(), values["target"], services.target)
    try:
        return place_from(values, targets)
    except UnknownDevice as error:
        kind = KIND_WORDS.get(values["device"] or "")
        if kind is None:
            advice = "Name its target by digest, once it is registered (POST /v1/targets), or gpu or cpu for any."
            raise UnknownDevice(f"{error} {advice}", error.known) from None
        return Stated(kind), kind  # nothing is known of such a device yet: any may have it
