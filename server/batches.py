"""What POST /v1/lookup asks: many problems, each judged and answered for itself."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, get_args

from ..cache.checked import mapping, one_of, shown, whole
from ..cache.records import Match
from ..cache.refusals import printable
from ..cache.wire import answer_to_json
from ..spaces.errors import KerntuneError, StoreError, UnknownName, UsageError
from ..spaces.targets import TOOLCHAIN_FIELDS, Target
from ..tuner.job_words import Wish
from ..tuner.lookup import Query
from .asked import PLACE, Asked, asked_from, checked_word
from .errors import Forbidden, TooOften, kind_of, quoted
from .queries import place_from, query_at, with_registered
from .services import JobServices, Services
from .submissions import query_for_job, wish_from

MOST_PROBLEMS = 500
SHARED = (*PLACE, *TOOLCHAIN_FIELDS, "policy", "min_match")
"""Words that may be said once for all problems of a batch; a problem's own word counts more."""
LARGEST_NUMBER = 2**31 - 1

Reply = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Batch:
    """Problems as they were written, and what is asked of all of them."""

    problems: tuple[Mapping[str, Any], ...]
    generation: int | None
    wish: Wish | None  # how to tune what is missed; None: not at all

    @staticmethod
    def of(body: Mapping[str, Any], scopes: frozenset[str] | None) -> Batch:
        """The batch in a body; `scopes` are those of the key, None where none is needed.

        Raises: UsageError, Forbidden where a job is wanted that the key may not ask for.
        """
        known = ["problems", "on_miss", "generation", *SHARED, *asdict(Wish())]
        for word in body:
            if word not in known:
                raise UnknownName(quoted(word), "a word of a batch", known)
        problems = body.get("problems")
        if not isinstance(problems, list) or not 1 <= len(problems) <= MOST_PROBLEMS:
            raise UsageError(f"problems is {shown(problems)}: it takes a list of 1 to {MOST_PROBLEMS} problems.")
        shared = {word: checked_word(word, body[word]) for word in SHARED if body.get(word) is not None}
        each = [{**shared, **mapping(one, f"problems[{place}]")} for place, one in enumerate(problems)]
        generation, wish = body.get("generation"), wish_from(body)
        if body.get("on_miss") is not None:
            one_of(body["on_miss"], "on_miss", ("tune",))
            if scopes is not None and "submit" not in scopes:
                raise Forbidden('on_miss "tune" makes jobs: it needs a key with scope submit.')
        return Batch(
            tuple(each),
            None if generation is None else whole(generation, "generation", 1, LARGEST_NUMBER),
            wish if body.get("on_miss") else None,
        )


def replies(
    batch: Batch,
    services: Services,
    jobs: JobServices | None,
    asked_by: str,
    submit_wait_s: Callable[[], float] = lambda: 0.0,
) -> list[Reply]:
    """What is said to each problem, in order. `submit_wait_s` counts a job that is asked for: in how many seconds it
    may be.

    Raises: UnknownGeneration, StoreError, UsageError where there are no jobs.
    """
    if batch.wish is not None and jobs is None:
        raise UsageError("on_miss: this server runs no jobs; leave the word out.")
    pinned = services.pinned(batch.generation)
    targets = services.targets() if pinned is None else []

    def reply(words: Mapping[str, Any]) -> Reply:
        asked = asked_from(words, [*TOOLCHAIN_FIELDS, "min_match"], "a lookup")
        accepted = one_of(words.get("min_match") or "stale", "min_match", get_args(Match))
        if pinned is not None:
            frozen = pinned.answer(_query(asked, pinned.targets_with(asked.values["target"])), accepted)
            return _said(answer=None if frozen is None else json.loads(frozen.text))
        query = query_for_job(asked, jobs) if batch.wish and jobs else _query(asked, _registered(asked, targets, jobs))
        answer = services.lookup(query, accepted)
        if answer is not None:
            return _said(answer=answer_to_json(answer))
        if jobs is None:
            return _said()
        if batch.wish is None:
            jobs.note_miss(query)
            return _said()
        if wait_s := submit_wait_s():
            raise TooOften(f"the key asks for more jobs than it may: come again in {wait_s:.1f} s.", math.ceil(wait_s))
        (job,) = jobs.missed([query], batch.wish, asked_by)
        meanwhile = jobs.known_meanwhile(query)
        return _said(job=job.id, meanwhile=None if meanwhile is None else answer_to_json(meanwhile))

    return [_judged(reply, words) for words in batch.problems]


def _judged(reply: Any, words: Mapping[str, Any]) -> Reply:
    """The reply, or why there is none; a store that is away is everybody's trouble."""
    try:
        return dict(reply(words))
    except StoreError:
        raise
    except KerntuneError as error:
        kind = kind_of(error)
        said = {"type": kind.type, "title": kind.title, "status": kind.status, "detail": printable(str(error))}
        return _said(refusal=said)


def _said(**words: Any) -> Reply:
    return {"answer": None, "job": None, "meanwhile": None, "refusal": None} | words


def _registered(asked: Asked, targets: Sequence[Target], jobs: JobServices | None) -> Sequence[Target]:
    return with_registered(targets, asked.values["target"], jobs.target) if jobs else targets


def _query(asked: Asked, targets: Sequence[Target]) -> Query:
    where, kind = place_from(asked.values, targets)
    return query_at(asked.op, asked.dims, asked.values, where, kind)
