"""The HTTP application: routes, errors and OpenAPI, over services that are handed in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI

from . import errors, schemas
from .event_stream import Streams
from .hot import App, HotAnswers, Receive, Scope, Send
from .routes import configs, health, jobs, leases, lookup, records, targets
from .routes import generations as generation_routes
from .schemas_jobs import submit_bodies
from .schemas_lookup import lookup_body, problem_bodies
from .schemas_records import IncidentBody
from .services import GenerationServices, JobServices, RecordServices, Services
from .stopping import told_of_signals


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
) -> FastAPI:
    """The application; without generations, records or jobs it has no such routes.

    It owns the services: they are closed when it stops, those of jobs before the others. All are of the same place.
    """
    streams = Streams()

    @asynccontextmanager
    async def closing(_app: FastAPI) -> AsyncIterator[None]:
        with told_of_signals(streams.stop):
            yield
        streams.stop()
        if job_services is not None:
            job_services.close()
        services.close()

    app = Layered(
        title="kerntune",
        summary="Kernel configs: measured, remembered, served.",
        version=version("kerntune"),
        docs_url=None,  # FastAPI's pages load scripts from a foreign host
        redoc_url=None,
        redirect_slashes=False,
        lifespan=closing,
    )
    app.layers = HotAnswers(app.inner, services.state)
    errors.install(app)
    schemas.describe_refusals(app, IncidentBody, lookup_body(), *problem_bodies(), *submit_bodies())
    app.include_router(health.router(services))
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
