"""Small jobs for tests: say only what the test is about, the rest is filled in."""

from __future__ import annotations

from builders import A_STAMP
from kerntune.cache.jobs import Capacity, Jobs, Miss, NewJob

NOW = A_STAMP
LEASE_S = 30.0
GPU = Capacity("w", ("GPU X",), ("triton", "cuda"))
"""A worker that can run every job of `a_new_job`."""


def a_new_job(key: int = 1, priority: int = 0, **changes: object) -> NewJob:
    """A job for the key of this number, but for `changes`."""
    words = {"request": {"key": key}, "place": "GPU X", "backends": ("triton", "cuda"), "created_by": "tests"} | changes
    return NewJob(key_digest=f"{key:032x}", op="gemm", priority=priority, **words)


def a_miss(key: int = 1, gflop: float = 0.5, count: int = 1) -> Miss:
    """A miss of the key of this number, or several at once."""
    return Miss(f"{key:032x}", "gemm", {"key": key}, gflop, count)


def claim_all(queue: Jobs, worker: str = "w") -> list[int]:
    """Ids of all that a worker gets until nothing is left, in order."""
    taken = []
    while (claim := queue.claim(Capacity(worker, GPU.places, GPU.backends), LEASE_S, NOW)) is not None:
        taken.append(claim.job.id)
    return taken


def kinds(queue: Jobs, job_id: int) -> list[str]:
    """What happened in a job, by kind."""
    return [event.kind for event in queue.events(job_id)]
