"""What a person and a program read of a worker."""

import json
from typing import get_args

import pytest
from kerntune.tuner.cli.worker_view import LINES, WorkerView
from kerntune.tuner.worker.news import News, NewsKind

DATA = {
    "started": {"worker": "w", "server": "http://s", "device": "CPU X", "backends": ["cpu"], "waiting": 1},
    "claimed": {"op": "gemm", "problem": "64x64x64 fp32", "trials": 200, "time_s": 120.0},
    "best": {"trial": 3, "template": "c_tiled", "phase": "search", "median_us": 12.5},
    "progress": {"trial": 40, "median_us": None},
    "done": {"template": "c_tiled", "digest": "0123456789", "median_us": 12.5, "cached": False, "seconds": 8.25},
    "failed": {"reason": "no config worked"},
    "given_back": {"reason": "the worker was stopped"},
    "dropped": {"reason": "it was cancelled"},
    "uploaded": {"records": 7, "waiting": 0},
    "refused": {"reason": "off\x1b[31m"},
    "waiting": {"waiting": 1200, "reason": "gone"},
    "back": {"waiting": 3},
    "idle": {},
    "warning": {"reason": "said"},
    "stopped": {"waiting": 2},
}

SAID = {
    "started": "job 4: worker w on CPU X (cpu) for http://s; first it sends 1 record of an earlier run",
    "claimed": "job 4: gemm 64x64x64 fp32, 200 trials within 2 min 0 s",
    "best": "job 4: best 12.5 µs at trial 3 (c_tiled)",
    "progress": "job 4: 40 trials",
    "done": "job 4: done, 12.5 µs by c_tiled 01234567 (8 s)",
    "failed": "job 4: failed: no config worked",
    "given_back": "job 4: given back: the worker was stopped",
    "dropped": "job 4: dropped: it was cancelled",
    "refused": "job 4: a record is refused and set aside: off\\x1b[31m",
    "waiting": "job 4: waiting with 1,200 records: gone",
    "back": "job 4: the server answers again; 3 records to send",
    "idle": "job 4: no job for this device yet; asking again every few seconds",
    "warning": "job 4: note: said",
    "stopped": "job 4: stopped; left on disk for the next worker here: 2 records",
}


@pytest.mark.parametrize("kind", get_args(NewsKind))
def test_each_kind_of_news_is_a_line_and_an_object(kind, capsys):
    """Words on standard error, where control characters do not reach the terminal; JSON on standard output."""
    WorkerView(as_json=True).tell(News(kind, 4, DATA[kind]))
    out, err = capsys.readouterr()
    assert json.loads(out) == {"event": kind, "job": 4, **DATA[kind]}
    assert err == (f"{SAID[kind]}\n" if kind in SAID else "")


def test_uploads_are_said_with_what_they_belong_to(capsys):
    """How many records went since the last time; without --json nothing is on standard output."""
    view = WorkerView(as_json=False)
    for kind in ("uploaded", "uploaded", "done", "stopped"):
        view.tell(News(kind, None, DATA[kind]))
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[0].endswith("(8 s); 14 records uploaded")
    assert "uploaded" not in err.splitlines()[1]


def test_where_nobody_reads_any_more_the_work_goes_on(capsys, monkeypatch):
    """`tune worker --json | head`: the words for people stay."""

    class Closed:
        def write(self, text):
            raise BrokenPipeError

        flush = write

    view = WorkerView(as_json=True)
    with monkeypatch.context() as patched:
        patched.setattr("sys.stdout", Closed())
        view.tell(News("idle"))
    view.tell(News("idle"))
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", 2)


def test_only_uploads_have_no_line_of_their_own():
    """A line each would bury the others."""
    assert set(get_args(NewsKind)) - LINES.keys() == {"uploaded"}
