"""The bodies of batch lookups, as OpenAPI describes them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from ..cache.records import CacheState, Match
from ..spaces.targets import TOOLCHAIN_FIELDS
from ..templates import catalogue
from ..templates.op import Op
from .batches import LARGEST_NUMBER, MOST_PROBLEMS
from .schemas import AnswerBody, ProblemDetails
from .schemas_jobs import words_of_op, words_of_wish

_TOOLS: dict[str, Any] = {name: (str | None, None) for name in TOOLCHAIN_FIELDS}
_MATCH: Any = (Match | None, Field("stale", description="the farthest kind of match that is accepted"))


class ReplyBody(BaseModel):
    """What is said to one problem: an answer, or a job and what is known meanwhile, or why there is neither."""

    model_config = ConfigDict(extra="forbid")

    answer: AnswerBody | None
    job: int | None = Field(description="id of the job that will answer; one for all who miss the key")
    meanwhile: AnswerBody | None = Field(description="the best answer of another shape, until the job is done")
    refusal: ProblemDetails | None


class RepliesBody(BaseModel):
    """One reply for each problem, in order."""

    model_config = ConfigDict(extra="forbid")

    replies: list[ReplyBody]


def problem_bodies() -> tuple[type[BaseModel], ...]:
    """The words of a problem, for each op."""
    return tuple(map(_problem_body, catalogue.ops().values()))


def lookup_body() -> type[BaseModel]:
    """What POST /v1/lookup takes. `batches.py` reads it; this describes it."""
    each = " or ".join(model.__name__ for model in problem_bodies())
    problems = Field(min_length=1, max_length=MOST_PROBLEMS, description=f"each a {each}, judged for itself")
    words: dict[str, Any] = {
        "problems": (list[dict[str, Any]], problems),
        "on_miss": (Literal["tune"] | None, Field(None, description="tune: a job for each miss; needs scope submit")),
        "generation": (int | None, Field(None, ge=1, le=LARGEST_NUMBER, description="answer from this one alone")),
        "device": (str | None, Field(None, description="of problems that say none; so are the words below")),
        "target": (str | None, None),
        **_TOOLS,
        "policy": (CacheState | None, "cold"),
        "min_match": _MATCH,
        **words_of_wish(),
    }
    made: type[BaseModel] = create_model(
        "LookupBody", __config__=ConfigDict(extra="forbid"), __doc__="Many problems in one call.", **words
    )
    return made


def _problem_body(op: Op) -> type[BaseModel]:
    words = {**words_of_op(op), **_TOOLS, "min_match": _MATCH}
    made: type[BaseModel] = create_model(
        f"Lookup{op.name.title()}Body",
        __config__=ConfigDict(extra="forbid"),
        __doc__=f"A problem of {op.name}.",
        **words,
    )
    return made
