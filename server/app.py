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
from .hot import App, HotAnswers, Receive, Scope, Send
from .key_ring import KeyRing
from .limits import Limits
from .logs import RequestLog
from .metrics import Metrics
from .observed import Observed
from .rates import Rates
from .routes import configs, health, metrics
from .services import Services

BURST = 2
"""Seconds' worth of requests that may come at once."""
HOUR_S = 3600


class LayeredApp(FastAPI):
    """FastAPI behind layers: a request they answer costs nothing of it, and they see its last word."""

    front: App

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A request, through the layers."""
        await self.front(scope, receive, send)

    async def behind(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A request that no layer has answered."""
        await super().__call__(scope, receive, send)


def create_app(
    services: Services,
    keys: Keys | None = None,
    settings: ServerSettings | None = None,
    counting: Counting | None = None,
) -> LayeredApp:
    """The application. It owns what it is handed: all of it is closed when it stops. Without `keys` it is open."""
    configured = settings or ServerSettings()
    ring = None if keys is None else KeyRing(keys)

    @asynccontextmanager
    async def closing(_app: FastAPI) -> AsyncIterator[None]:
        yield
        for owned in (services, ring, counting):
            if owned is not None:
                owned.close()

    app = LayeredApp(
        title="kerntune",
        summary="Kernel configs: measured, remembered, served.",
        version=version("kerntune"),
        docs_url=None,  # FastAPI's pages load scripts from a foreign host
        redoc_url=None,
        redirect_slashes=False,
        lifespan=closing,
    )
    counters = Metrics()
    hot = HotAnswers(app.behind, services.state)
    app.front = Observed(_guarded(hot, ring, configured), counters, RequestLog() if configured.log == "json" else None)
    errors.install(app)
    schemas.describe_refusals(app)
    app.include_router(health.router(services))
    app.include_router(configs.router(services))
    app.include_router(metrics.router(counters, hot, counting))
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
