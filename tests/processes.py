"""A server and its workers as processes that a test kills, freezes and starts again."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.request import urlopen

from kerntune.cache.http_client import HttpClient, Reply
from kerntune.cache.paging import every_record
from kerntune.cache.sql import SqlStore
from kerntune.cache.wire_records import record_digest
from kerntune.spaces.errors import NetworkError
from workers import TARGET

TESTS = Path(__file__).parent
UNLIMITED = {"KERNTUNE_RATE": "0", "KERNTUNE_SUBMITS_PER_HOUR": "0"}
ENDED = frozenset({"done", "failed", "cancelled"})

T = TypeVar("T")


def free_port() -> int:
    """One that nobody listens on now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def wait_for(what: Callable[[], T], most_s: float = 60.0) -> T:
    """What is there once it is true; a server that does not answer is asked again."""
    end_s = time.monotonic() + most_s
    while True:
        try:
            if there := what():
                return there
        except NetworkError:
            there = None
        assert time.monotonic() < end_s, f"still {there!r} after {most_s:g} s"
        time.sleep(0.05)


class Program:
    """A process that is started as often as a test likes; its words go to NAME.out and NAME.err of a folder."""

    def __init__(self, name: str, command: list[str], folder: Path, environment: dict[str, str]) -> None:
        self.name, self._command, self._environment = name, command, environment
        self.out, self.err = folder / f"{name}.out", folder / f"{name}.err"
        self._running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.out.open("ab") as out, self.err.open("ab") as err:
            self._running = subprocess.Popen(
                [sys.executable, *self._command], stdout=out, stderr=err, env=os.environ | self._environment
            )

    @property
    def pid(self) -> int | None:
        """Of the process as long as it runs."""
        return None if self._running is None or self._running.poll() is not None else self._running.pid

    def send(self, number: signal.Signals) -> None:
        assert self._running is not None
        self._running.send_signal(number)

    def kill(self) -> None:
        """kill -9. Idempotent."""
        if self._running is not None:
            self._running.kill()
            self._running.wait()

    def end(self) -> int:
        """Its exit code, once it was asked to end."""
        assert self._running is not None
        self._running.terminate()
        return self._running.wait(30)

    def news(self) -> list[dict[str, Any]]:
        """What it told, a line of JSON each; one that a kill cut is none."""
        lines = self.out.read_text().splitlines() if self.out.exists() else []
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]


def tune_serve(name: str, db_url: str, port: int, folder: Path) -> Program:
    """`tune serve` over a database, without limits."""
    command = ["-m", "kerntune.tuner.cli", "serve", "--port", str(port), "--db", db_url]
    return Program(name, command, folder, UNLIMITED)


class Site:
    """A server, and workers on machines of their own: each has a database and a spool."""

    def __init__(self, db_url: str, folder: Path, workers: int = 3, trial_s: float = 0.02) -> None:
        self.db_url, self.folder, port = db_url, folder, free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.server = tune_serve("server", db_url, port, folder)
        self.workers = [self._worker(f"w{number}", trial_s) for number in range(workers)]
        self._client = HttpClient(self.url, None, 10.0, 2**24)

    def _worker(self, name: str, trial_s: float) -> Program:
        own = {"KERNTUNE_DB": self._local_url(name), "KERNTUNE_CACHE_DIR": str(self.folder / name)}
        return Program(name, [str(TESTS / "fake_worker.py"), self.url, name, str(trial_s)], self.folder, own)

    def _local_url(self, name: str) -> str:
        return f"sqlite:///{self.folder}/{name}.db"

    @contextmanager
    def serving(self) -> Iterator[Site]:
        """The server answers; whatever runs when the block ends is killed."""
        try:
            self.start_server()
            yield self
        finally:
            for program in (*self.workers, self.server):
                program.kill()

    def start_server(self) -> None:
        self.server.start()
        wait_for(lambda: self.get("/readyz").status == 200)

    def start_workers(self) -> None:
        for worker in self.workers:
            worker.start()

    def get(self, path: str, **query: str) -> Reply:
        """What the server says, whatever its status. Raises: NetworkError."""
        return self._client.get(path, query)

    def post(self, path: str, body: dict[str, Any]) -> Reply:
        return self._client.post(path, body)

    def submit(self, count: int, trials: int) -> list[int]:
        """Ids of so many new jobs, each of another problem."""
        assert self.post("/v1/targets", TARGET.as_dict()).status == 200
        return [self._submitted(number, trials) for number in range(count)]

    def _submitted(self, number: int, trials: int) -> int:
        wish = {"trials": trials, "time_s": 60, "sampler": "random", "templates": ["c_tiled"]}
        said = self.post("/v1/jobs", {"op": "gemm", "shape": f"{64 + number}x48x32", "target": TARGET.digest, **wish})
        assert (said.status, said.data["is_new"]) == (202, True), said
        return int(said.data["job"]["id"])

    def jobs(self) -> list[dict[str, Any]]:
        """All there are. Raises: NetworkError."""
        said = self.get("/v1/jobs", limit="200")
        if said.status != 200:
            self._client.refusal(said, "/v1/jobs")  # 5xx: it raises
        return list(said.data["jobs"])

    def ended(self) -> int:
        """How many jobs have."""
        return sum(job["state"] in ENDED for job in self.jobs())

    def job_of(self, worker: Program) -> dict[str, Any] | None:
        """The job that this process has now, as far as the server knows."""
        name = f"{worker.name}.{worker.pid}"
        return next((job for job in self.jobs() if (job["state"], job["worker"]) == ("running", name)), None)

    def ends_told(self, job_id: int) -> list[dict[str, Any]]:
        """The data of the `end` events of a job that has ended; nothing comes after them."""
        with urlopen(f"{self.url}/v1/jobs/{job_id}/events", timeout=30) as stream:
            told = [event.split("\n") for event in stream.read().decode().split("\n\n") if event.startswith("id:")]
        assert told[-1][1] == "event: end"
        return [json.loads(data.removeprefix("data: ")) for _, kind, data in told if kind == "event: end"]

    def waiting(self) -> Counter[str]:
        """By worker: what lies in its spool and is not known to be with the server."""
        spools = {worker.name: (self.folder / worker.name).rglob("lock") for worker in self.workers}
        return Counter({name: sum(waiting_in(lock.parent) for lock in locks) for name, locks in spools.items()})

    def kept(self) -> Counter[str]:
        """Digests of the records the server has."""
        return digests(self.db_url)

    def measured(self) -> Counter[str]:
        """Digests of the records its workers have: each was in a spool before."""
        return sum((digests(self._local_url(worker.name)) for worker in self.workers), Counter())


def waiting_in(spool: Path) -> int:
    """How many entries of a spool are not acknowledged."""
    segments = sorted(spool.glob("0*.jsonl"))
    try:
        acknowledged = int((spool / "acknowledged").read_text())
        last = int(segments[-1].stem) - 1 + segments[-1].read_bytes().count(b"\n") if segments else acknowledged
    except FileNotFoundError:  # a segment that went meanwhile; or nothing was acknowledged yet
        return sum(path.read_bytes().count(b"\n") for path in spool.glob("0*.jsonl"))
    return last - acknowledged


def digests(db_url: str) -> Counter[str]:
    """Of every record of a database."""
    with closing(SqlStore.open(db_url)) as store:
        return Counter(record_digest(record) for record in every_record(lambda cursor: store.page(cursor=cursor)))
