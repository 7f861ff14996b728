"""A real server for workers, over queue and store of the test's own; it can go away and come back."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import uvicorn
from fastapi import Body, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from kerntune.cache.jobs import Happening, Job, NewJob
from kerntune.cache.memory import MemoryStore
from kerntune.cache.memory_jobs import MemoryJobs
from kerntune.cache.refusals import LEASE_LOST, MEDIA_TYPE, UNKNOWN_JOB, LeaseLost, UnknownJob
from kerntune.cache.wire_targets import target_checked
from kerntune.tuner.job_services import QueuedJobs
from kerntune.tuner.job_words import JobWords, Wish
from record_server import app_of

Said = Annotated[dict[str, Any], Body()]


@dataclass
class WorkerServer:
    """Queue, store and what a test wants to know of the calls."""

    queue: MemoryJobs = field(default_factory=MemoryJobs)
    store: MemoryStore = field(default_factory=MemoryStore)
    calls: list[str] = field(default_factory=list)  # "claim", "heartbeat", "events", "finish", "records", ...
    answers: dict[str, tuple[int, str]] = field(default_factory=dict)  # last word of a path -> status, type instead
    on_call: Callable[[str], None] = lambda call: None
    ahead: timedelta = timedelta()
    _server: uvicorn.Server | None = None
    _thread: threading.Thread | None = None
    _port: int = 0

    def __post_init__(self) -> None:
        self.jobs = QueuedJobs(self.queue, self.store, lambda: datetime.now(UTC) + self.ahead)
        self._app = _app(self)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def come(self) -> None:
        """Answer from now on, at the same address as before."""
        listener = socket.create_server(("127.0.0.1", self._port))
        self._port = listener.getsockname()[1]
        config = uvicorn.Config(self._app, log_level="critical", ws="none", access_log=False, lifespan="off")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, args=(self._server, listener))
        self._thread.start()

    def go(self) -> None:
        """Refuse connections from now on."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join()
            self._server = self._thread = None

    @staticmethod
    def _serve(server: uvicorn.Server, listener: socket.socket) -> None:
        server.run(sockets=[listener])
        listener.close()

    def submit(self, key: int = 1, place: str = "cpu", request: dict[str, Any] | None = None, **wish: Any) -> Job:
        """A job for gemm 64 x 48 x 32 on any processor, or of other words."""
        new = NewJob(f"{key:032x}", "gemm", request or words(place, **wish), place, ("cpu", "triton"))
        return self.queue.submit(new, datetime.now(UTC)).job

    def job(self, job_id: int) -> Job:
        return self.queue.get(job_id)

    def forget(self) -> None:
        """Lose every record."""
        MemoryStore.__init__(self.store)

    def records(self) -> list[Any]:
        return list(self.store.page(limit=500).records)

    def wait(self, until: Callable[[], object], most_s: float = 60.0) -> None:
        """Until something is so."""
        end_s = time.monotonic() + most_s
        while not until():
            assert time.monotonic() < end_s, self.calls[-20:]
            time.sleep(0.02)


def words(place: str = "cpu", shape: tuple[int, int, int] = (64, 48, 32), **wish: Any) -> dict[str, Any]:
    """The words of a job for a gemm in fp32."""
    from kerntune.templates.catalogue import op_named

    problem = op_named("gemm").problem("cpu", **dict(zip("mnk", shape, strict=True)))
    wished = Wish(**{"trials": 6, "time_s": 60.0, "sampler": "random", "templates": ("c_tiled",)} | wish)
    return JobWords("gemm", dict(problem.fields), "cpu", "cold", device=place, wish=wished).to_json()


@contextmanager
def working_server() -> Iterator[WorkerServer]:
    """One that has come."""
    server = WorkerServer()
    server.come()
    try:
        yield server
    finally:
        server.go()


def _app(server: WorkerServer) -> FastAPI:
    app = app_of(server.store)
    jobs = server.jobs
    for kind, problem_type, status in ((LeaseLost, LEASE_LOST, 409), (UnknownJob, UNKNOWN_JOB, 404)):
        app.add_exception_handler(kind, _refusing(status, problem_type))

    @app.middleware("http")
    async def watched(request: Request, call_next: Callable[[Request], Any]) -> Response:
        call = request.url.path.rpartition("/")[2]
        call = f"read {call}" if request.method == "GET" else call
        server.calls.append(call)
        server.on_call(call)
        if call in server.answers:
            status, problem_type = server.answers[call]
            return _problem(status, problem_type, f"{call} is refused here")
        return await call_next(request)

    @app.post("/v1/jobs/claim")
    def claim(body: Said) -> Response:
        claimed = jobs.claim(body["worker"], target_checked(body["target"]), body["backends"], body["lease_s"])
        if claimed is None:
            return Response(status_code=204)
        job = {"id": claimed.job.id, "op": claimed.job.op, "request": dict(claimed.job.request)}
        return JSONResponse({"job": job, "token": claimed.token, "lease_until": claimed.lease_until.isoformat()})

    @app.post("/v1/jobs/{job_id}/heartbeat")
    def heartbeat(job_id: int, body: Said) -> dict[str, Any]:
        return {"cancel": jobs.heartbeat(job_id, body["token"], body["lease_s"])}

    @app.post("/v1/jobs/{job_id}/events")
    def events(job_id: int, body: Said) -> dict[str, Any]:
        jobs.add_events(job_id, body["token"], [Happening(one["kind"], one["data"]) for one in body["events"]])
        return {}

    @app.post("/v1/jobs/{job_id}/finish")
    def finish(job_id: int, body: Said) -> dict[str, Any]:
        jobs.finish(job_id, body["token"], body["outcome"], body.get("error"), body.get("result"))
        return {}

    return app


def _refusing(status: int, problem_type: str) -> Callable[[Request, Exception], Response]:
    return lambda request, error: _problem(status, problem_type, str(error))


def _problem(status: int, problem_type: str, detail: str) -> Response:
    body = {"type": problem_type, "title": problem_type, "status": status, "detail": detail}
    return JSONResponse(body, status, media_type=MEDIA_TYPE)
