"""Keys: the port to who may ask a server, and for what."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Literal, Protocol, get_args

from ..spaces.errors import UnknownName, UsageError
from .rules import clean_name

Scope = Literal["read", "submit", "record", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

MAX_NAME_CHARS = 100

_KEY = re.compile(r"kt_([a-z2-7]{12})_[a-z2-7]{32}")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is kept: all but the key itself, which only its owner has."""

    id: str  # the public part
    name: str
    sha256: str = field(repr=False)  # of the whole key, hex
    scopes: tuple[Scope, ...]
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None

    def is_usable(self, now: datetime) -> bool:
        """Whether it opens anything now."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


class Keys(Protocol):
    """Keys, kept for good: a revoked one stays, so that who asked once can still be named.

    Safe to call from several threads and processes. Every method raises StoreError where the database cannot be
    reached, and then changed nothing.
    """

    def add(self, key: ApiKey) -> None:
        """Keep a new key."""

    def all(self) -> list[ApiKey]:
        """Every key, oldest first."""

    def revoke(self, key_id: str, at: datetime) -> ApiKey:
        """End a key; one that was revoked before stays as it is. Raises: UnknownName."""

    def rotate(self, key_id: str, new: ApiKey, until: datetime) -> ApiKey:
        """Keep `new`, and let the old key, which is given back, end at `until` at the latest: both or neither.

        Raises: UnknownName; UsageError where the old one has ended at `new.created_at`.
        """

    def used(self, key_id: str, at: datetime) -> None:
        """Note that a key was used; an earlier moment than the one noted changes nothing, nor does an unknown key."""

    def close(self) -> None:
        """Let go of connections. Idempotent."""


def granted(scopes: Iterable[Scope]) -> frozenset[Scope]:
    """All that these scopes allow: admin everything, submit and record to read as well."""
    named = frozenset(scopes)
    if "admin" in named:
        return frozenset(SCOPES)
    return named | {"read"} if named else named


def sha256_of(text: str) -> str:
    """What is kept of a key: it has too many bits to be guessed, so one round is enough."""
    return hashlib.sha256(text.encode()).hexdigest()


def id_of(text: str) -> str | None:
    """The public part of a key; None for what cannot be one."""
    match = _KEY.fullmatch(text)
    return match and match[1]


def at_the_door(key: ApiKey) -> ApiKey:
    """A key as it is kept: words cleaned, stamps in UTC. Raises: UsageError."""
    name = clean_name(key.name)
    if not name or len(name) > MAX_NAME_CHARS:
        raise UsageError(f"a key's name has 1 to {MAX_NAME_CHARS} characters, this one {len(name)}. Say who uses it.")
    for scope in key.scopes:
        if scope not in SCOPES:
            raise UnknownName(scope, "a scope", SCOPES, "--scope")
    if not key.scopes:
        raise UsageError(f"a key needs a scope at least: --scope {' | '.join(SCOPES)}.")
    expires_at = None if key.expires_at is None else key.expires_at.astimezone(UTC)
    scopes = tuple(scope for scope in SCOPES if scope in key.scopes)
    return replace(key, name=name, scopes=scopes, created_at=key.created_at.astimezone(UTC), expires_at=expires_at)


def revoked(key: ApiKey, at: datetime) -> ApiKey:
    """A key that opens nothing any more."""
    return key if key.revoked_at else replace(key, revoked_at=at.astimezone(UTC))


def ending(key: ApiKey, now: datetime, until: datetime) -> ApiKey:
    """A key that ends at `until`, or before where it was to. Raises: UsageError for one that has ended."""
    if not key.is_usable(now):
        how = "was revoked" if key.revoked_at else "has expired"
        raise UsageError(f"key {key.id} ({key.name}) {how}: make a new one by tune keys create.")
    end = until.astimezone(UTC)
    return replace(key, expires_at=end if key.expires_at is None else min(end, key.expires_at))


def unknown(key_id: str, known: Iterable[str]) -> UnknownName:
    """There is no such key."""
    return UnknownName(clean_name(key_id)[:MAX_NAME_CHARS], "the id of a key", known, "tune keys list")
