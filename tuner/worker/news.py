"""News: what a worker tells whoever watches it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

NewsKind = Literal[
    "started",  # worker, server, device, backends, waiting: records of an earlier run that are sent first
    "claimed",  # op, problem, trials, time_s
    "best",  # trial, template, config, digest, phase, median_us
    "progress",  # trial, median_us of the best | null; while nothing else is to be said
    "done",  # template, config, digest, median_us, trials, cached, seconds …; the server has it all
    "failed",  # reason; nobody need try again
    "given_back",  # reason; another worker, or this one later, takes it up
    "dropped",  # reason; cancelled, or in another worker's hands
    "uploaded",  # records or incidents: how many; waiting: how many are not yet
    "refused",  # reason; a record no server wants, set aside
    "waiting",  # waiting, reason; the server gives no answer
    "back",  # waiting; the server answers again
    "idle",  # nothing is queued that this worker can run
    "warning",  # reason
    "stopped",  # waiting
]


@dataclass(frozen=True, slots=True)
class News:
    """Something that happened, of a job where one is named."""

    kind: NewsKind
    job: int | None = None
    data: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """One flat object."""
        return {"event": self.kind, **({} if self.job is None else {"job": self.job}), **self.data}


Tell = Callable[[News], None]
"""Called from several threads; it takes no time to speak of."""
