"""RemoteStore: the port over HTTP, kept by a kerntune server."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from ..spaces.errors import UsageError
from ..spaces.targets import Target
from .checked import text
from .http_client import HttpClient, Reply
from .paging import MOST_PER_PAGE, Page, checked_limit, every_record
from .records import Incident, Record, RecordKey
from .refusals import UNKNOWN_TARGET, printable
from .rules import at_the_door, clean_name, clean_text, winner
from .wire_records import MOST_PER_UPLOAD, MOST_UPLOAD_BYTES, incident_to_json, record_from_json, record_to_json
from .wire_targets import target_checked

MAX_RESPONSE_BYTES = 64 * 2**20
"""A page has 4 MiB and at most twenty records more; what is larger is none."""


class RemoteStore:
    """Records at a server. Holds no connection, so it is safe to share between threads.

    Where the server gives no answer, every method raises NetworkError instead of StoreError, and what was being added
    may be kept or not: add it again. What the server refuses is a UsageError with its reason. `best` and `candidates`
    read every record there is of the key or the op: a lookup over HTTP (`RemoteAnswers`) is the cheaper question.
    """

    def __init__(self, url: str, api_key: str | None = None, timeout_s: float = 30.0) -> None:
        """Raises: UsageError for an address that is not http or https, or a key that is not printable ASCII."""
        self._client = HttpClient(url, api_key, timeout_s, MAX_RESPONSE_BYTES)

    def add(self, record: Record) -> None:
        self.add_many([record])

    def add_many(self, records: Sequence[Record], /) -> int:
        added = 0
        refused: list[str] = []
        for upload in _uploads(records):
            answer = self._post("/v1/records", upload)
            try:
                added += int(answer["added"])
                refused += [str(one["reason"]) for one in answer["refused"]]
            except (KeyError, TypeError, ValueError) as error:
                self._client.fail(f"its answer to an upload cannot be read: {printable(str(error), 300)}")
        if refused:
            reasons = printable("; ".join(dict.fromkeys(refused)), 1000)
            raise UsageError(f"{self._client.url} kept all but {len(refused):,} of {len(records):,} records: {reasons}")
        return added

    def add_incident(self, key: RecordKey, incident: Incident) -> None:
        clean = Incident(clean_name(incident.kind), clean_text(incident.reason))
        self._post("/v1/incidents", json.dumps(incident_to_json(key, clean)).encode())

    def best(self, key: RecordKey, template_digests: Sequence[str] = ()) -> Record | None:
        return winner(r for r in self._of_key(key) if not template_digests or r.template_digest in template_digests)

    def records(self, key: RecordKey) -> list[Record]:
        return sorted(self._of_key(key), key=lambda record: record.recorded_at)

    def candidates(self, op: str, problem_digest: str | None = None) -> list[Record]:
        histories: dict[tuple[str, str], list[Record]] = {}
        for record in self._every(op, problem_digest, None):
            histories.setdefault((record.key.digest, record.template_digest), []).append(record)
        winners = [best for history in histories.values() if (best := winner(history)) is not None]
        return sorted(winners, key=lambda record: (record.recorded_at, record.key.digest, record.template_digest))

    def page(
        self,
        op: str | None = None,
        problem_digest: str | None = None,
        target_digest: str | None = None,
        cursor: str | None = None,
        limit: int = MOST_PER_PAGE,
    ) -> Page:
        said = {"op": op, "problem": problem_digest, "target": target_digest, "cursor": cursor}
        query = {name: value for name, value in said.items() if value is not None}
        data = self._get("/v1/records", query | {"limit": str(checked_limit(limit))})
        try:
            cursor = None if data["next"] is None else text(data["next"], "next", 200)
            return Page(tuple(map(record_from_json, data["records"])), cursor)
        except (KeyError, TypeError, UsageError) as error:
            self._client.fail(f"its page of records cannot be read: {printable(str(error), 300)}")

    def targets(self) -> list[Target]:
        data = self._get("/v1/targets")
        try:
            return [target_checked(target) for target in data["targets"]]
        except (KeyError, TypeError, UsageError) as error:
            self._client.fail(f"its list of targets cannot be read: {printable(str(error), 300)}")

    def add_target(self, target: Target) -> None:
        self._post("/v1/targets", json.dumps(target.as_dict()).encode())

    def target(self, digest: str) -> Target | None:
        path = f"/v1/targets/{quote(digest, safe='')}"
        reply = self._client.get(path)
        if reply.status != 200 and self._client.refusal(reply, path).type == UNKNOWN_TARGET:
            return None
        data = self._answer(reply, path)
        try:
            return target_checked(data)
        except UsageError as error:
            self._client.fail(f"its target cannot be read: {printable(str(error), 300)}")

    def close(self) -> None:
        """Nothing to let go of: the records stay."""

    def _of_key(self, key: RecordKey) -> Iterator[Record]:
        return (r for r in self._every(None, key.problem.digest, key.target.digest) if r.key == key)

    def _every(self, op: str | None, problem_digest: str | None, target_digest: str | None) -> Iterator[Record]:
        return every_record(lambda cursor: self.page(op, problem_digest, target_digest, cursor))

    def _get(self, path: str, query: Mapping[str, str] | None = None) -> dict[str, Any]:
        return self._answer(self._client.get(path, query), path)

    def _post(self, path: str, body: bytes) -> dict[str, Any]:
        return self._answer(self._client.post(path, body), path)

    def _answer(self, reply: Reply, path: str) -> dict[str, Any]:
        """The body of a 200. Raises: UsageError for a refusal, NetworkError for what another try may mend."""
        if reply.status == 200:
            return reply.data
        refusal = self._client.refusal(reply, path)
        if refusal.status in (408, 429):
            self._client.fail(f"it answered {refusal.status} to {path}: {refusal.detail or 'ask again later'}")
        raise UsageError(f"{self._client.url} refused {path} ({refusal.status}): {refusal.detail}")


def _uploads(records: Sequence[Record]) -> Iterator[bytes]:
    """Bodies of POST /v1/records, each within the server's bounds."""
    written: list[bytes] = []
    size = 0
    for record in records:
        one = json.dumps(record_to_json(at_the_door(record)), allow_nan=False).encode()
        if written and (len(written) == MOST_PER_UPLOAD or size + len(one) > MOST_UPLOAD_BYTES - 1000):
            yield _body(written)
            written, size = [], 0
        written.append(one)
        size += len(one) + 1
    if written:
        yield _body(written)


def _body(written: Sequence[bytes]) -> bytes:
    return b'{"records":[' + b",".join(written) + b"]}"
