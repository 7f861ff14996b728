"""MemoryRetention: the port over a MemoryStore."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime

from .memory import MemoryStore
from .retention import MOST_KEYS, Chunk, Keep, Removed, superfluous


class MemoryRetention:
    """Forgets records of a store in memory; jobs end with the process, and their events with them."""

    def __init__(self, store: MemoryStore, frozen: Callable[[], Collection[str]] = frozenset) -> None:
        self._store, self._frozen = store, frozen  # digests of the keys that generations name

    def sweep_records(self, keep: Keep, dry_run: bool = False, after: str | None = None) -> Chunk:
        frozen = self._frozen()
        known = {key.digest: key for key in self._store.known_keys() if key.digest not in frozen}
        digests = sorted(digest for digest in known if after is None or digest > after)[:MOST_KEYS]
        gone = [record for digest in digests for record in superfluous(self._store.records(known[digest]), keep)]
        if not dry_run:
            self._store.discard(gone)
        return Chunk(Removed(len(gone)), digests[-1] if len(digests) == MOST_KEYS else None)

    def sweep_events(self, older_than: datetime, dry_run: bool = False) -> Chunk:
        return Chunk(Removed(), None)

    def vacuum(self) -> int:
        return 0

    def close(self) -> None:
        """Nothing to let go of."""
