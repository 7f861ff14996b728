"""One JSON object on a line for each request."""

import json
import logging
import sys

import pytest
from guarded import ask, whoami
from kerntune.server.logs import JsonLines, RequestLog
from kerntune.server.metrics import Metrics
from kerntune.server.observed import Observed


@pytest.fixture
def lines():
    return []


@pytest.fixture
def logged(lines):
    return Observed(whoami, Metrics(), RequestLog(lines.append))


def test_a_request_is_one_line_of_json(logged, lines):
    """What was asked and what came of it; the query, which may hold secrets, is left out."""
    _, headers, _ = ask(logged, "GET", "/v1/records?token=secret")
    [line] = lines
    said = json.loads(line)
    assert line.endswith("}\n")
    assert {"method", "path", "status", "ms", "key", "bytes", "request_id", "time", "level"} == set(said)
    assert (said["method"], said["path"], said["status"]) == ("GET", "/v1/records", 200)
    assert headers[b"x-request-id"].decode() == said["request_id"]
    assert "secret" not in line


@pytest.mark.parametrize(("given", "is_kept"), [(b"abc-123", True), (b"x" * 65, False), (b"a\nb", False), (b"", False)])
def test_a_sane_request_id_is_kept(logged, lines, given, is_kept):
    """Any other is replaced."""
    _, headers, _ = ask(logged, headers=[(b"x-request-id", given)])
    assert (headers[b"x-request-id"] == given) is is_kept
    assert len(headers[b"x-request-id"]) >= 7


def test_control_characters_are_escaped(logged, lines):
    """A path writes no line of its own, and steers no terminal."""
    ask(logged, path='/v1/\n{"forged": 1}\x1b[2J\u202e')
    [line] = lines
    assert line.count("\n") == 1
    assert line[:-1].isprintable()


def test_an_error_is_a_line_and_goes_on(lines):
    """Counted as 500; what it was is logged by the server with its traceback."""

    async def broken(scope, receive, send):
        raise RuntimeError("a bug")

    metrics = Metrics()
    with pytest.raises(RuntimeError):
        ask(Observed(broken, metrics, RequestLog(lines.append)))
    assert json.loads(lines[0])["status"] == 500
    assert metrics.requests == {("records", 500): 1}


def test_without_a_log_nothing_is_added():
    """A hot answer costs no more for it."""
    _, headers, _ = ask(Observed(whoami, Metrics()), headers=[(b"x-request-id", b"abc")])
    assert headers == {}


def test_a_traceback_is_one_line_too():
    """So that no reader of the log falls over it."""
    try:
        raise RuntimeError("a bug\x1b")
    except RuntimeError:
        record = logging.LogRecord("uvicorn.error", logging.ERROR, "f", 1, "it %s", ("broke",), sys.exc_info())
    line = JsonLines().format(record)
    said = json.loads(line)
    assert (said["level"], said["message"]) == ("error", "it broke")
    assert "RuntimeError: a bug" in said["traceback"]
    assert line.isprintable()
