"""How long a search space takes to build: kerntune beside kernel_tuner and pyATF on published spaces.

    python benchmarks/spaces.py --out benchmarks/results/NAME.json [--peers PYTHON_WITH_PEERS] [--repeats 7]

CPU time of construction alone, each repeat in a fresh process on one core, engines in turn, the garbage collector as
the tool has it. The spaces stand in `published_spaces.json`; each engine's configs are hashed and compared.
`list`: every config as a table of value indices. `count`: the exact number and one uniform sample. kernel_tuner: its
default solver, no rule of its own added. pyATF: the tree and every config by its index; `tree` is the first alone.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import math
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import combinations
from pathlib import Path
from typing import Any

from spaces_report import OURS, PEERS, Definition, Runs, comparison, show, spread, summary

SPACES = Path(__file__).with_name("published_spaces.json")
SMALL, FACTORED = "coulomb3d_ktt", "factored_1e15"
IMPORTS = {
    "ours_list": "from kerntune.spaces import Space",
    "kernel_tuner": "from kernel_tuner.searchspace import Searchspace",
    "pyatf": "from pyatf import TP, Set; from pyatf.search_space import SearchSpace",
}
LIMIT_S = 600
PAIRS, VALUES, DRAWS = 7, 10, 100_000
Rows = Iterable[tuple[Any, ...]]
Engine = tuple[Callable[[], Any], Callable[[Any], int], Callable[[Any], Rows] | None]
"""What constructs, how many configs the result holds, and the configs themselves."""


def definitions() -> dict[str, Definition]:
    """The published spaces by name, and one of 10^15 points: linked pairs, declared apart, and a free parameter."""
    names = [f"{side}{pair}" for side in "ab" for pair in range(PAIRS)] + ["c"]
    factored = {
        "name": FACTORED,
        "params": {name: list(range(VALUES)) for name in names},
        "constraints": [f"a{pair} <= b{pair}" for pair in range(PAIRS)],
        "valid": math.comb(VALUES + 1, 2) ** PAIRS * VALUES,
    }
    return {space["name"]: space for space in [*json.loads(SPACES.read_text()), factored]}


# --- in the worker: an engine imports its tool and is ready to construct


def ours_list(space: Definition) -> Engine:
    """Every config as value indices."""
    from kerntune.spaces import Space

    def rows(table: Any) -> Rows:
        columns = zip(space["params"].values(), table.T.tolist(), strict=True)
        return zip(*([values[index] for index in column] for values, column in columns), strict=True)

    return lambda: Space.from_text(space["name"], space["params"], space["constraints"]).on().matrix(), len, rows


def ours_count(space: Definition) -> Engine:
    """The number of configs and one of them."""
    from kerntune.spaces import Space
    from numpy.random import default_rng

    rng = default_rng(0)

    def construct() -> int:
        feasible = Space.from_text(space["name"], space["params"], space["constraints"]).on()
        total = feasible.total
        feasible.sample(rng, 1)
        return total

    return construct, int, None


def kernel_tuner(space: Definition) -> Engine:
    """Its Searchspace. Without block sizes by name it adds no limit on threads, so max_threads is not used."""
    from kernel_tuner.searchspace import Searchspace

    def construct() -> Any:
        return Searchspace(space["params"], space["constraints"], max_threads=1 << 40, block_size_names=[])

    return construct, lambda built: built.size, lambda built: built.list


def pyatf(space: Definition) -> Engine:
    """A constraint is a function on the last parameter it reads; to write it costs nothing here, as in a script."""
    from pyatf import TP, Set
    from pyatf.search_space import SearchSpace

    names = list(space["params"])
    reads: dict[str, list[tuple[set[str], str]]] = {name: [] for name in names}
    for text in space["constraints"]:
        read = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)} & set(names)
        reads[max(read, key=names.index)].append((read, text))

    def held(on: list[tuple[set[str], str]]) -> Any:
        given = sorted(set().union(*(read for read, _ in on)), key=names.index)
        text = f"lambda {', '.join(given)}: {' and '.join(f'({text})' for _, text in on)}"
        return eval(text) if on else None  # noqa: S307 -- our own file's text, as the lambda a person would write

    laws = {name: held(on) for name, on in reads.items()}

    def construct() -> tuple[int, list[dict[str, Any]], float]:
        start_s = time.process_time()
        parameters = [TP(name, Set(*values), laws[name]) for name, values in space["params"].items()]
        built = SearchSpace(*parameters, enable_1d_access=True, verbosity=0)
        tree_s = time.process_time() - start_s
        return built.constrained_size, [built.get_configuration(i) for i in range(built.constrained_size)], tree_s

    return construct, lambda built: built[0], lambda built: (tuple(config[n] for n in names) for config in built[1])


ENGINES = {"ours_list": ours_list, "ours_count": ours_count, "kernel_tuner": kernel_tuner, "pyatf": pyatf}


def digest(space: Definition, rows: Rows) -> str:
    """SHA-256 of the configs in the order of nested loops."""
    places = [{value: place for place, value in enumerate(values)} for values in space["params"].values()]
    ordered = sorted(rows, key=lambda row: [place[value] for place, value in zip(places, row, strict=True)])
    return hashlib.sha256("".join(",".join(map(str, row)) + "\n" for row in ordered).encode()).hexdigest()


def peak_mib() -> float:
    """Most memory this process has had. Of the process's own image: `ru_maxrss` keeps its parent's across exec."""
    if (status := Path("/proc/self/status")).exists():
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(fields["VmHWM"].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def work(engine: str, space: Definition) -> dict[str, Any]:
    """One construction, measured."""
    construct, count, rows = ENGINES[engine](space)
    imports_mib = peak_mib()
    start_s = time.process_time()
    built = construct()
    told = {"ms": 1e3 * (time.process_time() - start_s), "imports_mib": imports_mib, "peak_mib": peak_mib()}
    told["valid"] = count(built)
    if engine == "pyatf":
        told["tree_ms"] = 1e3 * built[2]
    if rows is not None:
        told["sha256"] = digest(space, rows(built))
    tools = {"kernel_tuner": ["kernel_tuner", "python-constraint2", "numpy"], "pyatf": ["pyatf"]}
    return told | {"versions": {name: version(name) for name in tools.get(engine, ["kerntune", "numpy"])}}


def uniformity(space: Definition) -> dict[str, Any]:
    """Chi-square of many samples: each group of linked parameters over its combinations, and each two groups together.

    p-values by the approximation of Wilson and Hilferty (1931).
    """
    import numpy as np
    from kerntune.spaces import Space

    feasible = Space.from_text(space["name"], space["params"], space["constraints"]).on()
    drawn = feasible.sample(np.random.default_rng(0), DRAWS)
    groups = {
        f"a{i},b{i}": np.array([d[f"b{i}"] * (d[f"b{i}"] + 1) // 2 + d[f"a{i}"] for d in drawn]) for i in range(7)
    }
    groups["c"] = np.array([config["c"] for config in drawn])
    sizes = {name: VALUES if name == "c" else math.comb(VALUES + 1, 2) for name in groups}

    def p_value(cells: Any, size: int) -> float:
        expected, free = DRAWS / size, size - 1
        statistic = float(((np.bincount(cells, minlength=size) - expected) ** 2).sum() / expected)
        spread = 2 / (9 * free)
        return round(math.erfc(((statistic / free) ** (1 / 3) - 1 + spread) / math.sqrt(2 * spread)) / 2, 5)

    p_values = {name: p_value(cells, sizes[name]) for name, cells in groups.items()}
    for one, other in combinations(groups, 2):
        size = sizes[one] * sizes[other]
        p_values[f"{one} × {other}"] = p_value(groups[one] * sizes[other] + groups[other], size)
    smallest = min(p_values.values())
    verdict = {"tests": len(p_values), "smallest_p": smallest, "uniform": smallest * len(p_values) > 0.01}
    return {"draws": DRAWS, **verdict, "p_values": p_values}


# --- in the parent, which stays small and imports no tool


def measured(python: str, engine: str, name: str) -> dict[str, Any]:
    """What a fresh process tells, or {"failed": why}."""
    command = [python, "-W", "ignore", __file__, "--worker", engine, name]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        return {"failed": f"more than {LIMIT_S} s"}
    if done.returncode:
        return {"failed": (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]}
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def import_cpu_s(python: str, engine: str) -> dict[str, float]:
    """CPU seconds of the tool's import in a bare interpreter."""
    code = f"import time; t = time.process_time(); {IMPORTS[engine]}; print(time.process_time() - t)"
    done = subprocess.run([python, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    return {"import_s": float(done.stdout.splitlines()[-1])}


def cpu_model() -> str:
    """The processor by its own name, as far as it tells."""
    lines = info.read_text().splitlines() if (info := Path("/proc/cpuinfo")).exists() else []
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor()
    )


def collect(spaces: dict[str, Definition], pythons: dict[str, str], repeats: int) -> dict[str, Runs]:
    """Every engine on every space, in turn and each turn beginning with another; what failed is not tried again."""
    runs: dict[str, Runs] = {
        name: {engine: [] for engine in pythons if name != FACTORED or engine == "ours_count"} for name in spaces
    }
    for turn in range(repeats):
        for name, each in runs.items():
            first = turn % len(each)
            for engine in [*each][first:] + [*each][:first]:
                if not any("failed" in run for run in each[engine]):
                    each[engine].append(measured(pythons[engine], engine, name))
    return runs


def versions(pythons: dict[str, str]) -> dict[str, str]:
    """What each engine runs on. Raises: SystemExit if one does not run. Its files are on the disk's cache then."""
    found: dict[str, str] = {}
    for engine, python in pythons.items():
        told = measured(python, engine, SMALL)
        if "failed" in told:
            sys.exit(f"{engine} does not run with {python}: {told['failed']}")
        found |= {f"numpy of {engine}" if name == "numpy" else name: of for name, of in told["versions"].items()}
    return found


def main() -> None:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--peers", metavar="PYTHON", help="interpreter that has kernel_tuner and pyatf")
    parser.add_argument("--repeats", type=int, default=7)
    given = parser.parse_args()
    command = f"python benchmarks/spaces.py --out benchmarks/results/{given.out.name}"
    command += f"{' --peers PYTHON' if given.peers else ''} --repeats {given.repeats}"
    pythons = dict.fromkeys(OURS, sys.executable) | (dict.fromkeys(PEERS, given.peers) if given.peers else {})
    host = {"cpu": cpu_model(), "python": platform.python_version(), "system": platform.platform()}
    host |= versions(pythons)
    imports = {e: [import_cpu_s(pythons[e], e) for _ in range(given.repeats)] for e in pythons if e in IMPORTS}
    published = definitions()
    runs = collect(published, pythons, given.repeats)
    spaces = {name: summary(space, runs[name]) for name, space in published.items()}
    eight, factored = spaces["atf_prl_8x8"], spaces.pop(FACTORED)
    shown = ("cartesian", "valid", "ours_count_ms")
    report = {
        "command": command,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "host": host,
        "imports_cpu_s": {engine: spread(taken, "import_s") for engine, taken in imports.items()},
        "comparison": comparison(spaces),
        "beyond_the_peers": {
            "atf_prl_8x8": {"target_ms": 50} | {field: eight[field] for field in shown},
            FACTORED: {"target_ms": 50} | {field: factored[field] for field in shown},
            "samples": measured(sys.executable, "uniformity", FACTORED),
        },
        "spaces": spaces,
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    show(report)
    told = spaces | {FACTORED: factored}
    wrong = [
        f"{name}: {engine}: {told[name][f'{engine}_ms'].get('failed', 'not the published configs')}"
        for name in told
        for engine in runs[name]
        if not told[name]["identical"].get(engine)
    ]
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        engine, name = sys.argv[2:]
        space = definitions()[name]
        print(json.dumps(uniformity(space) if engine == "uniformity" else work(engine, space)))
    else:
        main()
