"""HttpClient: JSON to and from one kerntune server, with every way to fail told plainly."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage
from typing import IO, Any, NoReturn
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, ProxyHandler, Request, build_opener

from ..spaces.errors import NetworkError, UsageError
from .refusals import MEDIA_TYPE, printable

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a server says where it says no: a problem body of 4xx."""

    status: int
    type: str
    detail: str  # printable


@dataclass(frozen=True, slots=True)
class Reply:
    """A response that could be read: a JSON object, empty where the server sent no body (204)."""

    status: int
    media_type: str
    data: dict[str, Any]


class HttpClient:
    """Requests to one server. Holds no connection, so it is safe to share between threads.

    `timeout_s` is how long the server may take to connect, to start its response, and to send it. A response of more
    than `max_response_bytes` is none.
    """

    def __init__(self, url: str, api_key: str | None, timeout_s: float, max_response_bytes: int) -> None:
        """Raises: UsageError for an address that is not http or https, or a key that is not printable ASCII."""
        self.url = _checked_url(url)
        self._headers = {"Accept": f"application/json, {MEDIA_TYPE}"}
        if api_key is not None:
            self._headers["Authorization"] = f"Bearer {_checked_key(api_key)}"
        self._timeout_s = timeout_s
        self._max_response_bytes = max_response_bytes
        self._opener = _opener(self.url)

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Reply:
        """What the server says, whatever its status. Raises: NetworkError where nothing can be read."""
        return self._ask(Request(f"{self.url}{path}?{urlencode(query)}" if query else f"{self.url}{path}"))

    def post(self, path: str, body: Mapping[str, Any] | bytes) -> Reply:
        """The same, of a JSON body. Raises: NetworkError; the server may have done what was asked all the same."""
        text = body if isinstance(body, bytes) else json.dumps(body, allow_nan=False).encode()
        return self._ask(Request(f"{self.url}{path}", data=text, headers={"Content-Type": "application/json"}))

    def refusal(self, reply: Reply, path: str) -> Refusal:
        """The server's no. Raises: NetworkError where the reply is neither that nor what was asked for."""
        said = printable(str(reply.data.get("detail", "")))
        if reply.media_type != MEDIA_TYPE or not 400 <= reply.status < 500:
            self.fail(f"it answered {reply.status} to {path}: {said or 'no reason given'}")
        return Refusal(reply.status, str(reply.data.get("type")), said)

    def fail(self, why: str) -> NoReturn:
        """Raises: NetworkError, with the address and what to check."""
        raise NetworkError(
            f"no answer from the server {self.url}: {why}. Check the address (--server, KERNTUNE_SERVER) and that "
            "`tune serve` of a fitting version runs there."
        ) from None

    def _ask(self, request: Request) -> Reply:
        for name, value in self._headers.items():
            request.add_header(name, value)
        status, media_type, body = self._sent(request)
        return Reply(status, media_type, {} if status == 204 and not body else self._parsed(body))

    def _sent(self, request: Request) -> tuple[int, str, bytes]:
        """Status, media type and body of the response, whatever its status."""
        try:
            try:
                response = self._opener.open(request, timeout=self._timeout_s)
            except HTTPError as refusal:
                response = refusal  # a response too, with a status of 300 or more
            with response:
                return response.status, response.headers.get_content_type(), self._read(response)
        except TimeoutError:
            self._fail_late()
        except URLError as error:
            if isinstance(error.reason, TimeoutError):
                self._fail_late()
            self.fail(f"it cannot be reached: {error.reason}")
        except (OSError, HTTPException) as error:
            self.fail(f"it broke off: {type(error).__name__} {printable(str(error), 200)}")

    def _read(self, response: IO[bytes]) -> bytes:
        # The socket's own timeout begins anew with every byte, so a dripping server needs a deadline.
        deadline_s = time.monotonic() + self._timeout_s
        body = bytearray()
        while chunk := response.read1(65536):  # type: ignore[attr-defined]  # HTTPResponse has it
            body += chunk
            if len(body) > self._max_response_bytes:
                self.fail(f"its response is larger than {self._max_response_bytes:,} bytes")
            if time.monotonic() > deadline_s:
                self._fail_late()
        return bytes(body)

    def _parsed(self, body: bytes) -> dict[str, Any]:
        try:
            data = json.loads(body)
        except (ValueError, RecursionError):
            data = None
        if not isinstance(data, dict):
            self.fail(f"its response is not a JSON object: {printable(body[:60].decode(errors='replace'))!r}")
        return data

    def _fail_late(self) -> NoReturn:
        self.fail(f"it took longer than {self._timeout_s:g} s")


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
        # urllib would make a GET of a POST, which loses the body.
        return super().redirect_request(req, fp, code, msg, headers, newurl) if req.data is None else None


def goes_in_the_clear(url: str) -> bool:
    """Whether what is sent there can be read on the way: over a network, and without TLS."""
    parts = urlsplit(url)
    return parts.scheme == "http" and parts.hostname not in LOOPBACK


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
