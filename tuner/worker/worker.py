"""Worker: claims jobs of a server, runs them one after another, and lets none of their records be lost."""

from __future__ import annotations

import time
from dataclasses import dataclass

from ...cache.outcomes import LeaseEnded, Refused, Unreachable
from ...cache.remote_jobs import Claimed, Nothing
from ...spaces.errors import DeviceError, NetworkError, NoAnswer, StoreError, UsageError
from .. import tuning
from ..hosts import Host
from .delivery import Delivery
from .event_stream import EventStream
from .job_request import key_of, request_of
from .job_run import Ended, JobRun, what_memory_lacks
from .lease import Lease
from .news import News, Tell
from .office import Office
from .pauses import SLICE_S, Pauses, StopSign
from .terms import Terms


@dataclass(frozen=True, slots=True)
class Worker:
    """What it is handed has owners of its own, who close it."""

    terms: Terms
    host: Host
    office: Office  # whose sender is started
    stop: StopSign
    tell: Tell

    def run(self) -> None:
        """Work until asked to stop, or for one job.

        Raises: NetworkError where no server answers and one job was wanted; UsageError for words or a key that it does
        not take; DeviceError, StoreError for faults of this machine, with the job given back.
        """
        idle = Pauses(self.terms.first_idle_s, self.terms.longest_idle_s)
        server, backends = self.office.server, sorted(self.host.backends)
        while self._brought_away() and not self.stop.is_up:
            said = server.claim(self.terms.name, self.host.target, backends, self.terms.lease_s)
            if isinstance(said, Refused | LeaseEnded):
                raise UsageError(f"{server.url} gives this worker no jobs: {said.reason}{_how_to_mend(said)}")
            if isinstance(said, Claimed):
                self.office.outage.answer(self.office.sender.waiting)
                self._work(said)
                idle.reset()
            else:
                self._say_nothing_came(said, is_news=idle.is_first)
            if self.terms.once:
                return
            if not isinstance(said, Claimed):
                self.stop.wait(idle.next_s())

    def _brought_away(self) -> bool:
        """Wait until the server has all there is: a job's records come before the next job. False: asked to stop."""
        begun_s, sender = time.monotonic(), self.office.sender
        while not self.stop.is_up:
            sender.check()
            if sender.is_drained:
                return True
            self.terms.check_patience(begun_s, self.office.outage, sender)
            time.sleep(SLICE_S)
        return False

    def _say_nothing_came(self, said: Nothing | Unreachable, *, is_news: bool) -> None:
        """Raises: NetworkError where one job was wanted and no server answers."""
        if isinstance(said, Unreachable):
            if self.terms.once:
                raise NetworkError(said.reason)
            return self.office.outage.no_answer(said.reason, self.office.sender.waiting)
        self.office.outage.answer(self.office.sender.waiting)
        if is_news:
            self.tell(News("idle"))

    def _work(self, claimed: Claimed) -> None:
        """Run a job to its end, or until it is not ours any more. Raises: as `run`."""
        server, office = self.office.server, self.office
        with (
            Lease(server, claimed, self.tell, self.terms.lease_s, self.terms.beat_s) as lease,
            EventStream(server, claimed, self.tell, lease.ask) as stream,
        ):
            ways = lease, stream, office.sender, office.outage
            last_word = Delivery(self.terms, server, claimed, *ways, self.stop, self.tell)
            try:
                ended = self._ended(claimed, lease, stream)
            except (DeviceError, StoreError) as error:
                last_word.give_back(str(error))
                raise
            if ended.outcome == "retry":
                last_word.give_back(ended.error or "")
            else:
                last_word.deliver(ended)

    def _ended(self, claimed: Claimed, lease: Lease, stream: EventStream) -> Ended:
        """What came of a job here. Raises: DeviceError, StoreError."""
        try:
            request, words = request_of(claimed)
            key = key_of(words, self.host)
        except (UsageError, NoAnswer) as error:
            self.tell(News("claimed", claimed.id, {"op": claimed.op}))
            return Ended("failed", str(error))
        budget = {"trials": request.budget.trials, "time_s": request.budget.time_s}
        self.tell(News("claimed", claimed.id, {"op": request.op, "problem": tuning.words_of(key.problem), **budget}))
        if lacking := what_memory_lacks(key.problem, self.host):
            return Ended("retry", lacking)
        self.office.sender.refused.clear()  # of earlier jobs
        store, studies = self.office.store_for(key), self.office.studies
        return JobRun(claimed.id, self.host, store, studies, lease, stream, self.stop, self.tell).run(request)


def _how_to_mend(said: Refused | LeaseEnded) -> str:
    is_of_the_key = isinstance(said, Refused) and said.is_of_the_key
    return " A worker needs a key with the scope `record` in KERNTUNE_API_KEY." if is_of_the_key else ""
