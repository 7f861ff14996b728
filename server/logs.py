"""Logs: one JSON object on a line, for each request and each trouble."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from .hot import Message, Scope

MAX_PATH_CHARS = 500

_SANE_ID = re.compile(rb"[A-Za-z0-9._:-]{1,64}")


class RequestLog:
    """Writes a line about each request. The query is left out: it may hold what nobody else should see."""

    def __init__(self, write: Callable[[str], object] | None = None) -> None:
        self._write = write or sys.stderr.write

    def begun(self, scope: Scope) -> str:
        """The id of a request: its own X-Request-Id where that is a sane one."""
        given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
        made = given.decode() if _SANE_ID.fullmatch(given) else uuid4().hex
        scope["kerntune.request_id"] = made
        return made

    def echoed(self, request_id: str, start: Message) -> Message:
        """The start of a response, with the id of its request; a copy, for hot answers share theirs."""
        return {**start, "headers": [*start["headers"], (b"x-request-id", request_id.encode())]}

    def ended(self, request_id: str, scope: Scope, status: int, sent_bytes: int, seconds: float) -> None:
        """Write the line of a request."""
        said = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "level": "info" if status < 500 else "error",
            "method": scope["method"],
            "path": scope["path"][:MAX_PATH_CHARS],
            "status": status,
            "ms": round(seconds * 1e3, 3),
            "key": scope.get("kerntune.key_name", ""),
            "bytes": sent_bytes,
            "request_id": request_id,
        }
        self._write(json.dumps(said) + "\n")


class JsonLines(logging.Formatter):
    """What the libraries log, and the traceback of our own errors, as lines of the same kind."""

    def format(self, record: logging.LogRecord) -> str:
        """One line; control characters are escaped as JSON does it."""
        said: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            said["traceback"] = self.formatException(record.exc_info)
        return json.dumps(said)
