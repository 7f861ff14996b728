"""MemoryKeys: the port in a dict."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from threading import Lock

from .keys import ApiKey, at_the_door, ending, revoked, unknown


class MemoryKeys:
    """Keys for as long as the process lives. Safe to call from several threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._keys: dict[str, ApiKey] = {}

    def add(self, key: ApiKey) -> None:
        kept = at_the_door(key)
        with self._lock:
            self._keys[kept.id] = kept

    def all(self) -> list[ApiKey]:
        with self._lock:
            return sorted(self._keys.values(), key=lambda key: (key.created_at, key.id))

    def revoke(self, key_id: str, at: datetime) -> ApiKey:
        with self._lock:
            key = self._keys[key_id] = revoked(self._known(key_id), at)
            return key

    def rotate(self, key_id: str, new: ApiKey, until: datetime) -> ApiKey:
        kept = at_the_door(new)
        with self._lock:
            old = ending(self._known(key_id), kept.created_at, until)
            self._keys |= {key_id: old, kept.id: kept}
            return old

    def used(self, key_id: str, at: datetime) -> None:
        with self._lock:
            key = self._keys.get(key_id)
            if key is not None and (key.last_used_at is None or key.last_used_at < at):
                self._keys[key_id] = replace(key, last_used_at=at.astimezone(UTC))

    def close(self) -> None:
        """Nothing to let go of: they stay."""

    def _known(self, key_id: str) -> ApiKey:
        if key_id not in self._keys:
            raise unknown(key_id, self._keys)
        return self._keys[key_id]
