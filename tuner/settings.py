"""Every environment variable kerntune reads, typed. No other file reads the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from ..spaces.errors import UsageError

APP = "kerntune"

LOG_KINDS = ("warnings", "json")


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


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """What the environment says to a server, or the defaults; `tune serve` passes its flags on by it."""

    host: str = "127.0.0.1"  # KERNTUNE_HOST: address the server listens on; beyond loopback each request needs a key
    allowed_hosts: tuple[str, ...] = ()  # KERNTUNE_ALLOWED_HOSTS: names, by comma, an open server may be asked by
    per_second: int = 500  # KERNTUNE_RATE: requests a second of one key, twice as many at once; 0: no limit
    submits_per_hour: int = 1000  # KERNTUNE_SUBMITS_PER_HOUR: jobs one key may ask for in an hour; 0: no limit
    log: str = "warnings"  # KERNTUNE_LOG: warnings, or json: a line for each request


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


def read_server(environ: Mapping[str, str] | None = None) -> ServerSettings:
    """The settings of a server in an environment (the process's own where none is given). Raises: UsageError."""
    env = os.environ if environ is None else environ
    default = ServerSettings()
    log = env.get("KERNTUNE_LOG") or default.log
    if log not in LOG_KINDS:
        raise UsageError(f'KERNTUNE_LOG is "{log}": it takes {" or ".join(LOG_KINDS)}.')
    hosts = (name.strip() for name in env.get("KERNTUNE_ALLOWED_HOSTS", "").split(","))
    return ServerSettings(
        host=env.get("KERNTUNE_HOST") or default.host,
        allowed_hosts=tuple(filter(None, hosts)),
        per_second=_limit(env, "KERNTUNE_RATE", default.per_second),
        submits_per_hour=_limit(env, "KERNTUNE_SUBMITS_PER_HOUR", default.submits_per_hour),
        log=log,
    )


def _limit(env: Mapping[str, str], name: str, default: int) -> int:
    text = env.get(name, "").strip()
    if text and not (text.isdigit() and text.isascii() and len(text) <= 9):
        raise UsageError(f'{name} is "{env[name]}": it takes an integer, 0 for no limit.')
    return int(text) if text else default


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
