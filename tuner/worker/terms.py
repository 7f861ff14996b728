"""Terms: how a worker works, and how long it waits for what."""

from __future__ import annotations

import time
from dataclasses import dataclass

from ...spaces.errors import NetworkError
from .lease import BEAT_S, LEASE_S
from .outage import Outage
from .sender import Sender


@dataclass(frozen=True, slots=True)
class Terms:
    """What a worker is told when it is started."""

    name: str
    once: bool = False  # one job, or none where none is queued
    lease_s: float = LEASE_S
    beat_s: float = BEAT_S
    first_idle_s: float = 1.0
    longest_idle_s: float = 10.0
    flush_s: float = 5.0  # how long a worker that is to end still tries to bring away what it has
    once_patience_s: float = 60.0  # how long `once` waits for a server that went away

    def check_patience(self, begun_s: float, why: Outage, sender: Sender) -> None:
        """Raises: NetworkError where one job was wanted and the server is waited for since too long."""
        if self.once and time.monotonic() - begun_s > self.once_patience_s:
            raise NetworkError(f"{why.reason} {sender.left_words}")
