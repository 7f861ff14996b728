"""One of kernel_tuner's own strategies on a recorded space, in its simulation mode: which configs it tried, in order.

Run by `search.py` with the interpreter that has kernel_tuner; nothing of kerntune is imported here.
stdin: {"parameters": {name: values}, "constraints": [text, …] or null where the rows are all there is to say,
"rows": [values, …], "times_us": [number or null, …], "strategy": name, "max_fevals": number, "seeds": [number, …]}
stdout: {"version": of kernel_tuner, "tried": {seed: [row, …]}}, rows as often as the strategy asked for them.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

KERNEL = "recorded"
LIMIT_S = 900
Asked = dict[str, Any]


class PeerFailed(RuntimeError):
    """A strategy did not get through its simulation; its last words."""


def ask(python: str, asked: Asked) -> tuple[str, list[list[int]]]:
    """kernel_tuner's version, and the rows tried with each seed, from a process of its own. Raises: PeerFailed."""
    alone = {**os.environ, "PYTHONHASHSEED": "0"}  # it iterates over sets of strings
    line = [python, "-W", "ignore", __file__]
    try:
        done = subprocess.run(
            line, input=json.dumps(asked), capture_output=True, text=True, timeout=LIMIT_S, env=alone, check=False
        )
    except subprocess.TimeoutExpired:
        raise PeerFailed(f"more than {LIMIT_S} s") from None
    if done.returncode:
        raise PeerFailed((done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1])
    answer = json.loads(done.stdout.splitlines()[-1])
    return answer["version"], [answer["tried"][str(seed)] for seed in asked["seeds"]]


def key(values: Any) -> str:
    """A config as kernel_tuner's cache names it."""
    return ",".join(str(value) for value in values)


def cache_document(asked: Asked) -> dict[str, Any]:
    """The recorded space as a cache file of kernel_tuner."""
    names = list(asked["parameters"])
    cost = {"compile_time": 0, "verification_time": 0, "benchmark_time": 0, "strategy_time": 0, "framework_time": 0}
    told: dict[str, Any] = {}
    for values, time_us in zip(asked["rows"], asked["times_us"], strict=True):
        # which kind of failure it was makes no difference to any strategy
        came = {"time": time_us} if time_us is not None else {"time": "RuntimeFailedConfig"}
        told[key(values)] = {**dict(zip(names, values, strict=True)), **came, **cost}
    return {
        "schema_version": "1.0.0",
        "device_name": "recorded",
        "kernel_name": KERNEL,
        "problem_size": [1],
        "tune_params_keys": names,
        "tune_params": asked["parameters"],
        "objective": "time",
        "cache": told,
    }


def restrictions(asked: Asked) -> Any:
    """The constraints as text, which its solvers know best; for a sample of a space, whether a config is in it."""
    if asked["constraints"] is not None:
        return asked["constraints"] or None
    listed = {key(values) for values in asked["rows"]}
    return lambda config: key(config[name] for name in asked["parameters"]) in listed


def tried(asked: Asked, cache: Path) -> dict[int, list[int]]:
    """Rows in the order of their evaluation, by seed."""
    import numpy as np
    from kernel_tuner import tune_kernel

    places = {key(values): row for row, values in enumerate(asked["rows"])}
    found: dict[int, list[int]] = {}
    for seed in asked["seeds"]:
        random.seed(seed)
        np.random.seed(seed)
        with contextlib.redirect_stdout(io.StringIO()):
            results, _ = tune_kernel(
                KERNEL,
                "",
                (1,),
                [],
                asked["parameters"],
                restrictions=restrictions(asked),
                cache=str(cache),
                simulation_mode=True,
                strategy=asked["strategy"],
                strategy_options={"max_fevals": asked["max_fevals"]},
                lang="CUDA",
                quiet=True,
                seed=seed,
            )
        keys = [key(result[name] for name in asked["parameters"]) for result in results]
        found[seed] = [places[one] for one in keys if one in places]  # what is outside the space is nobody's trial
    return found


def main() -> None:
    """One question, one answer."""
    asked = json.load(sys.stdin)
    with tempfile.TemporaryDirectory(prefix="kerntune-peers-") as folder:
        cache = Path(folder) / "space.json"
        cache.write_text(json.dumps(cache_document(asked)))
        answer = {"version": version("kernel_tuner"), "tried": tried(asked, cache)}
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
