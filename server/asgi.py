"""The factory uvicorn is given by name: `uvicorn --factory kerntune.server.asgi:create`."""

from __future__ import annotations

from fastapi import FastAPI

from ..tuner import settings, wiring
from .app import create_app
from .stopping import stop_with_parent


def create() -> FastAPI:
    """The application over the store that the settings name. Raises: UsageError, StoreError."""
    stop_with_parent()
    config, served = settings.read(), wiring.server_services()
    return create_app(
        served.lookups,
        served.generations,
        record_services=served.records,
        job_services=served.jobs,
        keys=wiring.server_keys(config),
        settings=settings.read_server(),
        counting=wiring.open_counting(config),
    )
