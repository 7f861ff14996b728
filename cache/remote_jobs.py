"""A worker's side of a server, over HTTP: claim, heartbeat, events, finish, upload. What comes of it is a value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..spaces.targets import Target
from .checked import listed, mapping, member, name, text, truth, whole
from .http_client import HttpClient
from .jobs import Happening, Outcome
from .outcomes import Failed, Taken, post, read
from .wire_records import MOST_PER_UPLOAD

MAX_RESPONSE_BYTES = 2**20
TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Claimed:
    """A job that is ours for as long as its lease lives; what we say of it carries the token."""

    id: int
    token: int
    op: str
    request: Mapping[str, Any]  # the words it is to be run by, not checked yet


@dataclass(frozen=True, slots=True)
class Nothing:
    """No job is queued that we can run."""


@dataclass(frozen=True, slots=True)
class Beat:
    """The lease lives on."""

    cancel: bool  # nobody wants the job any more


@dataclass(frozen=True, slots=True)
class Uploaded:
    """What became of records that were sent: kept, but for those named by their place, with the reason."""

    refused: tuple[tuple[int, str], ...]


class RemoteJobs:
    """The queue of one server. Holds no connection, so it is safe to share between threads. Its calls raise nothing."""

    def __init__(self, url: str, api_key: str | None = None, timeout_s: float = TIMEOUT_S) -> None:
        """Raises: UsageError for an address that is not http or https, or a key that no header can hold."""
        self._client = HttpClient(url, api_key, timeout_s, MAX_RESPONSE_BYTES)

    @property
    def url(self) -> str:
        return self._client.url

    def register(self, target: Target) -> Taken | Failed:
        """Make a target known, so that jobs can name it by its digest."""
        return read(post(self._client, "/v1/targets", target.as_dict()), lambda _: Taken())

    def claim(self, worker: str, target: Target, backends: Sequence[str], lease_s: float) -> Claimed | Nothing | Failed:
        """A queued job that this target and these backends can run."""
        words = {"worker": worker, "target": target.as_dict(), "backends": sorted(backends), "lease_s": lease_s}
        return read(post(self._client, "/v1/jobs/claim", words), lambda data: _claimed(data) if data else Nothing())

    def heartbeat(self, claimed: Claimed, lease_s: float) -> Beat | Failed:
        """Prolong a lease."""
        said = self._say(claimed, "heartbeat", {"lease_s": lease_s})
        return read(said, lambda data: Beat(truth(member(data, "cancel"), "cancel")))

    def add_events(self, claimed: Claimed, happenings: Sequence[Happening]) -> Taken | Failed:
        """Tell what happened in a job."""
        events = [{"kind": happening.kind, "data": dict(happening.data)} for happening in happenings]
        return read(self._say(claimed, "events", {"events": events}), lambda _: Taken())

    def finish(
        self,
        claimed: Claimed,
        outcome: Outcome,
        error: str | None = None,
        result: Mapping[str, Any] | None = None,
    ) -> Taken | Failed:
        """Our last word on a job; said twice, it counts once."""
        told = {"outcome": outcome, "error": error, "result": None if result is None else dict(result)}
        said = self._say(claimed, "finish", {word: value for word, value in told.items() if value is not None})
        return read(said, lambda _: Taken())

    def upload(self, records: Sequence[Mapping[str, Any]]) -> Uploaded | Failed:
        """Send records, at most MOST_PER_UPLOAD; each is kept or refused for itself, and sent twice kept once."""
        return read(post(self._client, "/v1/records", {"records": list(records)}), _uploaded)

    def report_incident(self, incident: Mapping[str, Any]) -> Taken | Failed:
        """Send a trouble of the machine, as `incident_to_json` writes it."""
        return read(post(self._client, "/v1/incidents", incident), lambda _: Taken())

    def _say(self, claimed: Claimed, word: str, body: Mapping[str, Any]) -> dict[str, Any] | Failed:
        return post(self._client, f"/v1/jobs/{claimed.id}/{word}", {"token": claimed.token, **body})


def _claimed(data: Mapping[str, Any]) -> Claimed:
    job = mapping(member(data, "job"), "job")
    return Claimed(
        id=whole(member(job, "id", "job."), "job.id", least=0),
        token=whole(member(data, "token"), "token", least=0),
        op=name(member(job, "op", "job."), "job.op"),
        request=mapping(member(job, "request", "job."), "job.request"),
    )


def _uploaded(data: Mapping[str, Any]) -> Uploaded:
    def refused(one: Any, where: str) -> tuple[int, str]:
        said = mapping(one, where)
        place = whole(member(said, "index", f"{where}."), f"{where}.index", 0, MOST_PER_UPLOAD - 1)
        return place, text(member(said, "reason", f"{where}."), f"{where}.reason", 10_000)

    return Uploaded(listed(member(data, "refused"), "refused", MOST_PER_UPLOAD, refused))
