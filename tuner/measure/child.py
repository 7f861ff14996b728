"""The measuring child: `python -m kerntune.tuner.measure.child`, one per device, disposable.

It reads requests as frames on standard input and answers each with one frame on what was standard output; a kernel
that prints goes to standard error. It ends when its input ends, or when its parent is gone.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, BinaryIO

from ...cache.records import Failure, FailureKind, Policy
from ...spaces.errors import DeviceError
from ...templates.catalogue import op_named
from ..backends import cuda_compiler, triton_compiler
from ..backends.artifact import Artifact
from ..backends.trusted_folder import is_full
from ..sessions.frames import encode, read_frame
from . import correctness, playoff, timing
from .device import Arrays, Device, Faulted, Kernel, LaunchError, Strayed
from .devices import open_device
from .host_memory import limit_memory, memory_watch
from .readings import Nothing, Source, source_of, watched
from .workload import Workload

Message = dict[str, Any]

COMPILERS = {"triton": triton_compiler, "nvrtc": cuda_compiler}
"""Modules with `compile_source` and `first_useful_line`; neither loads its compiler before it is asked."""


class Child:
    """Answers requests about one device; keeps its arrays from one request to the next."""

    def __init__(self, channel: BinaryIO) -> None:
        self._channel = channel
        self._device: Device | None = None
        self._source: Source = Nothing()
        self._guard_memory = False
        self._workload: Workload | None = None
        self._workload_key: object = None
        self._verbs: dict[str, Callable[[Message], Message]] = {
            "open": self._open,
            "compile": self._compile,
            "measure": self._measure,
            "playoff": self._playoff,
        }

    def send(self, reply: Message) -> None:
        self._channel.write(encode(reply))
        self._channel.flush()

    def answer(self, request: Message) -> Message:
        """One reply. Faults of the kernel become a Failure here; this file alone catches everything."""
        try:
            return self._verbs[request["do"]](request)
        except LaunchError as error:
            return _failure("launch", error)
        except Strayed as error:
            return {**_failure("incorrect", error), "last": True}
        except Faulted as error:
            return {**_failure("runtime", error), "last": True}  # the session ends this process and starts another
        except DeviceError as error:
            return {"incident": {"kind": "device", "reason": str(error)}, "last": True}
        except MemoryError as error:
            return _failure("runtime", f"out of memory: {error}")
        except Exception as error:  # noqa: BLE001 -- a kernel's fault must become a Failure, whatever it is
            return _failure("runtime", f"{type(error).__name__}: {error}")

    def _open(self, request: Message) -> Message:
        """A child often follows one that a kernel brought down: the device must prove itself before it is believed."""
        self._device = open_device(request["device"])
        if request["device"] == "cpu":  # CUDA reserves more than a limit could allow
            limit_memory()
            self._guard_memory = True
        self._device.prove()
        self._source = source_of(request["device"])
        return {"ok": True}

    def _compile(self, request: Message) -> Message:
        compiler = COMPILERS[request["compiler"]]
        try:
            reply: Message = compiler.compile_source(request)
        except OSError as error:
            kind = "disk full" if is_full(error) else "compiler"
            return {"incident": {"kind": kind, "reason": f"{request.get('cubin', '')}: {error}"}}
        except Exception as error:  # noqa: BLE001 -- whatever a compiler pass raises is what the source made it raise
            return _failure("compile", compiler.first_useful_line(error))
        return reply

    def _measure(self, request: Message) -> Message:
        workload = self._work(request)
        kernel = self._load(request["artifact"])
        verdict = correctness.check(workload, self._watched(kernel), request["seed"])
        if isinstance(verdict, Failure):
            return _failure(verdict.kind, verdict.reason)
        with watched(self._source) as readings:
            found = timing.measure(workload, kernel, request["time_s"], request.get("incumbent_us"))
        return {
            "samples_us": found.samples_us,
            "raced_out": found.raced_out,
            "deterministic": verdict.deterministic,
            "readings": readings or None,
        }

    def _playoff(self, request: Message) -> Message:
        begun_s = time.monotonic()
        workload = self._work(request)
        kernels = {name: self._load(artifact) for name, artifact in request["artifacts"].items()}
        vendors, faults, left_out = self._vendors(workload, request["seed"])
        kernels |= {playoff.VENDOR + name: kernel for name, kernel in vendors.items()}
        spent_s = time.monotonic() - begun_s if request["is_all"] else 0.0
        with watched(self._source) as readings:
            rounds_us = playoff.playoff(workload, kernels, request["time_s"] - spent_s, request["rounds"])
        return {"vendors": faults, "left_out": left_out, "rounds_us": rounds_us, "readings": readings or None}

    def _vendors(
        self, workload: Workload, seed: int
    ) -> tuple[dict[str, Kernel], dict[str, str | None], dict[str, str]]:
        """The vendor's ways that run, what is wrong with the numbers of each, and why others do not; on fresh inputs.

        Each is run as it will be timed: some calls cannot be captured. One that is wrong stays a rival: what people run
        now is what a config is held against.
        """
        arrays = workload.refresh(seed)
        kernels: dict[str, Kernel] = {}
        faults: dict[str, str | None] = {}
        left_out: dict[str, str] = {}
        for name, kernel in self._opened.vendors(workload.problem).items():
            for output in workload.names("output"):
                self._opened.poison(arrays[output])
            try:
                self._opened.timer(kernel, [arrays], 1, workload.policy)()
                self._opened.finish()
            except Faulted:
                raise
            except Exception as error:  # noqa: BLE001 -- a library refuses what it cannot do in its own words
                left_out[name] = f"{type(error).__name__}: {error}".partition("\n")[0][:300]
                continue
            kernels[name], faults[name] = kernel, correctness.wrong(workload, arrays, seed)
        return kernels, faults, left_out

    @property
    def _opened(self) -> Device:
        if self._device is None:
            raise RuntimeError("no device is open")
        return self._device

    def _load(self, artifact: Message) -> Kernel:
        return self._opened.load(Artifact.from_dict(artifact))

    def _watched(self, kernel: Kernel) -> Kernel:
        """The kernel, ended with the process if it takes most of the host's memory."""
        if not self._guard_memory:
            return kernel

        def run(arrays: Arrays) -> None:
            with memory_watch(self._give_up):
                kernel(arrays)

        return run

    def _give_up(self, reason: str) -> None:
        """Answer for a kernel that will not return, and end."""
        self.send({**_failure("runtime", reason), "last": True})
        os._exit(1)

    def _work(self, request: Message) -> Workload:
        """The arrays of the request's problem; made anew only when the problem or the policy changes."""
        key = (request["problem"], request["policy"])
        if self._workload is None or self._workload_key != key:
            self._workload = None  # let go of the old arrays before the new ones are made
            op = op_named(request["problem"]["op"])
            fields = {name: value for name, value in request["problem"].items() if name != "op"}
            problem = op.problem("cpu", **fields)  # every field is named: no default of a device is taken
            self._workload = Workload(op, problem, Policy(**request["policy"]), self._opened, request["seed"])
            self._workload_key = key
        return self._workload


def _failure(kind: FailureKind, reason: object) -> Message:
    failure = Failure(kind, str(reason)[:2000])
    return {"failure": {"kind": failure.kind, "reason": failure.reason}}


def _end_with_parent(parent: int) -> None:
    """A hung kernel cannot read the end of its input: look for the parent instead."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def main() -> None:
    """Serve until the input ends."""
    channel = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    child = Child(channel)
    while (request := read_frame(sys.stdin.buffer)) is not None:
        child.send(child.answer(request))


if __name__ == "__main__":
    main()
