"""Jobs: studies asked for, looked at and cancelled; what they are asked for and what is missed."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Header, Path, Query, Request, Response

from ...cache.jobs import JobState
from ...cache.wire import answer_to_json
from ...spaces.errors import UsageError
from ..errors import quoted
from ..event_stream import EventStream, Streams
from ..parameters import only
from ..schemas import refusal
from ..schemas_jobs import (
    LARGEST,
    MOST_PER_PAGE,
    DemandBody,
    JobBody,
    JobPageBody,
    MissesBody,
    SubmittedBody,
    one_of,
    submit_bodies,
)
from ..services import JobServices
from ..submissions import submission_from

_REFUSALS: dict[int | str, dict[str, Any]] = {
    422: refusal("The words of the request are off"),
    503: refusal("The store cannot be reached"),
}
_UNKNOWN: dict[int | str, dict[str, Any]] = {404: refusal("There is no such job")}
_LOCATION = {"Location": {"description": "of the job", "schema": {"type": "string"}}}

JobId = Annotated[int, Path(ge=1, le=LARGEST)]


def router(services: JobServices, streams: Streams) -> APIRouter:
    """`POST` and `GET /v1/jobs`, `GET` and `DELETE /v1/jobs/<id>`, its events, and `GET /v1/misses`."""
    made = APIRouter(prefix="/v1", tags=["jobs"], responses=_REFUSALS)

    @made.post(
        "/jobs",
        operation_id="submit_job",
        summary="Ask for a study: the one active job of the key, made where there is none",
        status_code=202,
        openapi_extra=one_of(submit_bodies()),
        responses={
            202: {"description": "The job is on disk", "headers": _LOCATION},
            400: refusal("The body is no JSON that can be read"),
            404: refusal("The place is not known, or no template can compute the problem there"),
        },
    )
    def submit_job(body: Annotated[dict[str, Any], Body()], request: Request, response: Response) -> SubmittedBody:
        asked = submission_from(body, services)
        asked_by = str(request.scope.get("kerntune.key_name", ""))
        done = services.submit(asked.query, asked.wish, asked.priority, asked_by)
        known = services.known_meanwhile(asked.query)
        response.headers["Location"] = f"/v1/jobs/{done.job.id}"
        meanwhile = None if known is None else answer_to_json(known)
        return SubmittedBody.model_validate(
            {"job": JobBody.of(done.job), "is_new": done.is_new, "meanwhile": meanwhile}
        )

    @made.get(
        "/jobs",
        operation_id="list_jobs",
        summary="Jobs, newest first",
        dependencies=[Depends(only(("state", "before", "limit")))],
    )
    def list_jobs(
        state: Annotated[JobState | None, Query()] = None,
        before: Annotated[int | None, Query(ge=1, le=LARGEST, description="`next` of the page before")] = None,
        limit: Annotated[int, Query(ge=1, le=MOST_PER_PAGE)] = 100,
    ) -> JobPageBody:
        jobs = services.page(state, before, limit)
        return JobPageBody(jobs=list(map(JobBody.of, jobs)), next=jobs[-1].id if len(jobs) == limit else None)

    @made.get("/jobs/{id}", operation_id="read_job", summary="A job as it is now", responses=_UNKNOWN)
    def read_job(id: JobId) -> JobBody:
        return JobBody.of(services.get(id))

    @made.delete(
        "/jobs/{id}",
        operation_id="cancel_job",
        summary="End an active job; one that has ended stays as it is",
        responses=_UNKNOWN,
    )
    def cancel_job(id: JobId) -> JobBody:
        return JobBody.of(services.cancel(id))

    @made.get(
        "/jobs/{id}/events",
        operation_id="follow_job",
        summary="What happens in a job, as it happens: trial, best, and end, which is the last",
        response_class=EventStream,
        status_code=200,
        responses={
            200: {"description": "Events, each with an id", "content": {"text/event-stream": {"schema": _TEXT}}},
            204: {"description": "Nothing will happen after Last-Event-ID"},
            503: refusal("The store cannot be reached, or too many follow jobs"),
            **_UNKNOWN,
        },
    )
    async def follow_job(
        id: JobId,
        last_event_id: Annotated[str, Header(max_length=200, description="go on after this event")] = "",
    ) -> Response:
        read, after = partial(services.happened, id), _event_id(last_event_id)
        events, is_over = await streams.read(read, after)
        if is_over:
            return Response(status_code=204)  # which tells a browser not to ask again
        streams.check_room()
        return EventStream(streams, read, events, after)

    @made.get(
        "/misses",
        operation_id="list_misses",
        summary="What is asked for in vain, by what it costs",
        dependencies=[Depends(only(("limit",)))],
    )
    def list_misses(limit: Annotated[int, Query(ge=1, le=MOST_PER_PAGE)] = 20) -> MissesBody:
        return MissesBody(misses=list(map(DemandBody.of, services.top_misses(limit))))

    return made


_TEXT = {"type": "string"}


def _event_id(word: str) -> int:
    if not word:
        return 0
    if not (word.isascii() and word.isdigit()) or int(word) > LARGEST:
        raise UsageError(f'Last-Event-ID is "{quoted(word)}": it takes the id of an event.')
    return int(word)
