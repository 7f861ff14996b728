"""The HTTP application: routes, errors and OpenAPI, over services that are handed in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI

from ..cache.counts import Counting
from ..cache.keys import Keys
from ..tuner.settings import ServerSettings
from . import errors, schemas
from .auth import Auth
from .event_stream import Streams
from .hot import App, HotAnswers, Receive, Scope, Send
from .key_ring import KeyRing
from .limits import Limits
from .logs import RequestLog
from .metrics import Metrics
from .observed import Observed
from .rates import Rates
from .routes import configs, health, jobs, leases, lookup, metrics, records, targets
from .routes import generations as generation_routes
from .schemas_jobs import submit_bodies
from .schemas_lookup import lookup_body, problem_bodies
from .schemas_records import IncidentBody
from .services import GenerationServices, JobServices, RecordServices, Services
from .stopping import told_of_signals

BURST = 2
"""Seconds' worth of requests that may come at once."""
HOUR_S = 3600


class Layered(FastAPI):
    """FastAPI behind layers of our own, outside of all that it does itself: what they answer never gets there."""

    layers: App

    async def inner(self, scope: Scope, receive: Receive, send: Send) -> None:
        """FastAPI itself."""
        await super().__call__(scope, receive, send)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.layers(scope, receive, send)


def create_app(
    services: Services,
    generations: GenerationServices | None = None,
    *,
    record_services: RecordServices | None = None,
    job_services: JobServices | None = None,
    keys: Keys | None = None,
    settings: ServerSettings | None = None,
    counting: Counting | None = None,
) -> FastAPI:
    """The application; without generations, records or jobs it has no such routes, without `keys` it is open.

    It owns what it is handed: all is closed when it stops, jobs before the others. All are of the same place.
    """
    streams = Streams()
    configured = settings or ServerSettings()
    ring = None if keys is None else KeyRing(keys)

    @asynccontextmanager
    async def closing(_app: FastAPI) -> AsyncIterator[None]:
        with told_of_signals(streams.stop):
            yield
        streams.stop()
        for owned in (job_services, services, ring, counting):
            if owned is not None:
                owned.close()

    app = Layered(
        title="kerntune",
        summary="Kernel configs: measured, remembered, served.",
        version=version("kerntune"),
        docs_url=None,  # FastAPI's pages load scripts from a foreign host
        redoc_url=None,
        redirect_slashes=False,
        lifespan=closing,
    )
    counters = Metrics()
    hot = HotAnswers(app.inner, services.state)
    log = RequestLog() if configured.log == "json" else None
    app.layers = Observed(_guarded(hot, ring, configured), counters, log)
    errors.install(app)
    schemas.describe_refusals(app, IncidentBody, lookup_body(), *problem_bodies(), *submit_bodies())
    app.include_router(health.router(services))
    app.include_router(metrics.router(counters, hot, counting))
    app.include_router(configs.router(services, job_services))
    app.include_router(lookup.router(services, job_services))
    if generations is not None:
        app.include_router(generation_routes.router(generations))
    if job_services is not None:
        app.include_router(jobs.router(job_services, streams))
        app.include_router(leases.router(job_services))
    if record_services is not None:
        app.include_router(records.router(record_services))
        app.include_router(targets.router(record_services))
    return app


def _guarded(hot: App, ring: KeyRing | None, settings: ServerSettings) -> App:
    """Hot answers behind auth, where there are keys to ask for, and limits."""
    if ring is None:
        return Limits(hot)
    options: dict[str, Any] = {"listens_on": settings.host, "hosts": settings.allowed_hosts}
    if settings.per_second:
        options["rates"] = Rates(settings.per_second, BURST * settings.per_second)
    if settings.submits_per_hour:
        options["submits"] = Rates(settings.submits_per_hour / HOUR_S, settings.submits_per_hour)
    return Limits(Auth(hot, ring, **options))
