"""The factory uvicorn is given by name: `uvicorn --factory kerntune.server.asgi:create`."""

from __future__ import annotations

from ..tuner import settings, wiring
from .app import LayeredApp, create_app


def create() -> LayeredApp:
    """The application over the store that the settings name. Raises: UsageError, StoreError."""
    read, serving = settings.read(), settings.read_server()
    services = wiring.server_services()
    return create_app(services, wiring.open_keys(read), serving, wiring.open_counting(read))
