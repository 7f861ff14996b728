"""Workers over fakes, for tests."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from builders import a_target
from fakes import FakeEngine
from kerntune.cache.records import Failure, Incident
from kerntune.spaces.config import Config
from kerntune.tuner import settings
from kerntune.tuner.hosts import Host
from kerntune.tuner.settings import Settings
from kerntune.tuner.worker.news import News
from kerntune.tuner.worker.pauses import StopSign
from kerntune.tuner.worker.terms import Terms
from kerntune.tuner.worker.working import Place, work

TARGET = a_target("cpu")
TERMS = Terms("w", lease_s=60.0, beat_s=0.05, first_idle_s=0.02, longest_idle_s=0.1, flush_s=1.0, once_patience_s=1.0)


def by_depth(config: Config) -> float:
    """A made-up time with one valley."""
    return 10.0 + abs(config["KC"] - 64) / 64 + abs(config["MR"] - 6) + config["NRV"]


def a_host(judge: Callable[[Config], float | Failure | Incident] = by_depth, **changes: object) -> Host:
    """A processor whose times a test makes up."""
    host = Host(TARGET, frozenset({"cpu"}), lambda problem, policy: FakeEngine(judge), lambda: 2**36, {})
    return replace(host, **changes)


class AWorker:
    """A worker in a thread; or in this one, by `work`."""

    def __init__(self, url: str, host: Host | None = None, terms: Terms = TERMS, config: Settings | None = None):
        self.url, self.host, self.terms = url, host or a_host(), terms
        self.config = config or settings.read()
        self.stop, self.news = StopSign(), list[News]()
        self.error: Exception | None = None

    def work(self) -> None:
        work(Place(self.url), self.terms, self.config, self.stop, self.news.append, self.host)

    def once(self) -> AWorker:
        """One job, or none."""
        self.terms = replace(self.terms, once=True)
        self.work()
        return self

    def kinds(self) -> list[str]:
        return [news.kind for news in self.news]

    def told(self, kind: str) -> list[dict]:
        return [dict(news.data) for news in self.news if news.kind == kind]

    @contextmanager
    def working(self) -> Iterator[AWorker]:
        """At work beside the test, and stopped after it."""

        def run() -> None:
            try:
                self.work()
            except Exception as error:  # noqa: BLE001 -- the test's matter
                self.error = error

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield self
        finally:
            self.stop.ask()
            thread.join()


def spooled(folder: Path) -> int:
    """How many lines lie in the spools below a folder."""
    return sum(path.read_bytes().count(b"\n") for path in folder.rglob("0*.jsonl"))
