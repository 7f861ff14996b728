"""What a database complains of, in our words: what is wrong, where, how to mend."""

from __future__ import annotations

import sqlite3

from ..spaces.errors import StoreError

_ANOTHER = "name another one by --db or KERNTUNE_DB"

_SQLITE_TROUBLES = {
    "SQLITE_NOTADB": ("is not an SQLite database", f"It was left as it is: {_ANOTHER}."),
    "SQLITE_CORRUPT": (
        "is damaged",
        'Put a copy back, or save what can be read: sqlite3 FILE ".recover" | sqlite3 NEW, and name NEW by --db.',
    ),
    "SQLITE_READONLY": (
        "cannot be written",
        f"Look at owner and mode of the file and its folder (ls -l), or {_ANOTHER}.",
    ),
    "SQLITE_CANTOPEN": (
        "cannot be opened",
        f"Look at owner and mode of the file and its folder (ls -l), and whether the file system is mounted "
        f"read-only (findmnt -T FILE), or {_ANOTHER}.",
    ),
    "SQLITE_FULL": ("has no room: the disk is full", f"Make room, or {_ANOTHER}. What was stored is safe."),
    "SQLITE_IOERR": (
        "was refused by the file system (disk full, quota, file-size limit or a failing disk)",
        f"Look at df, quota and ulimit -f, or {_ANOTHER}. What was stored is safe.",
    ),
    "SQLITE_BUSY": ("stayed locked by another process", "Try again, or see who holds it: fuser FILE."),
}
"""Leading words of SQLite's error name -> what is wrong, how to mend."""

_POSTGRES_TROUBLES = {
    "28": ("refused the user or the password", "Mend the URL (--db, KERNTUNE_DB) or pg_hba.conf."),
    "3D": ("has no such database", "Make it: createdb NAME."),
    "42501": ("refused permission", "Grant it, or use a database of which this user is the owner."),
    "25006": ("is read-only", "Name the primary server."),
    "53100": ("has no room: the disk is full", "Make room on the server. What was stored is safe."),
    "53": ("is out of connections or memory", "Try again, or raise max_connections."),
    "55P03": ("stayed locked by another session", "Try again, or see who holds it in pg_locks."),
    "57": ("is shutting down or starting", "Try again."),
    "XX": ("reports damage", "Read the server's log; put a backup back."),
    "08": ("cannot be reached", "Is it running, and are host and port in the URL (--db, KERNTUNE_DB) right?"),
}
"""Leading characters of SQLSTATE -> what is wrong, how to mend; the first that fits."""

_STATE_OF_REFUSAL = {
    "authentication failed": "28",
    "pg_hba.conf": "28",
    'role "': "28",
    'database "': "3D",
    "too many": "53",
    "starting up": "57",
    "shutting down": "57",
}
"""Words of a refused connection -> SQLSTATE, which libpq does not hand on there. Elsewhere than in English: 08."""


def explain(error: BaseException, where: str) -> StoreError:
    """The StoreError for what a driver raised: what is wrong, where, how to mend."""
    name, sqlstate = getattr(error, "sqlite_errorname", None), getattr(error, "sqlstate", None)
    said = (str(error).strip() or type(error).__name__).splitlines()[0]
    what, mend = "did not do as asked", "If it goes on, report it with this line."
    if isinstance(error, sqlite3.Error):
        troubles, code = _SQLITE_TROUBLES, name or ""
    else:
        troubles, code, where = _POSTGRES_TROUBLES, sqlstate or _state_of_refusal(str(error)), f"PostgreSQL at {where}"
    for start, (known_what, known_mend) in troubles.items():
        if code.startswith(start):
            what, mend = known_what, known_mend
            break
    return StoreError(f"{where} {what} ({said}). {mend}")


def _state_of_refusal(said: str) -> str:
    return next((state for words, state in _STATE_OF_REFUSAL.items() if words in said), "08")
