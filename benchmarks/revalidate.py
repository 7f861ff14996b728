"""What revalidation gives away, and what it costs: four GEMMs of a processor, before and after another compiler.

    env -u OPENBLAS_CORETYPE python benchmarks/revalidate.py --out benchmarks/results/NAME.json

Each problem is tuned under compiler A; its database is copied. Under compiler B (the same program with flags after its
own that change the machine code, under another version) one copy is revalidated (5 % of what each search cost) and the
other is tuned anew, from the same database, for as long as the first time. Both winners, and the old one left as it is,
then meet in one interleaved playoff of compiler B. Kernels run on one thread. 8 min with 48 s a search.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

PROBLEMS = ("256x256x256 fp32 nn", "768x512x384 fp32 nn", "1024x256x512 fp32 nt", "96x1024x768 fp32 nn")
FLAGS_OF_B = ("-O2", "-mtune=generic", "-fno-schedule-insns2", "-fno-ivopts", "-fno-tree-vectorize")
ROUNDS = 30

Told = dict[str, Any]


def compiler_b(folder: Path) -> str:
    """A script that is the compiler with other flags, and says that it is a newer one."""
    script = folder / "cc-b"
    version = "cc (benchmark B) 99.1"
    answer = f'if [ "$1" = --version ]; then echo "{version}"; exit 0; fi'
    script.write_text(f'#!/bin/sh\n{answer}\nexec cc "$@" {shlex.join(FLAGS_OF_B)}\n')
    script.chmod(0o755)
    return str(script)


def tune(words: list[str], environment: Mapping[str, str]) -> Told:
    """A command's JSON."""
    command = [sys.executable, "-m", "kerntune.tuner.cli", *words, "--device", "cpu", "--json"]
    done = subprocess.run(command, env=dict(environment), stdout=subprocess.PIPE, text=True, check=True)
    told: Told = json.loads(done.stdout)
    return told


def words_of(problem: str) -> list[str]:
    """What a command is told of a problem."""
    shape, dtype, layout = problem.split()
    return ["gemm", "--shape", shape, "--dtype", dtype, "--layout", layout]


def met(problem: str, environment: Mapping[str, str], choices: Mapping[str, Told]) -> tuple[Told, bool]:
    """Rounds of each choice (µs) in one playoff of the present compiler; and whether its code differs from cc's."""
    from kerntune.cache.records import Policy
    from kerntune.cache.wire import config_from_json
    from kerntune.templates.catalogue import op_named, templates_named
    from kerntune.tuner import settings, wiring

    shape, dtype, layout = problem.split()
    op = op_named("gemm")
    with closing(wiring.open_host("cpu", settings.read(environment))) as host:
        asked = op.problem("cpu", **op.parse_shape(shape), dtype=dtype, layout=layout)
        made = {}
        with closing(host.engine(asked, Policy.named("cpu", "cold"))) as engine:
            for name, told in choices.items():
                (template,) = templates_named("gemm", [told["template"]])
                feasible = template.feasible(asked, host.target)
                config = config_from_json(told["config"])
                candidate = template.candidate(feasible, asked, host.target, config)
                made[name] = engine.submit(candidate).result()
            result = engine.playoff(made, seed=0, rounds=ROUNDS)
            source = next(iter(made.values())).path
            plain = source.with_name("plain.so")
            flags = host.target.toolchain.flags.split()
            source.with_name("plain.c").write_text(candidate.source)
            subprocess.run(["cc", *flags, str(source.with_name("plain.c")), "-o", str(plain), "-lm"], check=True)
            differs = code_of(plain) != code_of(list(made.values())[-1].path)
    return {name: list(rounds) for name, rounds in result.rounds_us.items()}, differs


def code_of(binary: Path) -> bytes:
    """Its machine code."""
    text = subprocess.run(["objdump", "-d", "--no-show-raw-insn", str(binary)], capture_output=True, check=True).stdout
    return text.split(b"\n", 3)[-1]


def one(problem: str, seconds: float, folder: Path) -> Told:
    """One problem, from the first search to the last playoff."""
    base = {name: value for name, value in os.environ.items() if name not in ("CC", "OPENBLAS_CORETYPE")}
    base |= {"KERNTUNE_CACHE_DIR": str(folder / "binaries"), "OMP_NUM_THREADS": "1"}
    a, b = base | {"KERNTUNE_DB": f"sqlite:///{folder}/a.db"}, base | {"CC": compiler_b(folder)}
    few, whole = (b | {"KERNTUNE_DB": f"sqlite:///{folder}/{name}.db"} for name in ("few", "whole"))
    search = [*words_of(problem), "--time", str(seconds), "--trials", "100000"]
    first = tune(search, a)
    for name in ("few", "whole"):
        shutil.copy(folder / "a.db", folder / f"{name}.db")
    renewed = tune(["revalidate"], few)["problems"][0]
    answer = tune(["lookup", *words_of(problem)], few)
    again = tune([*search, "--force", "--seed", "1"], whole)
    rounds, differs = met(problem, b, {"revalidated": answer, "retuned": again, "left": first})
    return {
        "problem": problem,
        "first_s": first["seconds"],
        "retune_s": again["seconds"],
        "revalidate_s": renewed["seconds"],
        "share": renewed["seconds"] / renewed["original_s"],
        "state": renewed["state"],
        "match": answer["match"],
        "configs": len(renewed["configs"]),
        "doubts": renewed["doubts"],
        "before_us": renewed["before_us"],
        "after_us": renewed["after_us"],
        "trials": {"first": first["trials"]["measured"], "retune": again["trials"]["measured"]},
        "same_as_retuned": answer["digest"] == again["digest"],
        "same_as_before": answer["digest"] == first["digest"],
        "code_differs": differs,
        "revalidated_to_retuned": ratio(rounds["revalidated"], rounds["retuned"]),
        "left_to_retuned": ratio(rounds["left"], rounds["retuned"]),
        "rounds_us": rounds,
    }


def ratio(ours: list[float], theirs: list[float]) -> Told:
    """Median of ours ÷ theirs, paired by round, and the interval that holds it with 95 %."""
    from kerntune.tuner.winner import ratio as paired

    found = paired(ours, theirs)
    return {"median": found.median, "interval": found.interval and list(found.interval)}


def main() -> None:
    """Each problem in a folder of its own; then what it all comes to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=48.0, help="of each full search")
    parser.add_argument("--problems", nargs="*", default=list(PROBLEMS))
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    load = os.getloadavg()
    found = []
    for problem in asked.problems:
        with tempfile.TemporaryDirectory(prefix="kerntune-revalidate-") as folder:
            found.append(one(problem, asked.seconds, Path(folder)))
        last = found[-1]
        ratio_now = last["revalidated_to_retuned"]["median"]
        print(f"{problem}: {ratio_now:.4f} of a re-tune, {last['share']:.1%} of its cost")
    ratios = [one_["revalidated_to_retuned"]["median"] for one_ in found]
    from kerntune.tuner import settings, wiring

    with closing(wiring.open_host("cpu", settings.read({"OMP_NUM_THREADS": "1"}))) as host:
        target = host.target.as_dict()
    told = {
        "date": datetime.now(UTC).date().isoformat(),
        "command": shlex.join(["python", *sys.argv]),
        "device": target["device"],
        "machine": platform.platform(),
        "compiler_a": target["toolchain"],
        "flags_added_by_b": list(FLAGS_OF_B),
        "load_before_and_after": [list(load), list(os.getloadavg())],
        "seconds_a_search": asked.seconds,
        "worst_ratio": max(ratios),
        "geometric_mean_ratio": statistics.geometric_mean(ratios),
        "largest_share": max(one_["share"] for one_ in found),
        "problems": found,
    }
    if asked.out:
        asked.out.write_text(json.dumps(told, indent=1, allow_nan=False) + "\n")
    print(json.dumps({name: told[name] for name in ("worst_ratio", "geometric_mean_ratio", "largest_share")}))


if __name__ == "__main__":
    main()
