"""The use cases: tune a problem, look a problem up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..cache.records import Answer
from ..templates.catalogue import op_named
from . import asking, settings, tuning
from .budget import Budget
from .samplers import DEFAULT


def tune(
    op: str,
    *,
    device: str = "auto",
    template: str | Sequence[str] = (),
    trials: int = 200,
    time_s: float = 120.0,
    sampler: str = DEFAULT,
    seed: int = 0,
    policy: str = "cold",
    force: bool = False,
    db: str | None = None,
    **fields: Any,
) -> Answer:
    """The best config for a problem on this machine: from the cache, or searched, checked and measured now.

    `fields` are the op's: `tune("gemm", m=1024, n=1024, k=1024, dtype="fp32")`. The search ends at whichever of
    `trials` and `time_s` (seconds) comes first.

    Raises: UsageError for words that are off, NoFeasibleConfig, DeviceError, StoreError. KeyboardInterrupt keeps what
    was measured; the next call goes on from there.
    """
    names = (template,) if isinstance(template, str) else tuple(template)
    budget = Budget(trials, time_s)
    report = tuning.run(tuning.Request(op, fields, device, names, budget, sampler, seed, policy, force, db))
    if report.interrupted:
        raise KeyboardInterrupt
    return report.answer


def lookup(
    op: str,
    *,
    device: str = "auto",
    policy: str = "cold",
    min_match: str = "stale",
    db: str | None = None,
    server: str | None = None,
    **fields: Any,
) -> Answer | None:
    """The best config known for a problem on this machine, or None. Measures nothing, needs no compiler.

    Asks `server` (default: KERNTUNE_SERVER) where one is named, else the database. `min_match` is the farthest kind of
    match that is accepted: exact, stale, near or model.
    Raises: UsageError for words that are off, DeviceError, StoreError, NetworkError.
    """
    words = {"device": device, "policy": policy, "min_match": min_match}
    url = server or (None if db else settings.read().server_url)
    if url:
        return asking.ask_server(url, op_named(op), fields, **words)
    return asking.ask_store(op_named(op), fields, **words, db_url=db)[0]
