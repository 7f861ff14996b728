"""What the benchmark of search spaces found, summed up: medians, totals beside the targets, a table."""

from __future__ import annotations

import json
import math
import statistics
from typing import Any

OURS, PEERS = ("ours_list", "ours_count"), ("kernel_tuner", "pyatf")
Definition = dict[str, Any]
Runs = dict[str, list[dict[str, Any]]]  # by engine


def spread(runs: list[dict[str, Any]], field: str) -> dict[str, float]:
    """Median and extremes of the repeats."""
    values = [run[field] for run in runs]
    return {"median": round(statistics.median(values), 3), "min": round(min(values), 3), "max": round(max(values), 3)}


def summary(space: Definition, runs: Runs) -> dict[str, Any]:
    """One space: its size, each engine's time and memory, and whether all hold the same configs."""
    told: dict[str, Any] = {"cartesian": math.prod(map(len, space["params"].values())), "valid": space["valid"]}
    told |= {"identical": {}, "memory_mib": {}}
    for engine, each in runs.items():
        if "failed" in each[-1]:
            told[f"{engine}_ms"] = each[-1]
            continue
        told[f"{engine}_ms"] = spread(each, "ms")
        published = space.get("valid_sha256")
        told["identical"][engine] = {run["valid"] for run in each} == {space["valid"]} and (
            published is None or {run.get("sha256", published) for run in each} == {published}
        )
        memory = {field: spread(each, f"{field}_mib")["median"] for field in ("imports", "peak")}
        told["memory_mib"][engine] = memory | {"growth": round(memory["peak"] - memory["imports"], 3)}
        if engine == "pyatf":
            told["pyatf_tree_ms"] = spread(each, "tree_ms")
    return told


def comparison(spaces: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Totals over the spaces that both sides finished, beside the targets."""

    def ms(told: dict[str, Any], engine: str) -> float:
        return float(told[f"{engine}_ms"]["median"])

    report: dict[str, Any] = {}
    for peer in PEERS:
        both = {name: told for name, told in spaces.items() if {*OURS, peer} <= told["identical"].keys()}
        if not both:
            continue
        totals = {engine: round(sum(ms(told, engine) for told in both.values()), 1) for engine in (*OURS, peer)}
        worst = max(both, key=lambda name: ms(both[name], "ours_list") - ms(both[name], peer))
        memory = {name: told["memory_mib"] for name, told in both.items()}
        report[peer] = {
            "spaces": len(both),
            "totals_ms": totals,
            "list_ratio": round(totals["ours_list"] / totals[peer], 4),
            "count_ratio": round(totals["ours_count"] / totals[peer], 4),
            "worst_list_minus_peer_ms": {worst: round(ms(both[worst], "ours_list") - ms(both[worst], peer), 3)},
            "list_slower_on": [name for name, told in both.items() if ms(told, "ours_list") > ms(told, peer)],
            "more_peak_memory_on": [n for n, m in memory.items() if m["ours_list"]["peak"] > m[peer]["peak"]],
            "more_growth_on": [n for n, m in memory.items() if m["ours_list"]["growth"] > m[peer]["growth"]],
        }
    if peer_of := report.get("kernel_tuner"):
        (worst_ms,) = peer_of["worst_list_minus_peer_ms"].values()
        peer_of["targets"] = {
            "list_ratio <= 0.15": peer_of["list_ratio"] <= 0.15,
            "count_ratio <= 0.05": peer_of["count_ratio"] <= 0.05,
            "worst_list_minus_peer_ms <= 2": worst_ms <= 2,
            "less peak memory on every space": not peer_of["more_peak_memory_on"],
        }
    return report


def table(spaces: dict[str, dict[str, Any]]) -> str:
    """Medians as a person reads them."""
    engines = [engine for engine in (*OURS, *PEERS) if any(f"{engine}_ms" in told for told in spaces.values())]
    lines = [f"{'median ms; MiB grown':22}{'valid':>10}" + "".join(f"{engine:>21}" for engine in engines)]
    for name, told in spaces.items():
        cells = [
            f"{told[f'{engine}_ms']['median']:11.2f} {told['memory_mib'][engine]['growth']:5.1f} MiB"
            if engine in told["identical"]
            else f"{told[f'{engine}_ms']['failed'][:19]:>20}"
            for engine in engines
        ]
        lines.append(f"{name:22}{told['valid']:10,}" + "".join(f"{cell:>21}" for cell in cells))
    return "\n".join(lines)


def show(report: dict[str, Any]) -> None:
    """What a person wants to know first."""
    print(table(report["spaces"]))
    for peer, told in report["comparison"].items():
        print(f"{peer}: " + ", ".join(f"{name} {json.dumps(value)}" for name, value in told.items()))
    print(f"imports, CPU s: {json.dumps(report['imports_cpu_s'])}")
    for name, told in report["beyond_the_peers"].items():
        print(f"{name}: {json.dumps({k: v for k, v in told.items() if k != 'p_values'})}")
