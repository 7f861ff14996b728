"""Auth: an ASGI layer that lets through who may ask, and as often as one may."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable, Iterable
from functools import partial

from ..cache.refusals import printable
from ..spaces.errors import StoreError
from . import scopes
from .errors import FORBIDDEN, TOO_MANY, kind_of
from .hot import App, Receive, Scope, Send
from .key_ring import ANYONE, Caller, KeyRing
from .rates import Rates
from .refusing import CHALLENGE, FOREIGN, UNAUTHORISED, refuse, retry_after

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
BATCH = "/v1/lookup"
"""Its route learns from the body how many jobs it makes: it asks `kerntune.submit_wait_s` for each."""
MOST_REMEMBERED = 4096
SHOWN_PATH_CHARS = 80


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Auth:
    """Lets a request through where its key allows it, and says by whose key: `kerntune.key_name`, `kerntune.scopes`.

    Where no key was ever made, a server that listens on loopback is open to the programs of its machine, but not to
    the pages a browser there shows: the host a request names has to be this machine, or one of `hosts`.
    """

    def __init__(
        self,
        app: App,
        ring: KeyRing,
        *,
        listens_on: str = "127.0.0.1",
        hosts: Iterable[str] = (),
        rates: Rates | None = None,
        submits: Rates | None = None,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app, self._ring, self._clock_s = app, ring, clock_s
        self._may_be_open = is_loopback(listens_on)
        self._hosts = frozenset(host.lower().encode() for host in (*LOOPBACK_NAMES, *hosts))
        self._rates, self._submits = rates, submits
        self._needed: dict[tuple[str, str], scopes.Needed] = {}
        self._addresses: dict[str, bool] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})  # there are none to let through
            return
        if scope["type"] != "http" or scope["path"] in scopes.PUBLIC:
            await self._app(scope, receive, send)
            return
        now_s = self._clock_s()
        ring = self._ring
        if now_s >= ring.fresh_until_s and (failure := await ring.refresh()) is not None:
            await refuse(send, kind_of(failure), str(failure))
            return
        if ring.is_empty and self._may_be_open and self._comes_by_loopback(scope):
            if await self._is_foreign(scope, send):
                return
            caller = ANYONE
        else:
            found = await self._caller(scope, send, now_s)
            if found is None or await self._is_refused(found, scope, send, now_s):
                return
            caller = found
            ring.note_use(caller, now_s)
            if scope["path"] == BATCH and self._submits is not None:
                scope["kerntune.submit_wait_s"] = partial(self._submit_wait_s, self._submits, caller)
        scope["kerntune.key_name"] = caller.name
        scope["kerntune.scopes"] = caller.scopes
        await self._app(scope, receive, send)

    async def _caller(self, scope: Scope, send: Send, now_s: float) -> Caller | None:
        """Whose key the request has; one that has none is refused."""
        presented = b""
        for name, value in scope["headers"]:
            if name == b"authorization":
                presented = value
        if presented[:7].lower() != b"bearer ":
            said = "it has none. Send it as `Authorization: Bearer kt_…`; `tune keys create` makes one."
            await refuse(send, UNAUTHORISED, f"The request needs a key, and {said}", CHALLENGE)
            return None
        key = presented[7:].strip()
        caller = self._ring.caller(key)
        return caller if caller is not None else await self._late_caller(key, scope, send, now_s)

    async def _late_caller(self, key: bytes, scope: Scope, send: Send, now_s: float) -> Caller | None:
        """Whose key it is, if it was made a moment ago. Who guesses is slowed down, by address."""
        address = scope["client"][0] if scope.get("client") else ""
        if self._rates is not None and (wait_s := self._rates.take(f"address {address}", now_s)):
            await refuse(send, TOO_MANY, "Too many requests with keys that are not valid.", retry_after(wait_s))
            return None
        try:
            caller = await self._ring.caller_by_now(key)
        except StoreError as error:
            await refuse(send, kind_of(error), str(error))
            return None
        if caller is None:
            said = "The key is not valid: unknown, expired or revoked. `tune keys list` shows those there are."
            await refuse(send, UNAUTHORISED, said, CHALLENGE)
        return caller

    async def _is_refused(self, caller: Caller, scope: Scope, send: Send, now_s: float) -> bool:
        """Whether the key does not allow the request, or not so often."""
        asked = scope["method"], scope["path"]
        wanted = self._needed.get(asked) or self._find(asked)
        if caller.scopes.isdisjoint(wanted):
            said = f"{asked[0]} {printable(asked[1], SHOWN_PATH_CHARS)} needs scope {' or '.join(sorted(wanted))}"
            has = ", ".join(sorted(caller.scopes)) or "none"
            await refuse(send, FORBIDDEN, f"{said}; the key {caller.id} has {has}. Make one by tune keys create.")
            return True
        wait_s = 0.0 if self._rates is None else self._rates.take(caller.id, now_s)
        if not wait_s and self._submits is not None and asked == ("POST", "/v1/jobs"):
            wait_s = self._submits.take(caller.id, now_s)
        if wait_s:
            said = f"Key {caller.id} asks more often than it may: come again in {wait_s:.1f} s."
            await refuse(send, TOO_MANY, said, retry_after(wait_s))
        return bool(wait_s)

    async def _is_foreign(self, scope: Scope, send: Send) -> bool:
        """Whether a page of another site may be behind the request: by a name made to point here, or a form."""
        host, origin = b"", None
        for name, value in scope["headers"]:
            if name == b"host":
                host = value
            elif name == b"origin":
                origin = value
        if host and host not in self._hosts and _without_port(host) not in self._hosts:
            said = f'the host "{printable(host.decode("latin-1"), 60)}" is not this machine'
        elif origin is not None and scope["method"] not in SAFE and origin.partition(b"://")[2] != host:
            said = f'a page of "{printable(origin.decode("latin-1"), 60)}" may change nothing here'
        else:
            return False
        await refuse(send, FOREIGN, f"Without keys {said}. Make a key, or name the host in KERNTUNE_ALLOWED_HOSTS.")
        return True

    def _submit_wait_s(self, submits: Rates, caller: Caller) -> float:
        """Seconds until the caller may ask for a job; 0: now, and it is counted."""
        return submits.take(caller.id, self._clock_s())

    def _comes_by_loopback(self, scope: Scope) -> bool:
        """Whether the connection ends at an address only this machine reaches, whatever the settings say."""
        server = scope.get("server")
        if not server or server[1] is None:
            return True  # a socket file
        host = server[0]
        known = self._addresses.get(host)
        if known is None:
            known = is_loopback(host)
            if len(self._addresses) < MOST_REMEMBERED:
                self._addresses[host] = known
        return known

    def _find(self, asked: tuple[str, str]) -> scopes.Needed:
        wanted = scopes.needed(*asked)
        if len(self._needed) < MOST_REMEMBERED:
            self._needed[asked] = wanted
        return wanted


def _without_port(host: bytes) -> bytes:
    """`localhost` of `LOCALHOST:8420`, `[::1]` of `[::1]:8420`."""
    name, colon, port = host.rpartition(b":")
    return (name if colon and port.isdigit() else host).lower()
