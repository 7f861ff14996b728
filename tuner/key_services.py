"""Keys as a person handles them: made, listed, rotated, revoked. Only here is a key ever whole."""

from __future__ import annotations

import re
import secrets
from base64 import b32encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ..cache.keys import ApiKey, Keys, Scope, sha256_of
from ..spaces.errors import UnknownName, UsageError

ID_CHARS = 12
SECRET_BYTES = 20

GRACE = timedelta(hours=24)

_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_LONGEST_S = 36_500 * _UNIT_S["d"]


@dataclass(frozen=True, slots=True)
class Made:
    """A new key: `text` is shown once and kept nowhere."""

    text: str
    key: ApiKey


class KeyBook:
    """The keys of a server. It does not own what keeps them."""

    def __init__(self, keys: Keys, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._keys = keys
        self._now = now

    def create(self, name: str, scopes: Sequence[Scope], lasting: timedelta | None = None) -> Made:
        """A new key. Raises: UsageError for a name or scopes that are none, StoreError."""
        made = self._made(name, scopes, lasting)
        self._keys.add(made.key)
        return made

    def rotate(self, key_id: str, grace: timedelta = GRACE) -> Made:
        """A new key in the place of an old one, which goes on working for `grace`; it lasts as long as the old did.

        Raises: UnknownName, UsageError for one that has ended, StoreError.
        """
        known = {key.id: key for key in self._keys.all()}
        if key_id not in known:
            raise UnknownName(key_id, "the id of a key", known, "tune keys list")
        old = known[key_id]
        lasting = None if old.expires_at is None else old.expires_at - old.created_at
        made = self._made(old.name, old.scopes, lasting)
        self._keys.rotate(key_id, made.key, made.key.created_at + grace)
        return made

    def revoke(self, key_id: str) -> ApiKey:
        """End a key now. Raises: UnknownName, StoreError."""
        return self._keys.revoke(key_id, self._now())

    def all(self) -> list[ApiKey]:
        """Every key, oldest first. Raises: StoreError."""
        return self._keys.all()

    def usable(self) -> list[ApiKey]:
        """Those that open something now. Raises: StoreError."""
        return [key for key in self._keys.all() if key.is_usable(self._now())]

    def _made(self, name: str, scopes: Sequence[Scope], lasting: timedelta | None) -> Made:
        key_id = _letters(8)[:ID_CHARS]
        text = f"kt_{key_id}_{_letters(SECRET_BYTES)}"
        now = self._now()
        key = ApiKey(key_id, name, sha256_of(text), tuple(scopes), now, None if lasting is None else now + lasting)
        return Made(text, key)


def duration_of(text: str, flag: str) -> timedelta:
    """The time that `90d`, `24h` or `30m` name. Raises: UsageError."""
    match = re.fullmatch(r"(\d{1,9})([smhdw])", text.strip().lower())
    seconds = int(match[1]) * _UNIT_S[match[2]] if match else None
    if seconds is None or seconds > _LONGEST_S:
        raise UsageError(f'"{text}" is no time ({flag}): write a number and s, m, h, d or w, as in 90d or 24h.')
    return timedelta(seconds=seconds)


def _letters(count: int) -> str:
    """Random lower-case letters and digits 2-7, 8 for every 5 bytes."""
    return b32encode(secrets.token_bytes(count)).decode().rstrip("=").lower()
