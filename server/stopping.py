"""Stopping: a server hears that it is to end before it waits for the responses that are open."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def told_of_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` at the first SIGINT or SIGTERM, then whoever listened before.

    uvicorn tells an application that it stops only once every response has ended, and a stream of events never would.
    Only the main thread may listen; in another the block just runs.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def hear(number: int, frame: FrameType | None) -> None:
        stop()
        listener = before[signal.Signals(number)]
        if callable(listener):
            listener(number, frame)

    listening = [number for number, listener in before.items() if callable(listener)]
    for number in listening:
        signal.signal(number, hear)
    try:
        yield
    finally:
        for number in listening:
            if signal.getsignal(number) is hear:
                signal.signal(number, before[number])


def stop_with_parent() -> None:
    """Stop this process, in good order, when the one that started it as one of several servers is gone.

    uvicorn's own processes would go on for ever, and keep the port, where their supervisor was killed.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch(sentinel: int) -> None:
        multiprocessing.connection.wait([sentinel])
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, args=(parent.sentinel,), name="kerntune-parent", daemon=True).start()
