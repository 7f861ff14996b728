"""What comes of asking a server, as values: who works for one goes on whether it answers or not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from ..spaces.errors import NetworkError, UsageError
from .http_client import HttpClient
from .refusals import LEASE_LOST, UNKNOWN_JOB, printable

MAX_REASON_CHARS = 500

TRY_AGAIN = frozenset({408, 409, 425, 429})
"""Refusals that time mends: too slow, in the way of another, too early, too many at once."""

NO_KEY = frozenset({401, 403})

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Taken:
    """The server has it."""


@dataclass(frozen=True, slots=True)
class LeaseEnded:
    """The job is not ours any more: another worker has it, or it has ended."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unreachable:
    """The server gave no answer, or none that can be read; the same call may do later."""

    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The server understood, and will say the same again: words it does not take, a key that may not."""

    status: int
    reason: str

    @property
    def is_of_the_key(self) -> bool:
        """Whether it is for want of a key or of a scope, whatever the words were."""
        return self.status in NO_KEY


Failed = LeaseEnded | Unreachable | Refused


def post(client: HttpClient, path: str, body: Mapping[str, Any] | bytes) -> dict[str, Any] | Failed:
    """What the server says to a body, empty where it says nothing; or why not. Raises nothing."""
    try:
        reply = client.post(path, body)
        if reply.status in (200, 202, 204):
            return reply.data
        refusal = client.refusal(reply, path)
    except NetworkError as error:
        return Unreachable(printable(str(error), MAX_REASON_CHARS))
    reason = printable(refusal.detail or f"it answered {refusal.status} to {path}", MAX_REASON_CHARS)
    if refusal.type in (LEASE_LOST, UNKNOWN_JOB):
        return LeaseEnded(reason)
    return Unreachable(reason) if refusal.status in TRY_AGAIN else Refused(refusal.status, reason)


def read(data: dict[str, Any] | Failed, made: Callable[[Mapping[str, Any]], T]) -> T | Failed:
    """What an answer says, where there is one. Raises nothing."""
    if not isinstance(data, dict):
        return data
    try:
        return made(data)
    except UsageError as error:
        return Unreachable(f"its answer cannot be read: {printable(str(error), MAX_REASON_CHARS)}")
