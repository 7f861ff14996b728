"""The HTTP application: routes, errors and OpenAPI, over services that are handed in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI

from . import errors, schemas
from .hot import App, HotAnswers, Receive, Scope, Send
from .routes import configs, health
from .routes import generations as generation_routes
from .services import GenerationServices, Services


class Layered(FastAPI):
    """FastAPI behind layers of our own, outside of all that it does itself: what they answer never gets there."""

    layers: App

    async def inner(self, scope: Scope, receive: Receive, send: Send) -> None:
        """FastAPI itself."""
        await super().__call__(scope, receive, send)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.layers(scope, receive, send)


def create_app(services: Services, generations: GenerationServices | None = None) -> FastAPI:
    """The application. It owns the services: they are closed when it stops; generations are of the same place."""

    @asynccontextmanager
    async def closing(_app: FastAPI) -> AsyncIterator[None]:
        yield
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
    schemas.describe_refusals(app)
    app.include_router(health.router(services))
    app.include_router(configs.router(services))
    if generations is not None:
        app.include_router(generation_routes.router(generations))
    return app
