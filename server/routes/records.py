"""Records: facts of workers, uploaded and read page by page; the troubles of their machines."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Query, Response

from ..parameters import only
from ..schemas import refusal
from ..schemas_records import (
    DEFAULT_PER_PAGE,
    IncidentBody,
    KeptBody,
    Limit,
    RecordPageBody,
    RefusedBody,
    UploadBody,
    UploadedBody,
    body_of,
)
from ..services import RecordServices

_REFUSALS: dict[int | str, dict[str, Any]] = {
    400: refusal("The body is no JSON that can be read"),
    422: refusal("The words of the request are off"),
    503: refusal("The store cannot be reached"),
}
_Word = Annotated[str | None, Query(max_length=200)]


def router(services: RecordServices) -> APIRouter:
    """`POST` and `GET /v1/records`, `POST /v1/incidents`."""
    made = APIRouter(prefix="/v1", tags=["records"], responses=_REFUSALS)

    @made.post("/records", operation_id="upload_records", summary="Keep records: idempotent, each judged for itself")
    def upload_records(body: UploadBody) -> UploadedBody:
        done = services.add_records(body.records)
        refused = [RefusedBody(index=one.index, reason=one.reason) for one in done.refused]
        return UploadedBody(added=done.added, known=done.known, refused=refused)

    @made.get(
        "/records",
        operation_id="read_records",
        summary="Records in order of arrival, page by page",
        response_model=RecordPageBody,
        dependencies=[Depends(only(("op", "problem", "target", "cursor", "limit")))],
    )
    def read_records(
        op: _Word = None,
        problem: Annotated[str | None, Query(max_length=200, description="digest of a problem")] = None,
        target: Annotated[str | None, Query(max_length=200, description="digest of a target")] = None,
        cursor: Annotated[str | None, Query(max_length=200, description="`next` of the page before")] = None,
        limit: Annotated[Limit, Query(description="at most so many; fewer where they are large")] = DEFAULT_PER_PAGE,
    ) -> Response:
        page = services.record_page(op, problem, target, cursor, limit)
        return Response(page.as_json(), media_type="application/json")

    @made.post(
        "/incidents",
        operation_id="report_incident",
        summary="Keep a trouble of the machine, beside the records it may explain",
        openapi_extra=body_of(IncidentBody),
    )
    def report_incident(body: Annotated[dict[str, Any], Body()]) -> KeptBody:
        services.add_incident(body)
        return KeptBody(kept=1)

    return made
