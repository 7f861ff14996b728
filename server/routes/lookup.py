"""Lookup: many problems in one call, and jobs for those that nothing is known of."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Body, Request, Response

from ..batches import Batch, replies
from ..schemas import refusal
from ..schemas_jobs import one_of
from ..schemas_lookup import RepliesBody, lookup_body
from ..services import JobServices, Services

_REFUSALS: dict[int | str, dict[str, Any]] = {
    400: refusal("The body is no JSON that can be read"),
    403: refusal("on_miss needs a key with scope submit"),
    404: refusal("The generation is not known"),
    422: refusal("The words of the request are off"),
    503: refusal("The store cannot be reached"),
}


def router(services: Services, jobs: JobServices | None) -> APIRouter:
    """`POST /v1/lookup`."""
    made = APIRouter(prefix="/v1", tags=["configs"])

    @made.post(
        "/lookup",
        operation_id="look_up_many",
        summary="Many problems in one call, each answered for itself",
        response_model=RepliesBody,
        openapi_extra=one_of([lookup_body()]),
        responses=_REFUSALS,
    )
    def look_up_many(body: Annotated[dict[str, Any], Body()], request: Request) -> Response:
        batch = Batch.of(body, request.scope.get("kerntune.scopes"))
        counted = {"submit_wait_s": wait} if (wait := request.scope.get("kerntune.submit_wait_s")) else {}
        said = replies(batch, services, jobs, str(request.scope.get("kerntune.key_name", "")), **counted)
        return Response(json.dumps({"replies": said}, allow_nan=False), media_type="application/json")

    return made
