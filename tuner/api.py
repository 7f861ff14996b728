"""The use cases: tune a problem, or many under one budget; look a problem up."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..cache.records import Answer
from ..templates.catalogue import op_named
from . import asking, settings, sharing, tuning
from .budget import Budget
from .samplers import DEFAULT
from .schedule import PATIENCE
from .stopping import StopRules
from .tiers import TIMEOUT_S, Question, Tiers


def tune(
    op: str,
    *,
    device: str = "auto",
    template: str | Sequence[str] = (),
    trials: int = 200,
    time_s: float = 120.0,
    patience: int | None = None,
    min_gain: float | None = None,
    target_us: float | None = None,
    sampler: str = DEFAULT,
    seed: int = 0,
    policy: str = "cold",
    force: bool = False,
    db: str | None = None,
    server: str | None = None,
    transfer: bool = True,
    allow_vendor: bool = False,
    **fields: Any,
) -> Answer:
    """The best config for a problem on this machine: from the cache, or searched, checked and measured now.

    `fields` are the op's: `tune("gemm", m=1024, n=1024, k=1024, dtype="fp32")`. The search ends at whichever of
    `trials` and `time_s` (seconds) comes first; before, after `patience` trials in a row without a better best, when
    the sampler expects to gain less than the share `min_gain`, or at a best of `target_us`. It starts from what is
    stored of near problems and devices, unless `transfer` is false. With `allow_vendor` the answer may be the vendor's
    library, where that was clearly faster in the playoff: its template is "vendor:…" and its config empty. With
    `server` what that one knows of the problem counts, and every record reaches it, later where it is away (a
    RuntimeWarning).

    Raises: UsageError for words that are off, NoFeasibleConfig, DeviceError, StoreError. KeyboardInterrupt keeps what
    was measured; the next call goes on from there.
    """
    names = (template,) if isinstance(template, str) else tuple(template)
    budget, rules = Budget(trials, time_s), StopRules(patience, min_gain, target_us)
    words = (device, names, budget, sampler, seed, policy, force, db, transfer, rules, allow_vendor)
    request = tuning.Request(op, fields, *words)
    report = tuning.run(request) if server is None else sharing.run(request, server, tuning.Watch(), sharing.warn)
    _TIERS.remembered.forget()
    if report.interrupted:
        raise KeyboardInterrupt
    return report.answer


def tune_workload(
    problems: str | Path | Sequence[Mapping[str, Any]],
    *,
    time_s: float,
    device: str = "auto",
    template: str | Sequence[str] = (),
    patience: int = PATIENCE,
    sampler: str = DEFAULT,
    seed: int = 0,
    policy: str = "cold",
    force: bool = False,
    db: str | None = None,
    transfer: bool = True,
) -> list[Answer | None]:
    """The best configs for many problems under one time budget, spent where their weighted time should fall most.

    `problems` is a workload file (docs/workload.md), or its entries: `{"op": "gemm", "shape": "8x8x8", "weight": 2}`.
    Answers are in their order, each problem once; None where none was tried or none worked. A problem ends after
    `patience` trials in a row without a better best.

    Raises: as tune. KeyboardInterrupt keeps what was measured; the next call goes on from there.
    """
    from . import workload
    from .workload_file import of_values, read

    names = (template,) if isinstance(template, str) else tuple(template)
    request = workload.WorkloadRequest(
        lambda kind: read(Path(problems), kind) if isinstance(problems, str | Path) else of_values(problems, kind),
        *(time_s, device, names, sampler, seed, policy, force, db, transfer, patience),
    )
    report = workload.run(request)
    _TIERS.remembered.forget()
    if report.interrupted:
        raise KeyboardInterrupt
    return [task.answer for task in report.tasks]


def lookup(
    op: str,
    *,
    device: str = "auto",
    policy: str = "cold",
    min_match: str = "stale",
    generation: int | None = None,
    db: str | None = None,
    server: str | None = None,
    timeout_s: float = TIMEOUT_S,
    **fields: Any,
) -> Answer | None:
    """The best config known for a problem on this machine, or None. Measures nothing, needs no compiler.

    Asked again, it answers from memory: what is committed to the database by others is seen within a second, what a
    server learns within a minute (a miss: 10 s). Where the database has no exact answer, KERNTUNE_SERVER is asked, and
    the nearer of the two answers is given; `db` asks that database alone, `server` that server alone. A server that
    takes longer than `timeout_s`, or fails, is a RuntimeWarning and left alone for 5 to 60 s. `min_match` is the
    farthest kind of match accepted: exact, stale, near or model. `generation` pins the lookup to a frozen generation
    (KERNTUNE_GENERATION: every lookup): its answers never change, and what cannot be asked is an error.
    With KERNTUNE_EXPLAIN=1 stderr says what is not exact.
    Raises: UsageError for words that are off, DeviceError, StoreError; pinned also UnknownGeneration, NetworkError.
    """
    words = (device, policy, min_match, db, server, timeout_s)
    question = Question(op, *words, tuple(fields.items()), generation)
    try:
        held = _TIERS.remembered.get(question)
    except TypeError:  # a value that no dict takes: the op says what is wrong with it
        held = None
    if held is not None:
        return held.answer
    found = _TIERS.ask(question, op_named(op))
    if settings.read().explain:
        sys.stderr.write(asking.explained(op, fields, found.answer, found.misses))
    return found.answer


def forget() -> None:
    """Let go of what lookups hold in this process: answers, open databases, what the device and servers were like."""
    _TIERS.close()


_TIERS = Tiers()
