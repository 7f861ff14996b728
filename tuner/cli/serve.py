"""`tune serve`: the HTTP service over this machine's database."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from typing import Annotated

import typer

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def serve(
    host: Annotated[str, typer.Option(help="address to listen on; loopback only until keys exist")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="port to listen on; 0 picks a free one", min=0, max=65535)] = 8420,
    db: Annotated[str | None, typer.Option(help="SQLAlchemy URL of the database [env KERNTUNE_DB]")] = None,
) -> None:
    """Answer lookups over HTTP: GET /v1/configs/gemm, /healthz, OpenAPI at /openapi.json."""
    from ...spaces.errors import UsageError
    from .. import wiring
    from .exits import complain

    if host not in LOOPBACK:
        raise UsageError(
            f"--host {host}: without keys the server listens on loopback only ({', '.join(LOOPBACK)}). "
            "Put a proxy that checks who asks in front of it to serve a network."
        )
    if db is not None:
        os.environ["KERNTUNE_DB"] = db  # the app is made by name in asgi.py, which reads the settings
    wiring.server_services().lookups.close()  # a store that cannot be opened is said here, not in a server's log
    listener = _listen(host, port)
    address = listener.getsockname()
    complain(f"kerntune serves http://{'[::1]' if ':' in address[0] else address[0]}:{address[1]} (Ctrl-C stops)")
    import uvicorn

    with suppress(KeyboardInterrupt):  # uvicorn has shut down in good order by then
        config = uvicorn.Config("kerntune.server.asgi:create", factory=True, log_level="warning", access_log=False)
        uvicorn.Server(config).run(sockets=[listener])


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
