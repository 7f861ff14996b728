"""Events of a job as they happen, over HTTP: server-sent events, ended when the server stops or nobody listens."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import anyio
from fastapi import Response
from starlette.types import Receive, Scope, Send

from ..cache.jobs import JobEvent
from ..cache.refusals import UnknownJob
from ..cache.wire import stamp_to_text
from ..spaces.errors import StoreError
from .errors import Busy

MOST_STREAMS = 200
SHORTEST_WAIT_S, LONGEST_WAIT_S, GROWTH = 0.1, 1.0, 1.5
KEEP_ALIVE_S = 15.0
MOST_THREADS = 8
"""That read for streams: the other routes keep theirs."""
LAST_WORD_S = 1.0
RETRY_AFTER_S = 5

Read = Callable[[int], tuple[Sequence[JobEvent], bool]]
"""What happened since an event, and whether nothing more will."""


class Streams:
    """The streams of one server. `stop` may be called from any thread and from a signal handler."""

    def __init__(self, most: int = MOST_STREAMS) -> None:
        self._most = most
        self._open: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()
        self._stopped = False
        self._limiter = anyio.CapacityLimiter(MOST_THREADS)

    @property
    def count(self) -> int:
        """How many are open."""
        return len(self._open)

    def check_room(self) -> None:
        """Raises: Busy where there are as many as there may be."""
        if self.count >= self._most:
            raise Busy(f"{self._most} streams of events are open, as many as there may be. Try again.", RETRY_AFTER_S)

    def stop(self) -> None:
        """End every stream."""
        self._stopped = True
        for loop, stopping in tuple(self._open):
            loop.call_soon_threadsafe(stopping.set)

    async def read(self, read: Read, after: int) -> tuple[Sequence[JobEvent], bool]:
        """What `read` says, in a thread; one that hangs is left behind when the stream ends."""
        return await anyio.to_thread.run_sync(read, after, abandon_on_cancel=True, limiter=self._limiter)

    @contextmanager
    def entered(self) -> Iterator[asyncio.Event]:
        """A stream for as long as the block runs, and what is set when it has to end."""
        stopping = asyncio.Event()
        entry = asyncio.get_running_loop(), stopping
        self._open.add(entry)
        if self._stopped:
            stopping.set()
        try:
            yield stopping
        finally:
            self._open.discard(entry)


class EventStream(Response):
    """Events from `events` on, then what `read` says of what came after them, until it says that it is over.

    A store that does not answer is asked again: who listens is told so by a comment, and misses nothing.
    """

    media_type = "text/event-stream"

    def __init__(self, streams: Streams, read: Read, events: Sequence[JobEvent], after: int) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._streams, self._read, self._events, self._after = streams, read, events, after

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        left = False

        async def leave() -> None:
            nonlocal left
            while (await receive())["type"] != "http.disconnect":
                pass
            left = True
            group.cancel_scope.cancel()

        async def stop() -> None:
            await stopping.wait()
            group.cancel_scope.cancel()

        with self._streams.entered() as stopping:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            async with anyio.create_task_group() as group:
                group.start_soon(leave)
                group.start_soon(stop)
                await self._tell(send)
                group.cancel_scope.cancel()
        if not left:
            with anyio.move_on_after(LAST_WORD_S):  # one that reads nothing holds up no server
                await send({"type": "http.response.body", "body": b""})

    async def _tell(self, send: Send) -> None:
        async def say(text: str) -> None:
            await send({"type": "http.response.body", "body": text.encode(), "more_body": True})

        await say("".join(map(as_text, self._events)) or ": listening\n\n")
        events, is_over, after = self._events, False, self._after
        wait_s, said_s = SHORTEST_WAIT_S, time.monotonic()
        while not is_over and not (events and events[-1].kind == "end"):
            await anyio.sleep(wait_s)
            after = events[-1].id if events else after
            try:
                events, is_over = await self._streams.read(self._read, after)
                text = "".join(map(as_text, events))
            except StoreError:
                events, text = (), ": the store does not answer\n\n"
            except UnknownJob:  # it was cleared away
                return
            wait_s = SHORTEST_WAIT_S if events else min(LONGEST_WAIT_S, wait_s * GROWTH)
            if not text and time.monotonic() - said_s >= KEEP_ALIVE_S:
                text = ": still there\n\n"
            if text:
                await say(text)
                said_s = time.monotonic()


def as_text(event: JobEvent) -> str:
    """An event as it goes over the wire: its data in one line of ASCII, with its stamp."""
    data = json.dumps({**event.data, "at": stamp_to_text(event.at)}, allow_nan=False)
    return f"id: {event.id}\nevent: {event.kind}\ndata: {data}\n\n"
