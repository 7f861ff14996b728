"""Session: the parent's side of a child process. Verdicts are values: a reply, a crash, a time-out."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .frames import BadFrame, body_length, decode, encode

Message = dict[str, Any]
STDERR_TAIL_CHARS = 400


@dataclass(frozen=True, slots=True)
class Crash:
    """The child ended, or spoke garbage; `signal` is the one that killed it, 0 where it was none."""

    signal: int
    detail: str


@dataclass(frozen=True, slots=True)
class TimedOut:
    """The child gave no answer in time and was killed with all it had started."""

    after_s: float


Reply = Message | Crash | TimedOut


class Session:
    """One child process, started when first needed and again after it died. Not thread-safe."""

    def __init__(
        self, environment: Mapping[str, str | None], opening: Message | None = None, open_timeout_s: float = 60.0
    ) -> None:
        merged: dict[str, str | None] = {**os.environ, **environment}
        self._environment = {name: value for name, value in merged.items() if value is not None}
        self._opening = opening
        self._open_timeout_s = open_timeout_s
        self._process: subprocess.Popen[bytes] | None = None
        self._owes_reply = False
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 -- lives as long as the session

    def ask(self, request: Message, timeout_s: float) -> Reply:
        """The child's reply. After a Crash or TimedOut the next call starts a new child."""
        return self.begin(request, timeout_s)()

    def begin(self, request: Message, timeout_s: float) -> Callable[[], Reply]:
        """Send a request; what comes back is called once, and waits for the reply, `timeout_s` from now at most."""
        if self._owes_reply:  # to whoever did not wait for it
            self.kill()
        if self._process is None:
            refusal = self._open()
            if refusal is not None:
                return lambda: refusal
        pending = self._send(request, timeout_s)

        def finish() -> Reply:
            reply = pending()
            if isinstance(reply, dict) and reply.pop("last", False):  # the child says that its device is lost to it
                self.kill()
            return reply

        return finish

    def kill(self) -> None:
        """End the child and every process of its group. Idempotent."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                if pipe is not None:
                    pipe.close()
        self._process, self._owes_reply = None, False

    def drop(self) -> None:
        """End the child if it still works on what nobody waits for; else it stays, with its device open."""
        if self._owes_reply:
            self.kill()

    def close(self) -> None:
        """End the child and let go of its log. Idempotent."""
        self.kill()
        self._log.close()

    def _start(self) -> None:
        self._log.seek(0)
        self._log.truncate()
        # -P: the folder the user stands in must not be searched for modules. A group of its own: killed as a whole.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "kerntune.tuner.measure.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=self._environment,
            start_new_session=True,
            bufsize=0,
        )

    def _open(self) -> Message | None:
        """Start the child and have it open its device; the incident if that fails."""
        self._start()
        if self._opening is None:
            return None
        opened = self._send(self._opening, self._open_timeout_s)()
        if isinstance(opened, dict) and "ok" in opened:
            return None
        self.kill()
        if isinstance(opened, dict) and "incident" in opened:  # the device's own words
            return {"incident": opened["incident"]}
        return {"incident": {"kind": "device", "reason": f"{opened} when it was opened"}}

    def _send(self, request: Message, timeout_s: float) -> Callable[[], Reply]:
        assert self._process is not None
        assert self._process.stdin is not None
        deadline_s = time.monotonic() + timeout_s
        self._owes_reply = True
        try:
            self._process.stdin.write(encode(request))
        except BrokenPipeError as error:
            crash = self._crash(error)
            return lambda: crash
        return lambda: self._receive(deadline_s, timeout_s)

    def _receive(self, deadline_s: float, timeout_s: float) -> Reply:
        try:
            header = self._read(4, deadline_s)
            reply = decode(self._read(body_length(header), deadline_s))
            self._owes_reply = False
            return reply
        except TimeoutError:
            return TimedOut(timeout_s)
        except (BadFrame, EOFError) as error:
            return self._crash(error)
        finally:
            if self._owes_reply:  # Ctrl-C too: what the child says next would answer nobody
                self.kill()

    def _read(self, count: int, deadline_s: float) -> bytes:
        assert self._process is not None
        assert self._process.stdout is not None
        data = b""
        while len(data) < count:
            ready, _, _ = select.select([self._process.stdout], [], [], max(0.0, deadline_s - time.monotonic()))
            if not ready:
                raise TimeoutError
            part = os.read(self._process.stdout.fileno(), count - len(data))
            if not part:
                raise EOFError
            data += part
        return data

    def _crash(self, error: Exception) -> Crash:
        assert self._process is not None
        ended = isinstance(error, EOFError | BrokenPipeError)
        if ended:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=5)
        code = self._process.poll()
        self.kill()
        self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, self._log.tell() - STDERR_TAIL_CHARS))
        said = " ".join(self._log.read().decode(errors="replace").split())
        if not ended:
            return Crash(0, f"garbage on its channel ({error})")
        number = -code if code is not None and code < 0 else 0
        how = f"killed by {signal.Signals(number).name}" if number else f"ended with status {code}"
        return Crash(number, f"{how}{f': {said}' if said else ''}")
