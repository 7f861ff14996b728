"""Targets: registered once, named by digest from then on."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Response
from fastapi.responses import JSONResponse

from ..schemas import TargetBody, refusal
from ..schemas_records import RegisteredBody, TargetsBody, body_of
from ..services import RecordServices

_REFUSALS: dict[int | str, dict[str, Any]] = {
    422: refusal("The words of the request are off"),
    503: refusal("The store cannot be reached"),
}


def router(services: RecordServices) -> APIRouter:
    """`POST` and `GET /v1/targets`, `GET /v1/targets/<digest>`."""
    made = APIRouter(prefix="/v1/targets", tags=["targets"], responses=_REFUSALS)

    @made.post(
        "",
        operation_id="register_target",
        summary="Keep a target, and learn its digest; idempotent",
        openapi_extra=body_of(TargetBody),
        responses={400: refusal("The body is no JSON that can be read")},
    )
    def register_target(body: Annotated[dict[str, Any], Body()]) -> RegisteredBody:
        return RegisteredBody(digest=services.add_target(body).digest)

    @made.get("", operation_id="list_targets", summary="Every target a record is kept for", response_model=TargetsBody)
    def list_targets() -> Response:
        return JSONResponse({"targets": [target.as_dict() for target in services.known_targets()]})

    @made.get(
        "/{digest}",
        operation_id="read_target",
        summary="The target of a digest",
        response_model=TargetBody,
        responses={404: refusal("No target has the digest")},
    )
    def read_target(digest: Annotated[str, Path(max_length=200, pattern="^[!-~]+$")]) -> Response:
        return JSONResponse(services.target(digest).as_dict())

    return made
