"""LocalEngine: compile on all cores of this machine, measure in one child process."""

from __future__ import annotations

import os
import shutil
import signal
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Any

from ...cache.records import Failure, Incident, Measurement, Policy
from ...spaces.errors import DeviceError
from ...spaces.problems import Problem
from ...templates.template import Candidate
from ..backends.artifact import Artifact, Backend, ChildSpec
from ..backends.instructions import inspected
from ..measure.playoff import VENDOR
from ..sessions.session import Crash, Message, Reply, Session, TimedOut
from .device_lock import DeviceBusy, DeviceLock
from .engine import Compiled, Measured, PlayoffResult, VendorTimes

MEASURE_S = 0.06
"""Timed seconds of one candidate: enough for a median within a few percent, which the playoff then settles."""

MEASURE_CALLS = 14
"""Most calls of a kernel that one measurement waits for: three checked, a warm-up, two blocks of five."""

PLAYOFF_S = 6.0
"""Most that the rounds may take, once there are three; fewer where the winner is settled before."""

ROUND_S = 2.0
"""Most that one round may take on average where their number is asked for."""

GRACE_S = 20.0
"""What a request may take beyond its work: the child's start, imports, random inputs."""

DEVICE_WAIT_S = 120.0
"""A playoff and a few measurements of another program: longer than that, the device is taken."""

SLOWEST_FLOPS = {"cpu": 2e9, "cuda": 1e11}
"""Work per second below which a kernel counts as hung: a naive loop on one core or on a GPU does that much."""

Verdict = Message | Failure | Incident

Uses = Mapping[str, Any] | None


class LocalEngine:
    """See Engine. Artifacts lie in a folder of their own under the cache directory until `close`.

    The backends are lent: whoever made them closes them, after the engine. So is a session, where one is given: its
    child stays, with its device open, for the engine of the next problem.
    """

    def __init__(
        self,
        problem: Problem,
        policy: Policy,
        backends: Mapping[str, Backend],
        child: ChildSpec,
        cache_dir: Path,
        workers: int,
        session: Session | None = None,
    ) -> None:
        self.workers, self.overlaps = workers, not child.device.startswith("cpu")
        self._lock, self._held = DeviceLock(child.lock), ExitStack()
        self._request: Message = {"problem": problem.as_dict(), "policy": policy.as_dict()}
        self._work_s = problem.dim("flops") / SLOWEST_FLOPS[child.device.partition(":")[0]]
        self._backends = backends
        self._session, self._owns_session = session or session_of(child), session is None
        self._folder = _study_folder(cache_dir)
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="compile")

    def submit(self, candidate: Candidate) -> Future[Compiled]:
        return self._pool.submit(self._compile, candidate)

    def start(self, artifact: Artifact, seed: int, incumbent_us: float | None = None) -> Callable[[], Measured]:
        request = {"do": "measure", "artifact": artifact.as_dict(), "seed": seed, "time_s": MEASURE_S}
        request["incumbent_us"] = incumbent_us
        if not self.overlaps:
            return lambda: self._measured(self._begin(request, MEASURE_CALLS), request, artifact)
        begun = self._begin(request, MEASURE_CALLS)
        return lambda: self._measured(begun, request, artifact)

    def measure(self, artifact: Artifact, seed: int) -> Measured:
        return self.start(artifact, seed)()

    def playoff(
        self, artifacts: Mapping[str, Artifact], seed: int, rounds: int | None = None, time_s: float | None = None
    ) -> PlayoffResult | Failure | Incident:
        begun_s = time.monotonic()
        named = {name: artifact.as_dict() for name, artifact in artifacts.items()}
        usual_s = PLAYOFF_S if rounds is None else max(PLAYOFF_S, ROUND_S * rounds)
        looking = {name: self._pool.submit(inspected, artifact) for name, artifact in artifacts.items()}
        if not self.overlaps:
            wait(looking.values())
        left_s = usual_s if time_s is None else time_s - (time.monotonic() - begun_s)
        request = {"do": "playoff", "artifacts": named, "seed": seed, "rounds": rounds}
        request |= {"time_s": left_s, "is_all": time_s is not None}
        reply = self._begin(request, 20 * len(named) + 20)()
        return _playoff_result(reply, {n: u.result() for n, u in looking.items()}) if isinstance(reply, dict) else reply

    def close(self) -> None:
        (self._session.close if self._owns_session else self._session.drop)()
        self._held.close()
        self._pool.shutdown(wait=True, cancel_futures=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _compile(self, candidate: Candidate) -> Compiled:
        return self._backends[candidate.backend].compile(candidate, self._folder)

    def _measured(self, begun: Callable[[], Verdict], request: Message, artifact: Artifact) -> Measured:
        reply = begun()
        if isinstance(reply, Failure) and (reply.kind == "timeout" or "out of memory" in reply.reason):
            reply = self._begin(request, MEASURE_CALLS)()  # a busy machine is slow once; a slow config is slow twice
        return _measurement(reply, artifact.uses) if isinstance(reply, dict) else reply

    def _begin(self, request: Message, calls: int) -> Callable[[], Verdict]:
        """Send a request while the device is held; the call waits. `calls`: how often the kernel may run."""
        timeout_s = GRACE_S + 3 * request["time_s"] + calls * self._work_s
        try:
            self._held.enter_context(self._lock.held(DEVICE_WAIT_S))
        except DeviceBusy as busy:
            incident = Incident("device busy", str(busy))
            return lambda: incident
        pending = self._session.begin({**self._request, **request}, timeout_s)

        def finish() -> Verdict:
            with self._held:
                return _verdict(pending())

        return finish


def session_of(child: ChildSpec) -> Session:
    """A child process for the device, not started yet."""
    return Session(child.environment, {"do": "open", "device": child.device})


def _verdict(reply: Reply) -> Verdict:
    """The child's reply; its faults and the kernel's as values."""
    if isinstance(reply, TimedOut):
        return Failure("timeout", f"no answer within {reply.after_s:.0f} s; the process was killed")
    if isinstance(reply, Crash):
        if reply.signal == signal.SIGKILL:
            return Incident("memory killer", f"the measuring process was {reply.detail}")
        return Failure("runtime", f"the measuring process was {reply.detail}" if reply.signal else reply.detail)
    if "failure" in reply:
        return Failure(**reply["failure"])
    if "incident" in reply:
        return Incident(**reply["incident"])
    return reply


def _measurement(reply: Message, uses: Uses) -> Measurement:
    samples = tuple(reply["samples_us"])
    return Measurement(samples, reply.get("deterministic"), reply["raced_out"], reply.get("readings"), uses)


def _playoff_result(reply: Message, uses: Mapping[str, Uses]) -> PlayoffResult:
    rounds: dict[str, list[list[float]]] = reply["rounds_us"]
    samples = {name: tuple(chain.from_iterable(taken)) for name, taken in rounds.items()}
    medians = {name: tuple(map(statistics.median, taken)) for name, taken in rounds.items()}
    vendors = [
        VendorTimes(name, samples.pop(VENDOR + name), medians.pop(VENDOR + name), fault)
        for name, fault in reply["vendors"].items()
    ]
    vendors.sort(key=lambda vendor: statistics.median(vendor.rounds_us))
    readings = reply.get("readings")
    measured = {name: Measurement(taken, readings=readings, uses=uses[name]) for name, taken in samples.items()}
    return PlayoffResult(measured, medians, tuple(vendors), reply["left_out"])


def _study_folder(cache_dir: Path) -> Path:
    """A folder of this process's own; those of processes that are gone (kill -9) are removed. Raises: DeviceError."""
    try:
        cache_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in cache_dir.glob("study-*-*"):
            if not Path("/proc", left.name.split("-")[1]).exists():
                shutil.rmtree(left, ignore_errors=True)
        return Path(tempfile.mkdtemp(prefix=f"study-{os.getpid()}-", dir=cache_dir))
    except OSError as error:
        raise DeviceError(
            f"cannot write to {cache_dir} ({error.strerror}), where sources and binaries go: "
            "make room there, or name another folder in KERNTUNE_CACHE_DIR."
        ) from None
