"""Delivery: the last word on a job, said once the server has all its records."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...cache.outcomes import LeaseEnded, Refused, Taken, Unreachable
from ...cache.remote_jobs import Claimed, RemoteJobs
from .event_stream import EventStream
from .job_run import Ended
from .lease import Lease
from .news import News, NewsKind, Tell
from .outage import Outage
from .pauses import SLICE_S, Pauses, StopSign
from .sender import Sender
from .terms import Terms

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 10.0


@dataclass(frozen=True, slots=True)
class Delivery:
    """Of one job."""

    terms: Terms
    server: RemoteJobs
    claimed: Claimed
    lease: Lease
    stream: EventStream
    sender: Sender
    outage: Outage
    stop: StopSign
    tell: Tell

    def deliver(self, ended: Ended) -> None:
        """Say how the job ended, however long the server is away; drop it where it is not ours any more.

        Raises: NetworkError where one job was wanted and it takes too long; StoreError, UsageError as `Sender.check`.
        """
        pauses = Pauses(FIRST_PAUSE_S, LONGEST_PAUSE_S)
        begun_s = time.monotonic()
        while self.lease.over is None:
            self.sender.check()
            if self.sender.is_drained:
                if self._is_said(self._judged(ended)):
                    return
                self.stop.wait(pauses.next_s(), lambda: self.lease.over is not None)
            self.terms.check_patience(begun_s, self.outage, self.sender)
            if self._must_leave(begun_s):
                return self._drop(f"the worker was stopped and the server does not answer. {self.sender.left_words}")
            time.sleep(SLICE_S)
        return self._drop(self.lease.over)

    def give_back(self, reason: str) -> None:
        """Let another try; with the records brought away first, if that is quickly done."""
        self.sender.drain(self.terms.flush_s, lambda: self.lease.over is not None)
        if self.lease.over is not None:
            return self._drop(self.lease.over)
        self.stream.flush()
        said = self.server.finish(self.claimed, "retry", reason)
        if isinstance(said, Taken):
            return self._tell("given_back", {"reason": reason})
        return self._drop(said.reason)

    def _is_said(self, ended: Ended) -> bool:
        """Whether there is no more to say: the server took it, or never will."""
        self.stream.flush()
        said = self.server.finish(self.claimed, ended.outcome, ended.error, ended.result)
        if isinstance(said, Unreachable):
            self.outage.no_answer(said.reason, self.sender.waiting)
            return False
        self.outage.answer(self.sender.waiting)
        if isinstance(said, LeaseEnded | Refused):
            self._drop(said.reason)
        elif ended.outcome == "done":
            self._tell("done", dict(ended.result or {}))
        else:
            self._tell("failed", {"reason": ended.error})
        return True

    def _judged(self, ended: Ended) -> Ended:
        """A result whose record the server refused is none that anybody could look up."""
        reason = self.sender.refused.get(ended.winner) if ended.winner is not None else None
        return ended if reason is None else Ended("failed", f"the server refused the record of the winner: {reason}")

    def _must_leave(self, begun_s: float) -> bool:
        """Whether the worker was asked to end, and has tried to say it for long enough since."""
        asked_s = self.stop.asked_s
        return asked_s is not None and time.monotonic() - max(begun_s, asked_s) > self.terms.flush_s

    def _drop(self, reason: str) -> None:
        self._tell("dropped", {"reason": reason})

    def _tell(self, kind: NewsKind, data: Mapping[str, Any]) -> None:
        self.tell(News(kind, self.claimed.id, data))
