"""Hot answers: an ASGI layer that gives again what was answered before, while nothing has been recorded since."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

PATHS = "/v1/configs/"

MOST_ANSWERS = 10_000
"""Kept at once, some 3 KiB each; beyond that the oldest goes."""


@dataclass(slots=True)
class _Held:
    """An answer as it goes over the wire, and the state of the store it was made from."""

    state: str
    etag: bytes
    start: Message
    body: Message
    unchanged: Message  # 304


class HotAnswers:
    """Answers `GET /v1/configs/…` from memory where the same words were answered from the same state of the store.

    `state` changes with whatever anyone commits to the store, in this process or another; None: not known now. It is
    read before an answer is made, so that a record that comes in between makes the answer old, never the other way.
    """

    def __init__(self, app: App, state: Callable[[], str | None], most: int = MOST_ANSWERS) -> None:
        self._app = app
        self._state = state
        self._most = most
        self._held: dict[tuple[str, bytes], _Held] = {}
        self.hits = self.misses = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET" or not scope["path"].startswith(PATHS):
            await self._app(scope, receive, send)
            return
        words = scope["path"], scope["query_string"]
        state = self._state()
        held = self._held.get(words)
        if held is not None and held.state == state:
            self.hits += 1
            if _names(scope, held.etag):
                await send(held.unchanged)
                await send(_NOTHING)
            else:
                await send(held.start)
                await send(held.body)
            return
        self.misses += 1
        if state is None:
            await self._app(scope, receive, send)
        else:
            await self._app(_unconditional(scope), receive, self._keeping(words, state, scope, send))

    def _keeping(self, words: tuple[str, bytes], state: str, scope: Scope, send: Send) -> Send:
        """A `send` that keeps the answer that passes through it; whoever has it already is sent a 304."""
        started: Message = {}

        async def keep(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = message
                return
            if started.get("status") == 200 and not message.get("more_body"):
                held = self._hold(words, state, started, message)
                if held is not None and _names(scope, held.etag):
                    await send(held.unchanged)
                    await send(_NOTHING)
                    return
            if started:
                first, started = started, {}
                await send(first)
            await send(message)

        return keep

    def _hold(self, words: tuple[str, bytes], state: str, start: Message, body: Message) -> _Held | None:
        headers = dict(start["headers"])
        etag = headers.get(b"etag")
        if etag is None:
            return None
        kept = [(name, value) for name, value in start["headers"] if name in (b"etag", b"cache-control")]
        unchanged = {"type": "http.response.start", "status": 304, "headers": kept}
        held = self._held[words] = _Held(state, etag, start, body, unchanged)
        if len(self._held) > self._most:
            del self._held[next(iter(self._held))]
        return held


_NOTHING: Message = {"type": "http.response.body", "body": b""}


def _names(scope: Scope, etag: bytes) -> bool:
    """Whether the request says that it has the answer of this tag."""
    for name, value in scope["headers"]:
        if name == b"if-none-match":
            return any(tag.strip().removeprefix(b"W/") in (etag, b"*") for tag in value.split(b","))
    return False


def _unconditional(scope: Scope) -> Scope:
    """The request as of one who has nothing yet: only a whole answer can be kept."""
    return {**scope, "headers": [pair for pair in scope["headers"] if pair[0] != b"if-none-match"]}
