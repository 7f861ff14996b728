"""Every environment variable kerntune reads, typed. No other file reads the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from ..spaces.errors import UsageError

APP = "kerntune"


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment says, or the defaults."""

    db_url: str  # KERNTUNE_DB: SQLAlchemy URL of the database
    cache_dir: Path  # KERNTUNE_CACHE_DIR: rendered sources, compiled kernels, 0700
    server_url: str | None = None  # KERNTUNE_SERVER: server a lookup asks and a worker works for
    api_key: str | None = None  # KERNTUNE_API_KEY: bearer key for that server
    threads: int | None = None  # OMP_NUM_THREADS: threads a CPU kernel runs with; all usable cores where unset
    compiler: str | None = None  # CC: C compiler to try first
    explain: bool = False  # KERNTUNE_EXPLAIN: why a lookup missed or is not exact goes to stderr, field by field
    generation: int | None = None  # KERNTUNE_GENERATION: the frozen generation that lookups are pinned to
    disabled: bool = False  # KERNTUNE_DISABLE: ops run the vendor library, whatever is tuned

    def __repr__(self) -> str:
        return f"Settings(db_url={self.db_url!r}, cache_dir={str(self.cache_dir)!r}, server_url={self.server_url!r})"


def default_db_url() -> str:
    """An SQLite file in the user's data directory."""
    return f"sqlite:///{Path(platformdirs.user_data_dir(APP)) / 'kerntune.db'}"


def read(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of an environment (the process's own where none is given). Raises: UsageError."""
    env = os.environ if environ is None else environ
    return Settings(
        db_url=env.get("KERNTUNE_DB") or default_db_url(),
        cache_dir=Path(env.get("KERNTUNE_CACHE_DIR") or platformdirs.user_cache_dir(APP)),
        server_url=env.get("KERNTUNE_SERVER") or None,
        api_key=env.get("KERNTUNE_API_KEY") or None,
        threads=_count(env, "OMP_NUM_THREADS"),
        compiler=env.get("CC") or None,
        explain=_flag(env, "KERNTUNE_EXPLAIN"),
        generation=_number(env, "KERNTUNE_GENERATION"),
        disabled=_flag(env, "KERNTUNE_DISABLE"),
    )


def _flag(env: Mapping[str, str], name: str) -> bool:
    text = env.get(name, "").strip()
    if text not in ("", "0", "1"):
        raise UsageError(f'{name} is "{env[name]}": it takes 1 (yes) or 0 (no).')
    return text == "1"


def _number(env: Mapping[str, str], name: str) -> int | None:
    text = env.get(name, "").strip()
    if text and not (text.isascii() and text.isdigit() and int(text) >= 1):
        raise UsageError(f'{name} is "{env[name]}": it takes the number of a generation (tune generations list).')
    return int(text) if text else None


def _count(env: Mapping[str, str], name: str) -> int | None:
    text = env.get(name, "").split(",")[0].strip()  # OpenMP allows a list by nesting level: the first counts here
    if not text:
        return None
    if not text.isdigit() or int(text) < 1:
        raise UsageError(f'{name} is "{env[name]}": it takes an integer of at least 1.')
    return int(text)
