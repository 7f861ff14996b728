"""T4, the JSON in which the auto-tuning community publishes results, read as a recorded space.

Schema: github.com/odgaard/TuningSchema (branch T4), written by Kernel Tuner and KTT. A file does not say which configs
there might have been: the space is those it lists, without those that its tuner's own constraints refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...cache.records import Failure
from ...spaces.errors import UsageError
from .recorded import Recorded, Tried, from_tried

MICROSECONDS: Mapping[str, float] = {
    **dict.fromkeys(("s", "seconds"), 1e6),
    **dict.fromkeys(("ms", "milliseconds"), 1e3),
    **dict.fromkeys(("us", "µs", "microseconds"), 1.0),
    **dict.fromkeys(("ns", "nanoseconds"), 1e-3),
}
"""µs of a unit."""

FAILURES = {
    "compile": Failure("compile", "recorded as a compile error"),
    "runtime": Failure("runtime", "recorded as a runtime error"),
    "timeout": Failure("timeout", "recorded as a time-out"),
    "correctness": Failure("incorrect", "recorded as incorrect"),
}
"""Invalidity of a result -> what it is here."""

COSTS = ("compilation", "compilation_time", "benchmark", "validation")
"""What of a result's `times` is paid to try a config; its runs are in `benchmark`, or alone in `runtimes`."""


def from_t4(name: str, document: Mapping[str, Any]) -> Recorded:
    """The recorded space of a T4 document. Raises: UsageError, NoFeasibleConfig if nothing in it ran."""
    metadata = document.get("metadata")
    unit = str(metadata.get("timeunit", "ms")) if isinstance(metadata, dict) else "ms"
    tried, refused = [], 0
    for place, entry in enumerate(document["results"]):
        where = f"{name}: results[{place}]"
        try:
            invalidity = entry.get("invalidity", "correct")
            if invalidity == "constraints":
                refused += 1
            else:
                tried.append(_tried(entry, invalidity, unit, where))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UsageError(f"{where} is no T4 result: {type(error).__name__} {error}.") from None
    notes = ["T4 results do not say their space: it is the configs they list"]
    if refused:
        notes.append(f"{refused:,} configs that the constraints refused are left out")
    return from_tried(name, tried, notes)


def _tried(entry: Mapping[str, Any], invalidity: str, unit: str, where: str) -> Tried:
    config, times = dict(entry["configuration"]), dict(entry.get("times", {}))
    for parameter, value in config.items():
        if not isinstance(value, int | float | str):
            raise UsageError(f"{where}: {parameter} is {value!r}; values are numbers, text, true and false.")
    cost = sum(float(times[part]) for part in COSTS if part in times)
    if "benchmark" not in times:
        cost += sum(map(float, times.get("runtimes", ())))
    cost_s = cost * _us_per(unit, where) / 1e6 or None
    if invalidity == "correct":
        return Tried(config, _time_us(entry, times, unit, where), cost_s=cost_s)
    if invalidity not in FAILURES:
        known = ", ".join(["correct", *FAILURES, "constraints"])
        raise UsageError(f'{where}: "{invalidity}" is not an invalidity of T4. Known: {known}.')
    return Tried(config, None, FAILURES[invalidity], cost_s)


def _time_us(entry: Mapping[str, Any], times: Mapping[str, Any], unit: str, where: str) -> float:
    """The measurement called time, or the mean of the runs."""
    named = next((m for m in entry.get("measurements", ()) if m["name"] == "time"), None)
    runs = [float(run) for run in times.get("runtimes", ())]
    if named is not None:
        time_us = float(named["value"]) * _us_per(named.get("unit") or unit, where)
    elif runs:
        time_us = sum(runs) / len(runs) * _us_per(unit, where)
    else:
        raise UsageError(f'{where} is correct and has neither a measurement "time" nor runtimes.')
    if not 0 < time_us < float("inf"):
        raise UsageError(f"{where}: its time is {time_us} µs; a time is positive and finite.")
    return time_us


def _us_per(unit: str, where: str) -> float:
    if unit not in MICROSECONDS:
        raise UsageError(f'{where}: "{unit}" is not a unit of time. Known: {", ".join(MICROSECONDS)}.')
    return MICROSECONDS[unit]
