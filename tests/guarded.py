"""ASGI layers under test: an application that says who asked, and requests to it without a network."""

from __future__ import annotations

import asyncio
import json

from builders import A_STAMP
from kerntune.cache.memory_keys import MemoryKeys
from kerntune.server.auth import Auth
from kerntune.server.key_ring import KeyRing
from kerntune.tuner.key_services import KeyBook


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self):
        self.s = 1000.0

    def __call__(self):
        return self.s


class Asked(MemoryKeys):
    """Keys that count how often they were read, and may be out of reach."""

    reads = 0
    trouble = None

    def all(self):
        self.reads += 1
        if self.trouble:
            raise self.trouble
        return super().all()


async def whoami(scope, receive, send):
    """Answers with who asks and with what was sent."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    said = {"name": scope.get("kerntune.key_name"), "scopes": sorted(scope.get("kerntune.scopes", ())), "n": len(body)}
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(said).encode()})


class Guard:
    """Auth before `whoami`, over keys and a clock of the test's own."""

    def __init__(self, **options):
        self.keys, self.clock = Asked(), Clock()
        self.book = KeyBook(self.keys, lambda: A_STAMP)
        self.ring = KeyRing(self.keys, self.clock, lambda: A_STAMP)
        self.auth = Auth(whoami, self.ring, clock_s=self.clock, **options)

    def key(self, *scopes):
        return self.book.create("ci", scopes or ("read",)).text

    def ask(self, method="GET", path="/v1/records", key=None, **options):
        return ask(self.auth, method, path, key, **options)


def ask(app, method="GET", path="/v1/records", key=None, *, headers=(), server=("127.0.0.1", 8420), chunks=(b"",)):
    """The status, headers and body of a response; headers are pairs of bytes, a chunk may be a number of seconds."""
    given = [(b"host", b"127.0.0.1:8420"), *headers]
    if key is not None:
        given.append((b"authorization", b"Bearer " + key.encode()))
    path, _, query = path.partition("?")
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": given,
        "server": server,
        "client": ("10.0.0.1", 5000),
    }
    waiting, sent = list(chunks), []

    async def receive():
        if waiting and isinstance(waiting[0], float):
            await asyncio.sleep(waiting.pop(0))
        if not waiting:
            return {"type": "http.disconnect"}
        chunk = waiting.pop(0)
        return {"type": "http.request", "body": chunk, "more_body": bool(waiting)}

    async def send(message):
        sent.append(message)

    async def run():
        await app(scope, receive, send)
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))  # what was begun beside it

    asyncio.run(run())
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return sent[0]["status"], dict(sent[0]["headers"]), json.loads(body) if body else None
