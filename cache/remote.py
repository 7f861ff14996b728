"""Answers of another machine's kerntune server, over HTTP."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from http.client import HTTPException, HTTPMessage
from typing import IO, Any, NoReturn
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, ProxyHandler, Request, build_opener

from ..spaces.errors import NetworkError, UsageError
from .records import Answer
from .refusals import MEDIA_TYPE, NO_ANSWER, UNKNOWN_TARGET, UnknownTarget, printable
from .wire import answer_from_json

MAX_RESPONSE_BYTES = 2**20
"""An answer has about 2 KiB; what is larger is no answer."""

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class RemoteAnswers:
    """Lookups at one server. Holds no connection, so it is safe to share between threads.

    `timeout_s` is how long the server may take to connect, to start its response, and to send it.
    """

    def __init__(self, url: str, api_key: str | None = None, timeout_s: float = 5.0) -> None:
        """Raises: UsageError for an address that is not http or https, or a key that is not printable ASCII."""
        self._url = _checked_url(url)
        self._headers = {"Accept": f"application/json, {MEDIA_TYPE}"}
        if api_key is not None:
            self._headers["Authorization"] = f"Bearer {_checked_key(api_key)}"
        self._timeout_s = timeout_s
        self._opener = _opener(self._url)

    def lookup(self, op: str, query: Mapping[str, str]) -> Answer | None:
        """What the server knows about the query (the parameters of `GET /v1/configs/<op>`), or None.

        Raises: UnknownTarget where it has no record of the target asked about (ask again by device and toolchain),
        UsageError where it refuses the query, NetworkError where it gives no answer that can be read.
        """
        path = f"/v1/configs/{quote(op, safe='')}"
        status, media_type, body = self._get(f"{self._url}{path}?{urlencode(query)}")
        data = self._parsed(body)
        if status == 200:
            try:
                return answer_from_json(data)
            except (UsageError, OverflowError) as error:
                self._fail(printable(str(error)))
        said = printable(str(data.get("detail", "")))
        if media_type != MEDIA_TYPE or status >= 500 or status < 400:
            self._fail(f"it answered {status} to {path}: {said or 'no reason given'}")
        match status, data.get("type"):
            case 404, str(kind) if kind == NO_ANSWER:
                return None
            case 404, str(kind) if kind == UNKNOWN_TARGET:
                raise UnknownTarget(said)
            case 404, _:
                self._fail(f"it has no {path}: it may be older than this kerntune")
        raise UsageError(f"{self._url} refused the lookup ({status}): {said}")

    def _get(self, url: str) -> tuple[int, str, bytes]:
        """Status, media type and body of the response, whatever its status."""
        try:
            try:
                response = self._opener.open(Request(url, headers=self._headers), timeout=self._timeout_s)
            except HTTPError as refusal:
                response = refusal  # a response too, with a status of 300 or more
            with response:
                return response.status, response.headers.get_content_type(), self._read(response)
        except TimeoutError:
            self._fail_late()
        except URLError as error:
            if isinstance(error.reason, TimeoutError):
                self._fail_late()
            self._fail(f"it cannot be reached: {error.reason}")
        except (OSError, HTTPException) as error:
            self._fail(f"it broke off: {type(error).__name__} {printable(str(error), 200)}")

    def _read(self, response: IO[bytes]) -> bytes:
        # The socket's own timeout begins anew with every byte, so a dripping server needs a deadline.
        deadline_s = time.monotonic() + self._timeout_s
        body = bytearray()
        while chunk := response.read1(65536):  # type: ignore[attr-defined]  # HTTPResponse has it
            body += chunk
            if len(body) > MAX_RESPONSE_BYTES:
                self._fail(f"its response is larger than {MAX_RESPONSE_BYTES:,} bytes")
            if time.monotonic() > deadline_s:
                self._fail_late()
        return bytes(body)

    def _parsed(self, body: bytes) -> dict[str, Any]:
        try:
            data = json.loads(body)
        except (ValueError, RecursionError):
            data = None
        if not isinstance(data, dict):
            self._fail(f"its response is not a JSON object: {printable(body[:60].decode(errors='replace'))!r}")
        return data

    def _fail(self, why: str) -> NoReturn:
        raise NetworkError(
            f"no answer from the server {self._url}: {why}. Check the address (--server, KERNTUNE_SERVER) and that "
            "`tune serve` of a fitting version runs there; without a server, the local database alone is asked."
        ) from None

    def _fail_late(self) -> NoReturn:
        self._fail(f"it took longer than {self._timeout_s:g} s")


class _SameOriginRedirects(HTTPRedirectHandler):
    """Follows a redirect on the same server only: the key is for this server, and urllib would send it along."""

    def __init__(self, url: str) -> None:
        self._url = url

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        if _origin(newurl) != _origin(self._url):
            fp.close()
            raise NetworkError(
                f"the server {self._url} sends us on to {printable(newurl, 200)}, which is not followed: another "
                "server does not get this one's key. If that is the right place, name it (--server, KERNTUNE_SERVER)."
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener(url: str) -> OpenerDirector:
    redirects = _SameOriginRedirects(url)
    # A proxy cannot see this machine's own loopback.
    return build_opener(redirects, ProxyHandler({})) if urlsplit(url).hostname in LOOPBACK else build_opener(redirects)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _checked_url(url: str) -> str:
    example = "Example: http://tuner.example:8420"
    try:
        parts = urlsplit(url)
        port_fits = parts.port != 0
    except ValueError:
        port_fits = False
    if not port_fits or not url.isascii() or not url.isprintable() or " " in url:
        raise UsageError(f'"{printable(url, 200)}" is not the address of a server. {example}')
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f'"{url[:200]}" is not the address of a server: it begins with http:// or https://. {example}')
    if parts.username is not None or parts.query or parts.fragment:
        raise UsageError(f"the address of a server holds no user, query or fragment; a key goes apart. {example}")
    return url.rstrip("/")


def _checked_key(key: str) -> str:
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise UsageError("the API key (KERNTUNE_API_KEY) is not one printable ASCII word: was it cut or broken in two?")
    return key
