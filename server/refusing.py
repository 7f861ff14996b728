"""Refusals of the layers in front of the routes: the same problem bodies, sent without a framework."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable

from ..cache.refusals import MEDIA_TYPE
from .errors import Kind, problem
from .hot import Send

UNAUTHORISED = Kind(401, "/problems/unauthorised", "A key is needed")
FOREIGN = Kind(403, "/problems/foreign", "The request comes from elsewhere")
TOO_SLOW = Kind(408, "/problems/too-slow", "The body took too long")
TOO_LARGE = Kind(413, "/problems/too-large", "The body is too large")
TOO_LONG = Kind(414, "/problems/too-long", "The address is too long")
HEADERS_TOO_LONG = Kind(431, "/problems/too-long", "The headers are too long")

CHALLENGE = ((b"www-authenticate", b'Bearer realm="kerntune"'),)


async def refuse(send: Send, kind: Kind, detail: str, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
    """Answer with a problem body."""
    body = json.dumps(problem(kind, detail)).encode()
    fixed = [
        (b"content-type", MEDIA_TYPE.encode()),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": kind.status, "headers": [*fixed, *headers]})
    await send({"type": "http.response.body", "body": body})


def retry_after(wait_s: float) -> tuple[tuple[bytes, bytes], ...]:
    """The header that says when to come again, in whole seconds."""
    return ((b"retry-after", b"%d" % max(1, math.ceil(wait_s))),)
