"""The key ring: the keys of the database as they were a moment ago, so that a request asks no database."""

from __future__ import annotations

import asyncio
import hmac
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

import anyio
import anyio.to_thread

from ..cache.keys import SCOPES, ApiKey, Keys, Scope, granted, id_of
from ..spaces.errors import StoreError

FRESH_S = 1.0
"""Older than this, keys are read again beside the requests."""
OLD_S = 2.0
"""Older than this, no request relies on them: a revoked key is refused after this time at the latest."""
SPACING_S = 0.1
"""Between two readings for keys that are not known: so often at most a flood of wrong ones asks the database."""
TIMEOUT_S = 5.0
NOTED_EVERY_S = 60.0
"""`last_used_at` is written so often: each writing makes hot answers old."""

_log = logging.getLogger("kerntune.server")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and what that one may."""

    id: str
    name: str
    scopes: frozenset[Scope]


ANYONE = Caller("", "", frozenset(SCOPES))
"""Whoever asks an open server on loopback."""


class KeyRing:
    """All keys, in memory. For one event loop; the database is asked in threads. It owns the keys it is given."""

    def __init__(
        self,
        keys: Keys,
        clock_s: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._keys, self._clock_s, self._now = keys, clock_s, now
        self._threads = anyio.CapacityLimiter(2)  # not those of the routes
        self._by_id: dict[str, ApiKey] = {}
        self._verified: dict[bytes, Caller] = {}  # by SHA-256 of the key; as many as there are keys at most
        self._read_at_s = -math.inf
        self.fresh_until_s = -math.inf
        self._reading: asyncio.Task[StoreError | None] | None = None
        self._used: dict[str, datetime] = {}
        self._noted_at_s = -math.inf
        self._noting: asyncio.Task[None] | None = None

    @property
    def is_empty(self) -> bool:
        """Whether no key was ever made: revoked ones count, or revoking the last would open the server."""
        return not self._by_id

    async def refresh(self) -> StoreError | None:
        """Have keys that are not old; why not, where the database does not say."""
        begun = self._begin_reading()
        return None if self._clock_s() - self._read_at_s < OLD_S else await _bounded(begun)

    def caller(self, presented: bytes) -> Caller | None:
        """Whose key this is; None for one that is not known here, or opens nothing."""
        digest = sha256(presented).digest()
        return self._verified.get(digest) or self._verify(presented, digest)

    async def caller_by_now(self, presented: bytes) -> Caller | None:
        """The same, after a look for a key that was made only just now. Raises: StoreError."""
        asked_at_s = self._clock_s()
        if self._key_of(presented) is not None or id_of(presented.decode("latin-1")) is None:
            return None
        while self._read_at_s < asked_at_s:
            await asyncio.sleep(max(0.0, self._read_at_s + SPACING_S - self._clock_s()))
            if failure := await _bounded(self._begin_reading()):
                raise failure
        return self.caller(presented)

    def note_use(self, caller: Caller, now_s: float) -> None:
        """Have it written, beside the request, when the key was used last; once a minute at most."""
        if now_s - self._noted_at_s < NOTED_EVERY_S and caller.id in self._used:
            return
        self._used[caller.id] = self._now()
        if now_s - self._noted_at_s >= NOTED_EVERY_S and (self._noting is None or self._noting.done()):
            self._noted_at_s = now_s
            self._noting = asyncio.ensure_future(self._note())

    def close(self) -> None:
        """Let go of the database. Idempotent."""
        self._keys.close()

    def _key_of(self, presented: bytes) -> ApiKey | None:
        return self._by_id.get(id_of(presented.decode("latin-1")) or "")

    def _verify(self, presented: bytes, digest: bytes) -> Caller | None:
        key = self._key_of(presented)
        if key is None or not hmac.compare_digest(digest.hex(), key.sha256) or not key.is_usable(self._now()):
            return None
        caller = self._verified[digest] = Caller(key.id, key.name, granted(key.scopes))
        return caller

    def _begin_reading(self) -> asyncio.Task[StoreError | None]:
        if self._reading is None or self._reading.done():
            self._reading = asyncio.ensure_future(self._read())
        return self._reading

    async def _read(self) -> StoreError | None:
        begun_s = self._clock_s()  # what was revoked before is in what is read
        try:
            known = await anyio.to_thread.run_sync(self._keys.all, limiter=self._threads, abandon_on_cancel=True)
        except StoreError as error:
            return error
        self._by_id = {key.id: key for key in known}
        self._verified = {}
        self._read_at_s, self.fresh_until_s = begun_s, begun_s + FRESH_S
        return None

    async def _note(self) -> None:
        used, self._used = self._used, {}
        try:
            await anyio.to_thread.run_sync(self._write, used, limiter=self._threads, abandon_on_cancel=True)
        except StoreError as error:
            _log.warning("when keys were used last was not written: %s", error)

    def _write(self, used: dict[str, datetime]) -> None:
        for key_id, at in used.items():
            self._keys.used(key_id, at)


async def _bounded(reading: asyncio.Task[StoreError | None]) -> StoreError | None:
    """What a reading others wait for as well came to. It goes on where this one waits no longer."""
    done, _ = await asyncio.wait([reading], timeout=TIMEOUT_S)
    if not done:
        return StoreError(f"the database did not give the keys within {TIMEOUT_S:.0f} s. Try again.")
    return reading.result()
