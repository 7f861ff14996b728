"""Generations: numbered, frozen sets of answers, listed, made and compared."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Query, Request, Response
from fastapi.responses import JSONResponse

from ...cache.wire_generations import generation_to_json
from ..schemas import refusal
from ..schemas_generations import (
    DEFAULT_LISTED,
    MOST_CHANGES,
    ChangeLimit,
    DiffBody,
    FreezeBody,
    FrozenBody,
    GenerationBody,
    GenerationsBody,
    ListLimit,
    Number,
)
from ..services import GenerationServices

CALLER = "http"
"""Who froze, where no key says it."""

_REFUSALS: dict[int | str, dict[str, Any]] = {
    422: refusal("The words of the request are off"),
    503: refusal("The store cannot be reached"),
}
_UNKNOWN: dict[int | str, dict[str, Any]] = {404: refusal("The generation is not known")}
_Number = Annotated[Number, Path(description="of a generation")]


def router(services: GenerationServices) -> APIRouter:
    """`GET` and `POST /v1/generations`, `GET /v1/generations/<number>` and its `/diff/<number>`."""
    made = APIRouter(prefix="/v1/generations", tags=["generations"], responses=_REFUSALS)

    @made.get(
        "", operation_id="list_generations", summary="Generations, the newest first", response_model=GenerationsBody
    )
    def list_generations(
        before: Annotated[Number | None, Query(description="only those with a smaller number")] = None,
        limit: Annotated[ListLimit, Query(description="at most so many")] = DEFAULT_LISTED,
    ) -> Response:
        known = services.generations(before, limit)
        return JSONResponse({"generations": [generation_to_json(one) for one in known]})

    @made.post(
        "",
        operation_id="freeze_generation",
        summary="Freeze the winners as they are now",
        status_code=201,
        response_model=FrozenBody,
        responses={
            200: {"description": "Nothing has changed since the newest generation: it is given again"},
            400: refusal("The body is no JSON that can be read"),
            404: refusal("There is no winner to freeze"),
            409: refusal("The server serves an exported generation: it takes nothing"),
        },
    )
    def freeze_generation(body: Annotated[FreezeBody, Body()], request: Request) -> Response:
        done = services.freeze(body.note, request.scope.get("kerntune.key_name") or CALLER)
        said = {**generation_to_json(done.generation), "is_new": done.is_new}
        place = {"Location": f"/v1/generations/{done.generation.number}"}
        return JSONResponse(said, 201 if done.is_new else 200, place)

    @made.get(
        "/{number}",
        operation_id="read_generation",
        summary="The generation of a number",
        response_model=GenerationBody,
        responses=_UNKNOWN,
    )
    def read_generation(number: _Number) -> Response:
        return JSONResponse(generation_to_json(services.generation(number)))

    @made.get(
        "/{number}/diff/{other}",
        operation_id="diff_generations",
        summary="What became of the answers of one generation in another, what changed most first",
        response_model=DiffBody,
        responses=_UNKNOWN,
    )
    def diff_generations(
        number: _Number,
        other: _Number,
        limit: Annotated[ChangeLimit, Query(description="at most so many changes")] = MOST_CHANGES,
    ) -> Response:
        return JSONResponse(services.diff(number, other).as_json(limit))

    return made
