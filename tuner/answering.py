"""Answering: what one store says to a query, for this machine's callers and the server's alike."""

from __future__ import annotations

from ..cache.records import Answer, Match
from ..cache.store import Store
from ..templates import catalogue
from . import lookup
from .lookup import Query


def answer(store: Store, query: Query, min_match: Match = "stale") -> Answer | None:
    """The best answer known, no farther than `min_match`: of the problem itself, of another shape, or foretold.

    Raises: StoreError, UnknownName.
    """
    op = query.problem.op
    digests = catalogue.digests(op)
    found = lookup.rank(query, store.candidates(op, query.problem.digest), min_match, digests)
    if found is not None or min_match not in ("near", "model"):
        return found
    from .near_answers import near_answer  # its models take 0.2 s to import

    near = near_answer(store, query, digests)
    if near is not None or min_match == "near":
        return near
    from .model_answers import model_answer

    return model_answer(store, query)


def explain_miss(store: Store, query: Query) -> list[str]:
    """What the nearest record differs in: of the problem itself, else of the whole op. Raises: StoreError."""
    op = query.problem.op
    return lookup.explain_miss(query, store.candidates(op, query.problem.digest) or store.candidates(op))
