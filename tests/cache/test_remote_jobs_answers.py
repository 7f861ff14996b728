"""What a queue over HTTP makes of each answer: a value; nothing that a server says is raised."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from builders import a_record, a_target
from kerntune.cache.jobs import Happening
from kerntune.cache.outcomes import LeaseEnded, Refused, Taken, Unreachable
from kerntune.cache.refusals import LEASE_LOST, MEDIA_TYPE, UNKNOWN_JOB
from kerntune.cache.remote_jobs import Beat, Claimed, Nothing, RemoteJobs, Uploaded
from kerntune.cache.wire_records import record_to_json
from kerntune.spaces.errors import UsageError

CLAIMED = Claimed(7, 3, "gemm", {"op": "gemm"})
A_JOB = {"job": {"id": 7, "op": "gemm", "request": {"op": "gemm"}, "state": "running"}, "token": 3, "more": 1}


@contextmanager
def a_server_that_says(status, body=None, media_type="application/json"):
    """One answer for whatever is posted; yields its queue and what was posted, as (path, body, key)."""
    posted = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            posted.append((self.path, said, self.headers["Authorization"]))
            text = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format, *args):
            """Not to the test's output."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield RemoteJobs(f"http://127.0.0.1:{server.server_port}", "kt_1_secret"), posted
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def refusal(status, type, detail="said so."):
    return a_server_that_says(status, {"type": type, "status": status, "detail": detail}, MEDIA_TYPE)


def test_a_claim_says_who_asks_and_what_it_can_run():
    """The job comes back with the token of its lease; what else the server says is passed over."""
    with a_server_that_says(200, A_JOB) as (jobs, posted):
        assert jobs.claim("w", a_target(), ["triton", "cuda"], 60.0) == CLAIMED
    words = {"worker": "w", "target": a_target().as_dict(), "backends": ["cuda", "triton"], "lease_s": 60.0}
    assert posted == [("/v1/jobs/claim", json.loads(json.dumps(words)), "Bearer kt_1_secret")]


def test_no_job_is_nothing():
    """204, without a body."""
    with a_server_that_says(204) as (jobs, _):
        assert jobs.claim("w", a_target(), ["cpu"], 60.0) == Nothing()


@pytest.mark.parametrize("off", [{"token": "3"}, {"job": None}, {"job": {"id": -1, "op": "gemm", "request": {}}}])
def test_a_job_that_cannot_be_read_is_no_answer(off):
    """A later server may say it better."""
    with a_server_that_says(200, A_JOB | off) as (jobs, _):
        said = jobs.claim("w", a_target(), ["cpu"], 60.0)
    assert isinstance(said, Unreachable)
    assert "cannot be read" in said.reason


def test_what_is_said_of_a_job_carries_its_token():
    """Heartbeat, events and the last word."""
    with a_server_that_says(200, {"cancel": True}) as (jobs, posted):
        assert jobs.heartbeat(CLAIMED, 60.0) == Beat(cancel=True)
        assert jobs.add_events(CLAIMED, [Happening("best", {"median_us": 2.5})]) == Taken()
        assert jobs.finish(CLAIMED, "done", result={"digest": "d"}) == Taken()
        assert jobs.finish(CLAIMED, "retry", "stopped") == Taken()
    assert [(path, said) for path, said, _ in posted] == [
        ("/v1/jobs/7/heartbeat", {"token": 3, "lease_s": 60.0}),
        ("/v1/jobs/7/events", {"token": 3, "events": [{"kind": "best", "data": {"median_us": 2.5}}]}),
        ("/v1/jobs/7/finish", {"token": 3, "outcome": "done", "result": {"digest": "d"}}),
        ("/v1/jobs/7/finish", {"token": 3, "outcome": "retry", "error": "stopped"}),
    ]


@pytest.mark.parametrize(("status", "type"), [(409, LEASE_LOST), (404, UNKNOWN_JOB)])
def test_a_job_that_is_not_ours_any_more_is_told_from_a_refusal(status, type):
    """Whoever has it, or nobody."""
    with refusal(status, type) as (jobs, _):
        assert jobs.heartbeat(CLAIMED, 60.0) == LeaseEnded("said so.")


@pytest.mark.parametrize(("status", "is_of_the_key"), [(401, True), (403, True), (413, False), (422, False)])
def test_a_refusal_keeps_its_status_and_its_reason(status, is_of_the_key):
    """Asking again would not mend it."""
    with refusal(status, "/problems/x", "no\x1b[31m") as (jobs, _):
        said = jobs.upload([record_to_json(a_record())])
    assert said == Refused(status, "no\\x1b[31m")
    assert said.is_of_the_key == is_of_the_key


@pytest.mark.parametrize("status", [408, 409, 425, 429])
def test_a_refusal_that_time_mends_is_no_answer(status):
    """It is asked again."""
    with refusal(status, "/problems/x") as (jobs, _):
        assert jobs.report_incident({}) == Unreachable("said so.")


@pytest.mark.parametrize(
    "broken", [(500, {}), (503, {"detail": "x"}), (200, b"<html>"), (404, {"detail": "a proxy's"})]
)
def test_what_is_no_answer_of_ours_is_no_answer(broken):
    """Errors of servers and proxies pass."""
    with a_server_that_says(*broken) as (jobs, _):
        assert isinstance(jobs.heartbeat(CLAIMED, 60.0), Unreachable)


def test_a_closed_port_is_no_answer():
    """Nothing is raised."""
    said = RemoteJobs("http://127.0.0.1:9").register(a_target())
    assert isinstance(said, Unreachable)
    assert "cannot be reached" in said.reason


def test_an_upload_names_what_was_refused_by_its_place():
    """The others are kept."""
    body = {"added": 1, "known": 0, "refused": [{"index": 1, "reason": "off"}]}
    with a_server_that_says(200, body) as (jobs, posted):
        assert jobs.upload([record_to_json(a_record()), {}]) == Uploaded(((1, "off"),))
    assert posted[0][1]["records"][1] == {}


def test_an_address_that_is_none_is_the_callers_mistake():
    """Raised when it is named, not when it is asked."""
    with pytest.raises(UsageError, match="http"):
        RemoteJobs("ftp://server")
