"""What a person sees of a worker: one line for what happened. On standard error only."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from typing import Any

import typer

from ...cache.refusals import printable
from ..worker.news import News, NewsKind
from .words import count_of, duration, time_of

COLOURS: Mapping[NewsKind, str] = {
    "done": "green",
    "failed": "red",
    "refused": "red",
    "given_back": "yellow",
    "dropped": "yellow",
    "waiting": "yellow",
    "warning": "yellow",
    "idle": "bright_black",
    "progress": "bright_black",
}

MOST_CHARS = 1000


class WorkerView:
    """Says lines; and one JSON object a line on standard output, where that is asked for.

    Where nobody reads any more nothing is said: the work goes on.
    """

    def __init__(self, *, as_json: bool) -> None:
        self._as_json, self._in_words = as_json, True
        self._guard = threading.Lock()
        self._uploaded = 0  # records since they were last said

    def tell(self, news: News) -> None:
        """From any thread."""
        with self._guard:
            self._uploaded += int(news.data.get("records", 0))
            self._as_json = self._as_json and _is_read(lambda: typer.echo(json.dumps(news.as_json(), allow_nan=False)))
            self._in_words = self._in_words and _is_read(lambda: self._say(news))

    def _say(self, news: News) -> None:
        if news.kind not in LINES:
            return
        job = "" if news.job is None else f"job {news.job}: "
        uploaded = self._said_uploads() if news.kind in ("done", "given_back", "dropped", "stopped") else ""
        line = printable(f"{job}{LINES[news.kind](news.data)}{uploaded}", MOST_CHARS)
        typer.secho(line, err=True, fg=COLOURS.get(news.kind))

    def _said_uploads(self) -> str:
        count, self._uploaded = self._uploaded, 0
        return f"; {_records(count)} uploaded" if count else ""


def _is_read(say: Callable[[], None]) -> bool:
    """Whether anybody was there to hear it."""
    try:
        say()
    except BrokenPipeError:
        return False
    return True


def _records(count: int) -> str:
    return count_of(range(count), "record")


def _started(data: Mapping[str, Any]) -> str:
    left = f"; first it sends {_records(data['waiting'])} of an earlier run" if data["waiting"] else ""
    return f"worker {data['worker']} on {data['device']} ({', '.join(data['backends'])}) for {data['server']}{left}"


def _claimed(data: Mapping[str, Any]) -> str:
    if "problem" not in data:
        return f"claimed, of {data['op']}"
    return f"{data['op']} {data['problem']}, {data['trials']} trials within {duration(data['time_s'])}"


def _best(data: Mapping[str, Any]) -> str:
    after = "after the playoff" if data["phase"] == "playoff" else f"at trial {data['trial']}"
    return f"best {time_of(data['median_us'])} {after} ({data['template']})"


def _progress(data: Mapping[str, Any]) -> str:
    return f"{data['trial']} trials" + ("" if data["median_us"] is None else f", best {time_of(data['median_us'])}")


def _done(data: Mapping[str, Any]) -> str:
    how = "known before" if data["cached"] else f"{duration(data['seconds'])}"
    return f"done, {time_of(data['median_us'])} by {data['template']} {data['digest'][:8]} ({how})"


def _waiting(data: Mapping[str, Any]) -> str:
    held = f" with {_records(data['waiting'])}" if data["waiting"] else ""
    return f"waiting{held}: {data['reason']}"


def _stopped(data: Mapping[str, Any]) -> str:
    left = f"; left on disk for the next worker here: {_records(data['waiting'])}" if data["waiting"] else ""
    return f"stopped{left}"


LINES: Mapping[NewsKind, Callable[[Mapping[str, Any]], str]] = {
    "started": _started,
    "idle": lambda data: "no job for this device yet; asking again every few seconds",
    "claimed": _claimed,
    "best": _best,
    "progress": _progress,
    "done": _done,
    "failed": lambda data: f"failed: {data['reason']}",
    "given_back": lambda data: f"given back: {data['reason']}",
    "dropped": lambda data: f"dropped: {data['reason']}",
    "refused": lambda data: f"a record is refused and set aside: {data['reason']}",
    "waiting": _waiting,
    "back": lambda data: f"the server answers again; {_records(data['waiting'])} to send",
    "warning": lambda data: f"note: {data['reason']}",
    "stopped": _stopped,
}
