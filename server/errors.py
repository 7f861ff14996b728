"""Errors over HTTP: each becomes a problem body (RFC 9457) with the status code of its kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from ..cache.refusals import (
    LEASE_LOST,
    MEDIA_TYPE,
    NO_ANSWER,
    READ_ONLY,
    UNKNOWN_GENERATION,
    UNKNOWN_JOB,
    UNKNOWN_TARGET,
    LeaseLost,
    ReadOnly,
    UnknownGeneration,
    UnknownJob,
    UnknownTarget,
    printable,
)
from ..spaces.errors import KerntuneError, NoAnswer, StoreError, UsageError

MAX_QUOTED_CHARS = 60


class Busy(KerntuneError):
    """Too much at once: come back in `retry_after_s` seconds."""

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class TooOften(Busy):
    """A key asks for more than it may in a time."""


class Forbidden(KerntuneError):
    """The key does not allow it."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What all errors of a kind share."""

    status: int
    type: str
    title: str


FORBIDDEN = Kind(403, "/problems/forbidden", "The key does not allow it")
TOO_MANY = Kind(429, "/problems/too-many", "Too many requests")

KINDS: Mapping[type[KerntuneError], Kind] = {
    UsageError: Kind(422, "/problems/usage", "The words of the request are off"),
    NoAnswer: Kind(404, NO_ANSWER, "Nothing is known"),
    UnknownTarget: Kind(404, UNKNOWN_TARGET, "The target is not known"),
    UnknownGeneration: Kind(404, UNKNOWN_GENERATION, "The generation is not known"),
    ReadOnly: Kind(409, READ_ONLY, "It is frozen: it answers lookups and takes nothing"),
    UnknownJob: Kind(404, UNKNOWN_JOB, "The job is not known"),
    LeaseLost: Kind(409, LEASE_LOST, "The job is another worker's, or has ended"),
    Forbidden: FORBIDDEN,
    TooOften: TOO_MANY,
    Busy: Kind(503, "/problems/busy", "Too much at once"),
    StoreError: Kind(503, "/problems/store", "The store cannot be reached"),
}
OUR_BUG = Kind(500, "/problems/internal", "An error of the server's own")


def kind_of(error: Exception) -> Kind:
    """The kind of the nearest class the table names; OUR_BUG for anything else."""
    named = (KINDS[cls] for cls in type(error).__mro__ if cls in KINDS)
    return next(named, OUR_BUG)


def install(app: FastAPI) -> None:
    """Answer every error of `app` with a problem body."""
    for kind in (UsageError, NoAnswer, StoreError, LeaseLost, Busy, Forbidden):
        app.add_exception_handler(kind, _on_known_error)
    app.add_exception_handler(RequestValidationError, _on_malformed_request)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(Exception, _on_our_bug)


def quoted(text: str) -> str:
    """A caller's word as an error may repeat it: short, without control characters."""
    return printable(text, MAX_QUOTED_CHARS)


def problem(kind: Kind, detail: str) -> dict[str, Any]:
    """The members of a problem body."""
    return {"type": kind.type, "title": kind.title, "status": kind.status, "detail": printable(detail)}


def _on_known_error(_request: Request, error: Exception) -> JSONResponse:
    headers = {"Retry-After": str(error.retry_after_s)} if isinstance(error, Busy) else None
    return _body(kind_of(error), str(error), known=getattr(error, "known", ()), headers=headers)


def _on_malformed_request(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    details = []
    for fault in error.errors():
        name = quoted(str(fault["loc"][-1]))
        if fault["type"] == "missing":
            details.append(f"{name} is missing from the {fault['loc'][0]}.")
        else:
            details.append(f'{name} is "{quoted(str(fault["input"]))}": {fault["msg"]}.')
    return _body(KINDS[UsageError], " ".join(details) + " The parameters are described in /openapi.json.")


def _on_http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    said = f"{request.method} {quoted(request.url.path)}: {error.detail}. What there is stands in /openapi.json."
    return _body(Kind(error.status_code, "about:blank", error.detail), said, headers=error.headers)


def _on_our_bug(request: Request, _error: Exception) -> JSONResponse:
    # What went wrong may hold paths and secrets: it goes to the server's log, with the traceback, not to the caller.
    said = (
        f"{request.method} {quoted(request.url.path)} failed inside the server; its log says where. Please report it."
    )
    return _body(OUR_BUG, said)


def _body(
    kind: Kind, detail: str, known: tuple[str, ...] = (), headers: Mapping[str, str] | None = None
) -> JSONResponse:
    body = problem(kind, detail)
    if known:
        body["known"] = [printable(name) for name in known]
    return JSONResponse(body, kind.status, headers, media_type=MEDIA_TYPE)
