"""`tune worker` in a process of its own, over a fake engine: `python fake_worker.py SERVER NAME TRIAL_S`.

It is the worker's own code, from claim to spool; times are made up, and taking one lasts TRIAL_S. Its news go to
standard output, a line of JSON each. Jobs know it by its name and the number of its process.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable

from kerntune.spaces.config import Config
from kerntune.tuner import settings
from kerntune.tuner.worker.news import News
from kerntune.tuner.worker.pauses import StopSign
from kerntune.tuner.worker.terms import Terms
from kerntune.tuner.worker.working import Place, work
from workers import a_host, by_depth

LEASE_S, BEAT_S = 5.0, 0.5
"""Short, so that a test need not wait a minute for the job of a worker it killed."""


def slowly(trial_s: float) -> Callable[[Config], float]:
    """A made-up time that takes time to take."""

    def judge(config: Config) -> float:
        time.sleep(trial_s)
        return by_depth(config)

    return judge


def tell(news: News) -> None:
    """One write for each line: a kill cuts the last at most."""
    sys.stdout.write(json.dumps({**news.as_json(), "event": news.kind}) + "\n")
    sys.stdout.flush()


def main(server: str, name: str, trial_s: str) -> None:
    """Work until a SIGTERM."""
    stop = StopSign()
    signal.signal(signal.SIGTERM, lambda *_: stop.ask())
    terms = Terms(f"{name}.{os.getpid()}", lease_s=LEASE_S, beat_s=BEAT_S, first_idle_s=0.05, longest_idle_s=0.5)
    work(Place(server), terms, settings.read(), stop, tell, a_host(slowly(float(trial_s))))


if __name__ == "__main__":
    main(*sys.argv[1:])
