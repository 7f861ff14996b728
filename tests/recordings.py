"""Recorded spaces for tests, written as the published ones lie on disk."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kerntune.spaces import Space

Config = Mapping[str, int]

COMPILE_ERROR, RUNTIME_ERROR = 1, 2
LINE = {"X": range(1, 41)}


def a_line(config: Config) -> float | int:
    """Times on LINE in ms: the first three fail, X=30 is the best with 1.0, each step away from it costs 1.0."""
    return COMPILE_ERROR if config["X"] <= 3 else 1.0 + abs(config["X"] - 30)


def a_bowl(config: Config) -> float | int:
    """Times in ms over parameters that each have a best value of their own, 4."""
    return 1.0 + sum((value - 4) ** 2 for value in config.values())


def write_space(
    folder: Path,
    outcome: Callable[[Config], float | int | None] = a_line,
    values: Mapping[str, Any] = LINE,
    constraints: tuple[str, ...] = (),
    *,
    name: str = "toy",
    cost_ms: float | None = 500.0,
    **header: Any,
) -> Path:
    """A header beside its rows. A float of `outcome` is a time in ms, an int a status, None leaves the row out."""
    import pyarrow
    from pyarrow.parquet import write_table

    space = {parameter: list(listed) for parameter, listed in values.items()}
    feasible = [dict(config) for config in Space.from_text(name, space, constraints).on()]
    told = [(config, came) for config in reversed(feasible) if (came := outcome(config)) is not None]
    rows = [
        {
            **config,
            "__time_ms": came if isinstance(came, float) else None,
            "__status": 0 if isinstance(came, float) else came,
            **({} if cost_ms is None else {"__cost_ms": cost_ms}),
        }
        for config, came in told
    ]
    write_table(pyarrow.Table.from_pylist(rows), folder / f"{name}.parquet")
    path = folder / f"{name}.json"
    document = {
        "format": "tuning-space/1",
        "name": name,
        "parameters": [{"name": parameter, "values": listed} for parameter, listed in space.items()],
        "constraints": list(constraints),
        "configs_in_space_but_not_recorded": len(feasible) - len(rows),
        "note": "",
        **header,
    }
    path.write_text(json.dumps(document))
    return path


def write_t4(folder: Path, *results: Mapping[str, Any], **document: Any) -> Path:
    """T4 results as Kernel Tuner writes them."""
    path = folder / "results.json"
    path.write_text(json.dumps({"results": results, "metadata": {"timeunit": "milliseconds"}, **document}))
    return path


def a_result(config: Config, time_ms: float | None = None, invalidity: str = "correct", **entry: Any) -> dict[str, Any]:
    """One T4 result: it compiled for 100 ms and ran for 20."""
    measured = [] if time_ms is None else [{"name": "time", "value": time_ms, "unit": "ms"}]
    return {
        "configuration": dict(config),
        "times": {"compilation": 100.0, "benchmark": 20.0, "runtimes": []},
        "invalidity": invalidity,
        "correctness": 1,
        "measurements": measured,
        "objectives": ["time"],
        **entry,
    }
