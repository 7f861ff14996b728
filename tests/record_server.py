"""A real server of records over a store of the test's own."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI
from kerntune.cache.store import Store
from kerntune.server import errors, schemas
from kerntune.server.routes import records, targets
from kerntune.tuner.record_checks import RecordChecks
from kerntune.tuner.record_services import StoreRecordServices


class NoChecks(RecordChecks):
    """Takes records of ops, templates and times that there are not, as builders make them."""

    def key(self, key):
        return None

    def record(self, record):
        return None


def app_of(store: Store, checks: RecordChecks | None = None) -> FastAPI:
    """The routes of records and targets, with their errors."""
    app = FastAPI(redirect_slashes=False)
    errors.install(app)
    schemas.describe_refusals(app)
    services = StoreRecordServices(store, checks)
    app.include_router(records.router(services))
    app.include_router(targets.router(services))
    return app


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """The address of a uvicorn that serves the app on loopback."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", ws="none", access_log=False, lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
