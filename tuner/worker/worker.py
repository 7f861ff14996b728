"""Worker: claims jobs of a server, runs them one after another, and lets none of their records be lost."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from ...cache.outcomes import LeaseEnded, Refused, Unreachable
from ...cache.records import Record, RecordKey
from ...cache.remote_jobs import Claimed, Nothing, RemoteJobs
from ...cache.spool import Spool
from ...cache.store import Store
from ...cache.studies import Studies
from ...spaces.errors import DeviceError, NetworkError, NoAnswer, StoreError, UsageError
from .. import tuning
from ..hosts import Host
from ..record_checks import RecordChecks
from .delivery import Delivery
from .event_stream import EventStream
from .job_request import key_of, request_of
from .job_run import Ended, JobRun, what_memory_lacks
from .job_store import JobStore
from .lease import Lease
from .news import News, Tell
from .outage import Outage
from .pauses import SLICE_S, Pauses, StopSign
from .sender import Sender
from .terms import Terms


@dataclass(frozen=True, slots=True)
class Worker:
    """What it is handed has owners of its own, who close it."""

    terms: Terms
    host: Host
    server: RemoteJobs
    records: Store  # of the server
    store: Store  # of this machine
    studies: Studies  # what its searches cost
    spool: Spool
    sender: Sender  # of that spool, started
    outage: Outage
    stop: StopSign
    tell: Tell

    def run(self) -> None:
        """Work until asked to stop, or for one job.

        Raises: NetworkError where no server answers and one job was wanted; UsageError for words or a key that it does
        not take; DeviceError, StoreError for faults of this machine, with the job given back.
        """
        idle = Pauses(self.terms.first_idle_s, self.terms.longest_idle_s)
        while self._brought_away() and not self.stop.is_up:
            said = self.server.claim(self.terms.name, self.host.target, sorted(self.host.backends), self.terms.lease_s)
            if isinstance(said, Refused | LeaseEnded):
                raise UsageError(f"{self.server.url} gives this worker no jobs: {said.reason}{_how_to_mend(said)}")
            if isinstance(said, Claimed):
                self.outage.answer(self.sender.waiting)
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
        begun_s = time.monotonic()
        while not self.stop.is_up:
            self.sender.check()
            if self.sender.is_drained:
                return True
            self.terms.check_patience(begun_s, self.outage, self.sender)
            time.sleep(SLICE_S)
        return False

    def _say_nothing_came(self, said: Nothing | Unreachable, *, is_news: bool) -> None:
        """Raises: NetworkError where one job was wanted and no server answers."""
        if isinstance(said, Unreachable):
            if self.terms.once:
                raise NetworkError(said.reason)
            return self.outage.no_answer(said.reason, self.sender.waiting)
        self.outage.answer(self.sender.waiting)
        if is_news:
            self.tell(News("idle"))

    def _work(self, claimed: Claimed) -> None:
        """Run a job to its end, or until it is not ours any more. Raises: as `run`."""
        with (
            Lease(self.server, claimed, self.tell, self.terms.lease_s, self.terms.beat_s) as lease,
            EventStream(self.server, claimed, self.tell, lease.ask) as stream,
        ):
            last_word = Delivery(
                self.terms, self.server, claimed, lease, stream, self.sender, self.outage, self.stop, self.tell
            )
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
        self.sender.refused.clear()  # of earlier jobs
        store = JobStore(self.store, self.spool, self._known_there(key), self.sender.wake)
        store.send_what_is_known(key)
        run = JobRun(claimed.id, self.host, store, self.studies, lease, stream, self.stop, self.tell)
        return run.run(request)

    def _known_there(self, key: RecordKey) -> Sequence[Record]:
        """The server's records of a key, as far as they can be read and are sound."""
        checks = RecordChecks()
        try:
            return [record for record in self.records.records(key) if checks.record(record) is None]
        except (NetworkError, UsageError) as error:
            self.tell(News("warning", None, {"reason": f"begun without what the server knows of it: {error}"}))
            return []


def _how_to_mend(said: Refused | LeaseEnded) -> str:
    is_of_the_key = isinstance(said, Refused) and said.is_of_the_key
    return " A worker needs a key with the scope `record` in KERNTUNE_API_KEY." if is_of_the_key else ""
