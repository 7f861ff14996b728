"""How a server says no on the wire: the problem types of RFC 9457, used by client and server alike."""

from __future__ import annotations

from ..spaces.errors import KerntuneError, NoAnswer, StoreError

MEDIA_TYPE = "application/problem+json"
NO_ANSWER = "/problems/no-answer"
UNKNOWN_TARGET = "/problems/unknown-target"
UNKNOWN_JOB = "/problems/unknown-job"
LEASE_LOST = "/problems/lease-lost"
UNKNOWN_GENERATION = "/problems/unknown-generation"
READ_ONLY = "/problems/read-only"

MAX_DETAIL_CHARS = 2000


class UnknownTarget(NoAnswer):
    """A target digest the server has no record of: ask again by device and toolchain."""


class UnknownJob(NoAnswer):
    """A job the server does not have."""


class UnknownGeneration(NoAnswer):
    """A generation that was never frozen there."""


class ReadOnly(StoreError):
    """An exported generation: it answers lookups, and takes and holds nothing else."""


class LeaseLost(KerntuneError):
    """A job is no longer the worker's: another one took it, or it has ended."""


def unknown_generation(number: int, newest: int) -> UnknownGeneration:
    """The error that says which there are."""
    known = f"the newest is {newest}" if newest else "none was frozen yet: tune generations freeze"
    return UnknownGeneration(f"there is no generation {number} here: {known}.")


def printable(text: str, limit: int = MAX_DETAIL_CHARS) -> str:
    """Foreign text as a terminal or a log may show it: control characters escaped, at most `limit` characters."""
    escaped = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text[: limit + 1])
    return escaped if len(escaped) <= limit else f"{escaped[: limit - 1]}…"
