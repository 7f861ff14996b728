"""What a lookup costs: over HTTP, beside a server that does nothing and a plain one; and in process, tier by tier.

    python benchmarks/lookup.py --out benchmarks/results/NAME.json

Over HTTP: each server is one process on core 0, the load (wrk, 16 connections) on core 1; the servers take turns, in
rounds; CPU is what the server's process used (user + system, all threads) ÷ requests it answered. kerntune's checks a
key, keeps metrics and says an ETag: `hot` is the whole answer, `unchanged` a 304. Needs wrk, and the [server] extra.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import timeit
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SHAPE = {"m": 256, "n": 256, "k": 256}
CONNECTIONS = 16
TICKS = os.sysconf("SC_CLK_TCK")
UNITS = {"us": 1.0, "ms": 1e3, "s": 1e6}


def filled(url: str) -> None:
    """One real answer in the database, tuned on this processor; and its like in the plain handler's table."""
    import kerntune
    from lookup_servers import fill_plain

    answer = kerntune.tune("gemm", **SHAPE, device="cpu", trials=4, time_s=30, db=url)
    row = {"template": answer.template, "config": json.dumps(dict(answer.config)), "digest": answer.digest}
    row |= {"target": answer.target.name, "recorded_at": answer.recorded_at.isoformat(), "recorded_by": "benchmark"}
    times = {"median_us": answer.median_us, "spread_us": answer.spread_us, "baseline_us": answer.baseline_us or 1.0}
    fill_plain(url, {**SHAPE, "dtype": "fp32", **row, **times})


def new_key(environment: dict[str, str]) -> str:
    """A key that may read."""
    words = [Path(sys.executable).with_name("tune"), "keys", "create", "benchmark", "--scope", "read", "--json"]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    return str(json.loads(done.stdout)["key"])


@contextmanager
def served(name: str, environment: dict[str, str]) -> Any:
    """(process, port) of a server on core 0 that answers."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    script = [sys.executable, str(HERE / "lookup_servers.py"), name, str(port)]
    process = subprocess.Popen(["taskset", "-c", "0", *script], env=environment)
    try:
        for _ in range(300):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield process, port
    finally:
        process.terminate()
        process.wait()


def cpu_us(process: subprocess.Popen[bytes]) -> float:
    """What it used so far, of all its threads."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS * 1e6


def loaded(process: subprocess.Popen[bytes], url: str, headers: dict[str, str], seconds: float) -> dict[str, float]:
    """What one round of load says."""
    said = [word for name, value in headers.items() for word in ("-H", f"{name}: {value}")]
    words = ["taskset", "-c", "1", "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds:g}s", "--latency", *said, url]
    before = cpu_us(process)
    out = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    used = cpu_us(process) - before
    (requests,) = re.findall(r"(\d+) requests in", out)
    if "Non-2xx" in out and "if-none-match" not in headers:
        raise SystemExit(f"{url} refused: {out}")
    found = {f"p{at}_us": _us(out, at) for at in (50, 99)}
    return {"cpu_us": used / int(requests), "requests_per_s": int(requests) / seconds, **found}


def _us(out: str, percent: int) -> float:
    number, unit = re.findall(rf"{percent}%\s+([\d.]+)(us|ms|s)", out)[0]
    return float(number) * UNITS[unit]


def over_http(given: argparse.Namespace, environment: dict[str, str], key: str) -> dict[str, Any]:
    """All servers run; each is asked in its turn."""
    path = "/v1/configs/gemm?shape=" + "x".join(map(str, SHAPE.values()))
    plain = "/v1/configs/gemm?" + "&".join(f"{name}={value}" for name, value in SHAPE.items())
    auth = {"authorization": f"Bearer {key}"}
    with ExitStack() as stack:
        servers = {
            name: stack.enter_context(served(name, environment))
            for name in ("noop", "plain_async", "plain_thread", "kerntune")
        }
        asked = {
            "noop": ("noop", path, auth),
            "plain_async": ("plain_async", plain, auth),
            "plain_thread": ("plain_thread", plain, auth),
            "hot": ("kerntune", path, auth),
            "unchanged": ("kerntune", path, {**auth, "if-none-match": etag(servers["kerntune"][1], path, auth)}),
        }
        rounds: dict[str, list[dict[str, float]]] = {name: [] for name in asked}
        for number in range(given.rounds + 1):
            for name, (server, words, headers) in asked.items():
                process, port = servers[server]
                one = loaded(process, f"http://127.0.0.1:{port}{words}", headers, given.seconds)
                if number:  # the first round warms up
                    rounds[name].append(one)
    figures = {name: {word: _summary([one[word] for one in told]) for word in told[0]} for name, told in rounds.items()}
    return {"servers": figures, "ratios": ratios(rounds), "connections": CONNECTIONS, "rounds": given.rounds}


def ratios(rounds: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """CPU of two servers in the same round, one over the other."""
    pairs = {
        "hot ÷ noop": ("hot", "noop"),
        "unchanged ÷ noop": ("unchanged", "noop"),
        "plain_async ÷ hot": ("plain_async", "hot"),
        "plain_thread ÷ hot": ("plain_thread", "hot"),
    }
    return {
        name: _summary([a["cpu_us"] / b["cpu_us"] for a, b in zip(rounds[one], rounds[other], strict=True)])
        for name, (one, other) in pairs.items()
    }


def etag(port: int, path: str, headers: dict[str, str]) -> str:
    """Of the answer there is."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
    with urllib.request.urlopen(request) as response:
        return str(response.headers["etag"])


def in_process(url: str) -> dict[str, Any]:
    """µs of one question, tier by tier."""
    import kerntune
    from kerntune.cache.memory import MemoryStore
    from kerntune.cache.sql import SqlStore

    memory, sql = MemoryStore(), SqlStore.open(url)
    (record, *_) = sql.candidates("gemm")
    memory.add_many(sql.records(record.key))
    os.environ["KERNTUNE_DB"] = url
    asked = {
        "MemoryStore.best(key)": lambda: memory.best(record.key),
        "SqlStore.best(key), nothing committed since": lambda: sql.best(record.key),
        "SqlStore.best(key), read anew": lambda: sql._best(record.key, ()),
        "kerntune.lookup(op, **dims)": lambda: kerntune.lookup("gemm", **SHAPE, device="cpu"),
    }
    assert all(ask() is not None for ask in asked.values())
    told: dict[str, list[float]] = {name: [] for name in asked}
    for _ in range(15):
        for name, ask in asked.items():
            told[name].append(_timed_us(ask))
    sql.close()
    return {name: _summary(times) for name, times in told.items()}


def _timed_us(ask: Callable[[], object]) -> float:
    timer = timeit.Timer(ask)
    number = max(1, int(0.02 / timer.timeit(10) * 10))
    return timer.timeit(number) / number * 1e6


def _summary(values: list[float]) -> dict[str, float]:
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": round(median, 4), "spread": round((high - low) / 2, 4)}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is needed for the load: apt-get install wrk")
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/lookup.db"
        environment = {
            **os.environ,
            "KERNTUNE_DB": url,
            "KERNTUNE_CACHE_DIR": f"{folder}/binaries",
            "KERNTUNE_RATE": "0",
        }
        filled(url)
        told = {"http": over_http(given, environment, new_key(environment)), "in_process_us": in_process(url)}
    said = {"command": " ".join(["python", *sys.argv]), "date": datetime.now(UTC).date().isoformat()}
    text = json.dumps(
        {**said, "machine": platform.processor() or platform.machine(), **told}, indent=1, ensure_ascii=False
    )
    print(text)
    if given.out:
        given.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
