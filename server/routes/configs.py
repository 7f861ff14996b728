"""Configs: the best known config of a problem, one path per op of the catalogue. Creates no work."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Depends, Request, Response

from ...cache.wire import answer_to_json
from ...spaces.errors import NoAnswer
from ...templates import catalogue
from ...templates.op import Op
from ...tuner.lookup import Query
from ..parameters import only, signature_of
from ..queries import query_from, with_registered
from ..schemas import AnswerBody, refusal
from ..services import JobServices, Services

_ETAG = {"ETag": {"description": "of the body, strong", "schema": {"type": "string"}}}
_LIVES = "no-cache"
"""An answer may become better at any moment: keep it, but ask before using it again."""

_FOR_EVER = "max-age=31536000, immutable"
"""A year, which is the longest there is a custom for (RFC 8246)."""

_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The best config known", "headers": _ETAG},
    304: {"description": "The answer is still the one that If-None-Match names", "headers": _ETAG},
    404: refusal("Nothing is known about the problem, the device, the target or the generation"),
    422: refusal("The words of the request are off"),
    503: refusal("The store cannot be reached"),
}


def router(services: Services, jobs: JobServices | None = None) -> APIRouter:
    """`GET /v1/configs/<op>` for every op there is; `jobs` is told of each that has no answer."""
    made = APIRouter(prefix="/v1/configs", tags=["configs"])
    for op in catalogue.ops().values():
        _add(made, op, services, jobs)
    return made


def _add(made: APIRouter, op: Op, services: Services, jobs: JobServices | None) -> None:
    signature = signature_of(op)
    names = [name for name in signature.parameters if name != "request"]

    def best_config(request: Request, **values: Any) -> Response:
        held = request.headers.get("if-none-match", "")
        pinned = services.pinned(values["generation"])
        if pinned is not None:
            query = query_from(op, values, pinned.targets_with(values["target"]))
            frozen = pinned.answer(query, values["min_match"])
            if frozen is None:
                raise NoAnswer(_miss(op, values, query, pinned.explain_miss(query)))
            # What these words ask never changes, where they name the generation.
            return _response(frozen.text.encode(), held, _LIVES if values["generation"] is None else _FOR_EVER)
        targets = services.targets()
        query = query_from(op, values, with_registered(targets, values["target"], jobs.target) if jobs else targets)
        answer = services.lookup(query, values["min_match"])
        if answer is None:
            if jobs is not None:
                jobs.note_miss(query)
            raise NoAnswer(_miss(op, values, query, services.explain_miss(query)))
        return _response(json.dumps(answer_to_json(answer), allow_nan=False).encode(), held, _LIVES)

    best_config.__signature__ = signature  # type: ignore[attr-defined]  # read by FastAPI
    made.add_api_route(
        f"/{op.name}",
        best_config,
        name=f"best_config_{op.name}",
        operation_id=f"best_config_{op.name}",
        summary=f"The best known config of {op.name}: {op.summary}",
        response_model=AnswerBody,
        responses=_RESPONSES,
        dependencies=[Depends(only(names))],
    )


def _miss(op: Op, values: Mapping[str, Any], query: Query, differences: list[str]) -> str:
    """What was asked, what is nearest, and how to come to know it."""
    shape = op.shape_of(query.problem)
    nearest = f"The nearest record differs in {'; '.join(differences)}" if differences else f"No {op.name} is recorded"
    stated = [field.name for field in op.fields if values[field.name] not in (None, field.default)]
    flags = "".join(f" --{name.replace('_', '-')} {query.problem[name]}" for name in stated)
    return (
        f"nothing near enough is known about {op.name} {shape} {query.problem['dtype']}. {nearest}. "
        f"Tune it: tune {op.name} --shape {shape}{flags}"
    )


def _response(body: bytes, if_none_match: str, cache_control: str) -> Response:
    """The answer's JSON; 304 where the caller has these bytes already."""
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": cache_control}
    held = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    if etag in held or "*" in held:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)
