"""RemoteAnswers, against a real server and against broken ones."""

import json
import socket
import threading
import time
from contextlib import contextmanager

import pytest
import uvicorn
from builders import a_record, a_target
from kerntune.cache.memory import MemoryStore
from kerntune.cache.records import Policy, RecordKey
from kerntune.cache.refusals import UnknownTarget
from kerntune.cache.remote import MAX_RESPONSE_BYTES, RemoteAnswers
from kerntune.server.app import create_app
from kerntune.spaces.errors import NetworkError, UsageError
from kerntune.templates import catalogue
from kerntune.tuner.serving import StoreServices

SHAPE = {"shape": "64x64x64"}
RECORD = a_record(
    RecordKey(
        catalogue.op_named("gemm").problem("gpu", m=64, n=64, k=64, epilogue="bias+relu"),
        a_target(),
        Policy.default_for("gpu"),
    )
)
KNOWN = SHAPE | {"epilogue": "bias+relu", "target": RECORD.key.target.digest}


@pytest.fixture(scope="module")
def url():
    """The address of a real server that knows RECORD."""
    store = MemoryStore()
    store.add(RECORD)
    app = create_app(StoreServices(store))
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", ws="none", access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join()
    listener.close()


@contextmanager
def a_server_that_says(*chunks, pause_s=0.0):
    """A server that sends these bytes to whoever connects; yields its address and the requests it got."""
    requests = []
    stop = threading.Event()

    def serve():
        while True:
            connection, _ = listener.accept()
            with connection:
                if stop.is_set():
                    return
                requests.append(connection.recv(65536).decode())
                try:
                    for chunk in chunks:
                        connection.sendall(chunk)
                        stop.wait(pause_s)
                except OSError:
                    pass  # the client has heard enough

    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{address[1]}", requests
        finally:
            stop.set()
            socket.create_connection(address).close()  # wakes accept()
            thread.join()


def a_response(body, status="200 OK", media_type="application/json", more=""):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: {media_type}\r\nContent-Length: {len(data)}\r\n{more}\r\n"
    return head.encode() + data


def a_problem_body(status, type, detail="said so."):
    body = {"type": type, "title": "t", "status": int(status.split()[0]), "detail": detail}
    return a_response(body, status, "application/problem+json")


def test_a_known_problem_comes_back_as_it_was_recorded(url):
    """Config, time, target and match survive the way."""
    answer = RemoteAnswers(url).lookup("gemm", KNOWN)
    assert (answer.match, answer.config, answer.median_us) == ("exact", RECORD.config, 10.0)
    assert (answer.target, answer.policy, answer.recorded_at) == (a_target(), RECORD.key.policy, RECORD.recorded_at)


def test_a_slash_at_the_end_of_the_address_changes_nothing(url):
    """Both forms are in use."""
    assert RemoteAnswers(f"{url}/").lookup("gemm", KNOWN).match == "exact"


def test_a_miss_is_none(url):
    """Nothing known is no error."""
    assert RemoteAnswers(url).lookup("gemm", {"shape": "1x2x3"}) is None


def test_an_unknown_target_can_be_told_from_a_miss(url):
    """The caller asks again by device and toolchain."""
    with pytest.raises(UnknownTarget, match="Ask by device"):
        RemoteAnswers(url).lookup("gemm", SHAPE | {"target": "f" * 32})


def test_a_refused_query_carries_the_reason_of_the_server(url):
    """The words were the caller's."""
    with pytest.raises(UsageError, match=r"422.*3 dims"):
        RemoteAnswers(url).lookup("gemm", {"shape": "64x64"})


def test_an_op_the_server_does_not_have_is_the_servers_age(url):
    """It is no miss: nobody looked."""
    with pytest.raises(NetworkError, match="it has no /v1/configs/fft"):
        RemoteAnswers(url).lookup("fft", SHAPE)


def test_a_closed_port_is_named_with_the_way_to_mend_it():
    """Address, reason, what to check."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with pytest.raises(NetworkError, match=rf"http://127.0.0.1:{port}.*cannot be reached.*KERNTUNE_SERVER"):
        RemoteAnswers(f"http://127.0.0.1:{port}").lookup("gemm", SHAPE)


@pytest.mark.parametrize(
    "sent",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"",
        a_response(b"<html>\x1b[2J</html>", media_type="text/html"),
        a_response(b"[1, 2]"),
        a_response(b"{}"),
        a_response(b'{"config"'),
        a_response(b"[" * 100_000),
        a_response(b"\xff\xfe"),
        a_response({"match": "default"}),
        a_response(b"not found", "404 Not Found", "text/plain"),
        a_response({"detail": "Not Found"}, "404 Not Found"),
        a_response({"detail": "no"}, "403 Forbidden"),
        a_problem_body("500 Internal Server Error", "/problems/internal"),
        a_problem_body("503 Service Unavailable", "/problems/store"),
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{",
    ],
)
def test_whatever_is_no_answer_is_a_network_error(sent):
    """With the address, and nothing that a terminal would act on."""
    with a_server_that_says(sent) as (address, _), pytest.raises(NetworkError, match=address) as caught:
        RemoteAnswers(address).lookup("gemm", SHAPE)
    assert str(caught.value).isprintable()


def test_a_problem_body_of_4xx_is_the_callers_mistake():
    """A key that is not accepted, for one."""
    said = a_problem_body("401 Unauthorized", "/problems/key", "the key \x1b[31mis not known.")
    with a_server_that_says(said) as (address, _), pytest.raises(UsageError, match=r"401.*is not known") as caught:
        RemoteAnswers(address).lookup("gemm", SHAPE)
    assert str(caught.value).isprintable()


def test_a_response_without_end_is_cut_off():
    """Memory is not the server's to fill."""
    endless = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n", b" " * (2 * MAX_RESPONSE_BYTES)
    with a_server_that_says(*endless) as (address, _), pytest.raises(NetworkError, match="larger than 1,048,576"):
        RemoteAnswers(address).lookup("gemm", SHAPE)


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_a_server_that_is_silent_or_drips_is_given_up_in_time(head):
    """A byte now and then does not begin the time anew."""
    drips = [head, *([b" "] * 50 if head else [])]
    with a_server_that_says(*drips, pause_s=0.1) if head else a_server_that_says(b"", pause_s=5) as (address, _):
        begun_s = time.monotonic()
        with pytest.raises(NetworkError, match=r"longer than 0\.3 s"):
            RemoteAnswers(address, timeout_s=0.3).lookup("gemm", SHAPE)
        assert time.monotonic() - begun_s < 2


def test_the_key_is_sent_as_a_bearer():
    """And only in the header."""
    said = a_problem_body("404 Not Found", "/problems/no-answer")
    with a_server_that_says(said) as (address, requests):
        assert RemoteAnswers(address, api_key="k3y").lookup("gemm", SHAPE) is None
    assert "Authorization: Bearer k3y\r\n" in requests[0]
    assert requests[0].count("k3y") == 1


def test_a_redirect_to_another_server_is_not_followed():
    """It would be handed the key."""
    with a_server_that_says(a_response({})) as (other, stolen):
        moved = a_response(b"", "302 Found", more=f"Location: {other}/v1/configs/gemm\r\n")
        with a_server_that_says(moved) as (address, _), pytest.raises(NetworkError, match=other):
            RemoteAnswers(address, api_key="k3y").lookup("gemm", SHAPE)
    assert stolen == []


def test_a_redirect_on_the_same_server_is_followed(url):
    """A path may move; here it moves in a circle, and that ends too."""
    moved = a_response(b"", "302 Found", more="Location: /elsewhere\r\nConnection: close\r\n")
    with a_server_that_says(moved) as (address, requests), pytest.raises(NetworkError, match=address):
        RemoteAnswers(address).lookup("gemm", SHAPE)
    assert requests[1].startswith("GET /elsewhere ")


@pytest.mark.parametrize(
    "address",
    [
        "",
        "tuner:8420",
        "ftp://tuner",
        "file:///etc/passwd",
        "http://",
        "http://a b",
        "http://tuner:port",
        "http://[::1",
    ],
)
def test_only_http_and_https_addresses_are_taken(address):
    """Nothing else is opened, least of all a file."""
    with pytest.raises(UsageError, match="is not the address of a server"):
        RemoteAnswers(address)


@pytest.mark.parametrize("address", ["http://me:secret@tuner", "http://tuner/?q=secret", "http://tuner#secret"])
def test_an_address_holds_no_secret(address):
    """It is repeated in every error; a key goes apart."""
    with pytest.raises(UsageError, match="no user, query or fragment") as caught:
        RemoteAnswers(address)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("key", ["", "two words", "broken\r\nHost: evil", "ключ"])
def test_a_key_that_no_header_can_hold_is_refused(key):
    """And not repeated."""
    with pytest.raises(UsageError, match="KERNTUNE_API_KEY") as caught:
        RemoteAnswers("http://tuner", api_key=key)
    assert not key or key not in str(caught.value)
