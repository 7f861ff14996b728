"""Answers of another machine's kerntune server, over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from ..spaces.errors import UsageError
from .http_client import HttpClient
from .records import Answer
from .refusals import NO_ANSWER, UNKNOWN_GENERATION, UNKNOWN_TARGET, UnknownGeneration, UnknownTarget, printable
from .wire import answer_from_json

MAX_RESPONSE_BYTES = 2**20
"""An answer has about 2 KiB; what is larger is no answer."""


class RemoteAnswers:
    """Lookups at one server. Holds no connection, so it is safe to share between threads.

    `timeout_s` is how long the server may take to connect, to start its response, and to send it.
    """

    def __init__(self, url: str, api_key: str | None = None, timeout_s: float = 5.0) -> None:
        """Raises: UsageError for an address that is not http or https, or a key that is not printable ASCII."""
        self._client = HttpClient(url, api_key, timeout_s, MAX_RESPONSE_BYTES)

    def lookup(self, op: str, query: Mapping[str, str]) -> Answer | None:
        """What the server knows about the query (the parameters of `GET /v1/configs/<op>`), or None.

        Raises: UnknownTarget where it has no record of the target asked about (ask again by device and toolchain),
        UnknownGeneration where it was never frozen there,
        UsageError where it refuses the query, NetworkError where it gives no answer that can be read.
        """
        path = f"/v1/configs/{quote(op, safe='')}"
        reply = self._client.get(path, query)
        if reply.status == 200:
            try:
                return answer_from_json(reply.data)
            except (UsageError, OverflowError) as error:
                self._client.fail(printable(str(error)))
        refusal = self._client.refusal(reply, path)
        match refusal.status, refusal.type:
            case 404, str(kind) if kind == NO_ANSWER:
                return None
            case 404, str(kind) if kind == UNKNOWN_TARGET:
                raise UnknownTarget(refusal.detail)
            case 404, str(kind) if kind == UNKNOWN_GENERATION:
                raise UnknownGeneration(f"{self._client.url}: {refusal.detail}")
            case 404, _:
                self._client.fail(f"it has no {path}: it may be older than this kerntune")
        raise UsageError(f"{self._client.url} refused the lookup ({refusal.status}): {refusal.detail}")
