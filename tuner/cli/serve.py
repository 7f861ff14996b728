"""`tune serve`: the HTTP service over a database."""

from __future__ import annotations

import os
import signal
import socket
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ..settings import Settings

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def serve(
    host: Annotated[
        str | None, typer.Option(help="address to listen on; beyond loopback with keys only [default: 127.0.0.1]")
    ] = None,
    port: Annotated[int, typer.Option(help="port to listen on; 0 picks a free one", min=0, max=65535)] = 8420,
    workers: Annotated[int, typer.Option(help="processes that answer", min=1, max=256)] = 1,
    grace: Annotated[int, typer.Option(help="seconds that requests may still take when it stops", min=0)] = 10,
    log: Annotated[str | None, typer.Option(help="warnings, or json: a line a request [env KERNTUNE_LOG]")] = None,
    db: Annotated[str | None, typer.Option(help="SQLAlchemy URL of the database [env KERNTUNE_DB]")] = None,
) -> None:
    """Answer lookups over HTTP: GET /v1/configs/gemm, /healthz, /metrics, OpenAPI at /openapi.json."""
    from .. import settings
    from .exits import complain

    # The app is made by name in asgi.py, in this process or in others, and reads the settings.
    for name, value in {"KERNTUNE_DB": db, "KERNTUNE_LOG": log, "KERNTUNE_HOST": host}.items():
        if value is not None:
            os.environ[name] = value
    serving = settings.read_server()
    _check_keys(settings.read(), serving.host)
    listener = _listen(serving.host, port)
    address = listener.getsockname()
    complain(f"kerntune serves http://{'[::1]' if ':' in address[0] else address[0]}:{address[1]} (Ctrl-C stops)")
    _run(listener, workers, grace, _log_config() if serving.log == "json" else None)


def _check_keys(config: Settings, host: str) -> None:
    """See that the store can be opened, and that beyond loopback there is a key. Raises: StoreError, UsageError."""
    from ...spaces.errors import UsageError
    from .. import wiring
    from ..key_services import KeyBook

    wiring.server_services().lookups.close()  # a store that cannot be opened is said here, not in a server's log
    with closing(wiring.server_keys(config)) as keys:
        if host in LOOPBACK or KeyBook(keys).usable():
            return
    raise UsageError(
        f"--host {host}: beyond loopback ({', '.join(LOOPBACK)}) each request needs a key, and there is none yet. "
        "Make one: tune keys create NAME --scope read"
    )


def _run(listener: socket.socket, workers: int, grace: int, log_config: dict[str, Any] | None) -> None:
    """Serve until a signal comes; requests that are being answered then are answered."""
    from inspect import signature

    import uvicorn
    from uvicorn.supervisors import Multiprocess

    chosen: dict[str, Any] = {} if log_config is None else {"log_config": log_config}
    config = uvicorn.Config(
        "kerntune.server.asgi:create",
        factory=True,
        workers=workers,
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=grace,
        **chosen,
    )
    server = uvicorn.Server(config)
    # uvicorn raises the signal once more when it has shut down: it was heard, and the exit code is 0.
    signal.signal(signal.SIGTERM, lambda *_: None)
    with suppress(KeyboardInterrupt):
        if workers == 1:
            server.run(sockets=[listener])
        else:
            # Up to uvicorn 0.4x the supervisor is told what to run.
            told: dict[str, Any] = {"target": server.run} if "target" in signature(Multiprocess).parameters else {}
            Multiprocess(config, sockets=[listener], **told).run()


def _log_config() -> dict[str, Any]:
    """What uvicorn and the server log goes out as JSON too."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "kerntune.server.logs.JsonLines"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
        "loggers": {
            name: {"handlers": ["stderr"], "level": "WARNING", "propagate": False}
            for name in ("uvicorn", "kerntune.server")
        },
    }


def _listen(host: str, port: int) -> socket.socket:
    """A bound socket. Raises: NetworkError if the port is taken."""
    from ...spaces.errors import NetworkError

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        raise NetworkError(
            f"cannot listen on {host}:{port} ({os.strerror(error.errno or 0)}). "
            "Another server may run there: name a free port by --port, or --port 0 for any."
        ) from None
    return listener
