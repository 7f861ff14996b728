"""Limits: an ASGI layer that refuses what is too long, too large or too slow."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from .errors import Kind
from .hot import App, Message, Receive, Scope, Send
from .refusing import HEADERS_TOO_LONG, TOO_LARGE, TOO_LONG, TOO_SLOW, refuse

MAX_BODY_BYTES = 8 * 2**20
MAX_HEAD_BYTES = 16 * 2**10
BODY_S = 30.0
"""A body has to be here after this time."""

_BODILESS = frozenset({"GET", "HEAD", "OPTIONS"})

_CLOSE = ((b"connection", b"close"),)
"""Said to who is too slow. Who sends too much is let finish, or the refusal would be lost with the connection."""


class Limits:
    """Bounds the address, the headers and the body of a request."""

    def __init__(
        self,
        app: App,
        max_body_bytes: int = MAX_BODY_BYTES,
        max_head_bytes: int = MAX_HEAD_BYTES,
        body_s: float = BODY_S,
    ) -> None:
        self._app = app
        self._max_body_bytes, self._max_head_bytes, self._body_s = max_body_bytes, max_head_bytes, body_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most = self._max_head_bytes
        if len(scope["query_string"]) + len(scope["path"]) > most:
            await refuse(
                send, TOO_LONG, f"Path and query may have {most:,} bytes. Many problems go to POST /v1/lookup."
            )
            return
        head_bytes = 0
        for name, value in scope["headers"]:
            head_bytes += len(name) + len(value)
        if head_bytes > most:
            await refuse(send, HEADERS_TOO_LONG, f"The headers may have {most:,} bytes, these have {head_bytes:,}.")
            return
        if scope["method"] in _BODILESS:
            await self._app(scope, receive, send)
        else:
            await self._with_body(scope, receive, send)

    async def _with_body(self, scope: Scope, receive: Receive, send: Send) -> None:
        most = self._max_body_bytes
        length = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
        if length.isdigit() and int(length[:20]) > most:
            await refuse(send, TOO_LARGE, _too_large(most))
            return
        body = _Body(receive, send, most, self._body_s)
        await self._app(scope, body.receive, body.send)
        if body.verdict is not None:
            kind, said = body.verdict
            await refuse(send, kind, said, _CLOSE if kind is TOO_SLOW else ())


class _Body:
    """A body as it comes in. Once it is too large or too late, what the routes say of the rest does not go out."""

    def __init__(
        self, receive: Receive, send: Send, most: int, seconds: float, clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._receive, self._send, self._most, self._clock_s = receive, send, most, clock_s
        self._until_s = clock_s() + seconds
        self._seconds = seconds
        self._bytes = 0
        self._is_whole = False
        self._is_answered = False
        self.verdict: tuple[Kind, str] | None = None

    async def receive(self) -> Message:
        if self._is_whole:
            return await self._receive()
        try:
            message = await asyncio.wait_for(self._receive(), max(0.0, self._until_s - self._clock_s()))
        except TimeoutError:
            return self._ended(TOO_SLOW, f"The body was not here after {self._seconds:g} s. Send it again.")
        self._bytes += len(message.get("body", b""))
        self._is_whole = not message.get("more_body", False)
        return self._ended(TOO_LARGE, _too_large(self._most)) if self._bytes > self._most else message

    async def send(self, message: Message) -> None:
        if self.verdict is None:
            self._is_answered = True
            await self._send(message)

    def _ended(self, kind: Kind, said: str) -> Message:
        if not self._is_answered:
            self.verdict = kind, said
        return {"type": "http.disconnect"}


def _too_large(most: int) -> str:
    return f"A body may have {most / 2**20:g} MiB. Send it in several requests."
