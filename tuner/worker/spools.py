"""The spools of a server: each worker of this machine has one, and takes over what a dead one left."""

from __future__ import annotations

from pathlib import Path

from ...cache.spool import Spool
from ...cache.spool_files import SpoolBusy
from ...spaces.errors import StoreError

MOST_WORKERS = 64
"""Of one user on one machine, for one server."""


def own_spool(folder: Path) -> Spool:
    """The first that nobody has open. Raises: StoreError."""
    for place in range(1, MOST_WORKERS + 1):
        try:
            return Spool(folder / str(place))
        except SpoolBusy:
            continue
    raise StoreError(f"{MOST_WORKERS} workers use the spools in {folder}: stop one of them.")


def take_over(folder: Path, own: Spool) -> int:
    """Move to our own spool what lies in those nobody has open; how many entries. Raises: StoreError.

    A kill on the way leaves some in both: the server takes a record that is sent twice once.
    """
    moved = 0
    for place in range(1, MOST_WORKERS + 1):
        if folder / str(place) == own.folder or not (folder / str(place)).is_dir():
            continue
        try:
            left = Spool(folder / str(place))
        except SpoolBusy:
            continue
        try:
            while entries := left.pending():
                for entry in entries:
                    own.append(entry.data)
                left.acknowledge(entries[-1].number)
                moved += len(entries)
        finally:
            left.close()
    return moved
