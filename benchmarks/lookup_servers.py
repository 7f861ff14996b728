"""The servers that benchmarks/lookup.py measures beside kerntune's own, under the same uvicorn with the same options.

    python benchmarks/lookup_servers.py noop|plain_async|plain_thread|kerntune PORT

noop: an ASGI application that reads nothing and answers two bytes. plain_*: what one writes with FastAPI, SQLAlchemy
Core and pydantic: checked query parameters, one SELECT by primary key in an SQLite table made for it, a response model;
as `async def` (the database blocks the loop for the moment it takes) and as `def` (in a thread).
"""

from __future__ import annotations

import os
import sys
from typing import Any

from pydantic import BaseModel
from sqlalchemy import Column, Double, Integer, MetaData, Table, Text, bindparam, create_engine, select

KEY = ("m", "n", "k", "dtype")
configs = Table(
    "plain_configs",
    MetaData(),
    *(Column(name, Text if name == "dtype" else Integer, primary_key=True) for name in KEY),
    *(Column(name, Text) for name in ("template", "config", "digest", "target", "recorded_at", "recorded_by")),
    *(Column(name, Double) for name in ("median_us", "spread_us", "baseline_us")),
)


class Answer(BaseModel):
    """What the plain handler answers."""

    template: str
    config: str
    digest: str
    target: str
    recorded_at: str
    recorded_by: str
    median_us: float
    spread_us: float
    baseline_us: float


def fill_plain(url: str, row: dict[str, Any]) -> None:
    """Make the table of the plain handler, with one row."""
    engine = create_engine(url)
    configs.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(configs.insert(), row)
    engine.dispose()


async def noop(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Nothing but the two messages that every answer has."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


def plain(threaded: bool) -> Any:
    """A handler as in the tutorials."""
    from fastapi import FastAPI, HTTPException

    engine = create_engine(os.environ["KERNTUNE_DB"])
    query = select(configs).where(*(configs.c[name] == bindparam(name) for name in KEY))

    def found(**words: Any) -> Answer:
        with engine.connect() as connection:
            row = connection.execute(query, words).mappings().first()
        if row is None:
            raise HTTPException(404)
        return Answer.model_validate(dict(row))

    app = FastAPI()
    if threaded:

        @app.get("/v1/configs/gemm")
        def in_thread(m: int, n: int, k: int, dtype: str = "fp32") -> Answer:
            return found(m=m, n=n, k=k, dtype=dtype)

    else:

        @app.get("/v1/configs/gemm")
        async def in_loop(m: int, n: int, k: int, dtype: str = "fp32") -> Answer:
            return found(m=m, n=n, k=k, dtype=dtype)

    return app


def ours() -> Any:
    """The application as `tune serve` makes it."""
    from kerntune.server.asgi import create

    return create()


def main() -> None:
    """Serve one of them on loopback."""
    import uvicorn

    name, port = sys.argv[1], int(sys.argv[2])
    made = {"noop": lambda: noop, "plain_async": lambda: plain(False), "plain_thread": lambda: plain(True)}
    app = made.get(name, ours)()
    words = {"loop": "uvloop", "http": "httptools", "log_level": "warning", "access_log": False}
    uvicorn.run(app, host="127.0.0.1", port=port, lifespan="on" if name == "kerntune" else "off", **words)


if __name__ == "__main__":
    main()
