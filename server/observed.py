"""Observed: the outermost layer, which counts what is answered, and writes it down where that is asked for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from time import perf_counter

from .hot import App, Message, Receive, Scope, Send
from .logs import RequestLog
from .metrics import Metrics

CLIENT_GONE = 499
"""The status of a request nobody waited for (nginx's number)."""
FAILED = 500


class Observed:
    """Counts each request in `metrics`; tells `log` of it, where there is one."""

    def __init__(
        self, app: App, metrics: Metrics, log: RequestLog | None = None, clock_s: Callable[[], float] = perf_counter
    ) -> None:
        self._app, self._metrics, self._log, self._clock_s = app, metrics, log, clock_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._log is not None:
            await self._logged(self._log, scope, receive, send)
            return
        status = 0
        begun_s = self._clock_s()

        def sending(message: Message) -> Awaitable[None]:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            return send(message)

        failed = True
        try:
            await self._app(scope, receive, sending)
            failed = False
        finally:
            self._metrics.count(scope["path"], _status(status, failed), self._clock_s() - begun_s)

    async def _logged(self, log: RequestLog, scope: Scope, receive: Receive, send: Send) -> None:
        status = sent_bytes = 0
        begun_s = self._clock_s()
        request_id = log.begun(scope)

        def sending(message: Message) -> Awaitable[None]:
            nonlocal status, sent_bytes
            if message["type"] == "http.response.start":
                status = message["status"]
                message = log.echoed(request_id, message)
            else:
                sent_bytes += len(message.get("body", b""))
            return send(message)

        failed = True
        try:
            await self._app(scope, receive, sending)
            failed = False
        finally:
            seconds, status = self._clock_s() - begun_s, _status(status, failed)
            self._metrics.count(scope["path"], status, seconds)
            log.ended(request_id, scope, status, sent_bytes, seconds)


def _status(said: int, failed: bool) -> int:
    return said or (FAILED if failed else CLIENT_GONE)
