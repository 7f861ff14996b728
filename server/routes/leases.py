"""Leases: what a worker asks and says of jobs."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response

from ...cache.checked import document
from ...cache.jobs import Happening
from ...cache.wire_targets import target_checked
from ..schemas import refusal
from ..schemas_jobs import (
    LARGEST,
    BeatBody,
    ClaimBody,
    ClaimedBody,
    EventsBody,
    FinishBody,
    HeartbeatBody,
    JobBody,
)
from ..services import JobServices

MOST_EVENT_CHARS = 16_384
MOST_RESULT_CHARS = 65_536

_REFUSALS: dict[int | str, dict[str, Any]] = {
    400: refusal("The body is no JSON that can be read"),
    422: refusal("The words of the request are off"),
    503: refusal("The store cannot be reached"),
}
_OF_A_JOB: dict[int | str, dict[str, Any]] = {
    404: refusal("There is no such job"),
    409: refusal("The lease is over: another worker has the job, or it has ended"),
}

JobId = Annotated[int, Path(ge=1, le=LARGEST)]


def router(services: JobServices) -> APIRouter:
    """`POST /v1/jobs/claim`, and of a job `heartbeat`, `events` and `finish`."""
    made = APIRouter(prefix="/v1/jobs", tags=["workers"], responses=_REFUSALS)

    @made.post(
        "/claim",
        operation_id="claim_job",
        summary="Take the most urgent job that the worker can run",
        response_model=ClaimedBody,
        responses={204: {"description": "There is none"}},
    )
    def claim_job(body: ClaimBody) -> ClaimedBody | Response:
        claim = services.claim(body.worker, target_checked(body.target), body.backends, body.lease_s)
        if claim is None:
            return Response(status_code=204)
        return ClaimedBody(job=JobBody.of(claim.job), token=claim.token, lease_until=claim.lease_until)

    @made.post("/{id}/heartbeat", operation_id="prolong_lease", summary="The worker lives", responses=_OF_A_JOB)
    def prolong_lease(id: JobId, body: HeartbeatBody) -> BeatBody:
        return BeatBody(cancel=services.heartbeat(id, body.token, body.lease_s))

    @made.post("/{id}/events", operation_id="tell_events", summary="What happened in a job", responses=_OF_A_JOB)
    def tell_events(id: JobId, body: EventsBody) -> JobBody:
        told = [
            Happening(event.kind, document(event.data, f"events[{place}].data", MOST_EVENT_CHARS))
            for place, event in enumerate(body.events)
        ]
        return JobBody.of(services.add_events(id, body.token, told))

    @made.post(
        "/{id}/finish",
        operation_id="finish_job",
        summary="A worker's last word on a job; said twice, it counts once",
        responses=_OF_A_JOB,
    )
    def finish_job(id: JobId, body: FinishBody) -> JobBody:
        result = None if body.result is None else document(body.result, "result", MOST_RESULT_CHARS)
        return JobBody.of(services.finish(id, body.token, body.outcome, body.error, result))

    return made
