"""A PostgreSQL of a test's own, which it may kill: a cluster of its own on a free port of loopback."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from processes import free_port, wait_for

PLACES = ("/usr/lib/postgresql/*/bin/initdb", "/usr/local/pgsql/bin/initdb")


def programs() -> Path | None:
    """The folder of the newest server's programs that is installed."""
    found = [path for place in PLACES for path in Path("/").glob(place[1:])]
    on_path = shutil.which("initdb")
    return max(found).parent if found else Path(on_path).parent if on_path else None


class Cluster:
    """Started, stopped and killed as often as a test likes; what it committed stays."""

    def __init__(self, folder: Path, bin_folder: Path) -> None:
        self._folder, self._bin, self._port = folder, bin_folder, free_port()
        self._password = secrets.token_hex(16)
        self._server: subprocess.Popen[bytes] | None = None
        password = folder / "password"
        password.write_text(self._password)
        if os.getuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
            shutil.chown(password, "postgres", "postgres")
        words = ["-U", "kerntune", f"--pwfile={password}", "--auth=scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8"]
        subprocess.run(
            [bin_folder / "initdb", "-D", folder / "data", "--no-sync", *words],
            check=True,
            capture_output=True,
            **self._as_server(),
        )

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://kerntune:{self._password}@127.0.0.1:{self._port}/postgres"

    def start(self) -> None:
        """It answers when this returns."""
        options = {"listen_addresses": "127.0.0.1", "port": self._port, "unix_socket_directories": self._folder}
        command = [self._bin / "postgres", "-D", self._folder / "data"]
        with (self._folder / "log").open("ab") as log:
            self._server = subprocess.Popen(
                [*command, *(word for name, value in options.items() for word in ("-c", f"{name}={value}"))],
                stdout=log,
                stderr=log,
                **self._as_server(),
            )
        wait_for(self._answers, 30)

    def stop_at_once(self) -> None:
        """As `pg_ctl stop -m immediate` does."""
        if self._server is not None:
            self._server.send_signal(signal.SIGQUIT)
            self._server.wait(30)

    def kill(self) -> None:
        """kill -9 of the postmaster and of every process it began."""
        assert self._server is not None
        self._server.send_signal(signal.SIGSTOP)  # it begins no more of them
        begun = children(self._server.pid)
        for pid in (self._server.pid, *begun):
            os.kill(pid, signal.SIGKILL)
        self._server.wait(30)
        wait_for(lambda: not any(map(lives, begun)), 30)

    def _answers(self) -> bool:
        import psycopg

        try:
            psycopg.connect(self.url.replace("+psycopg", ""), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def _as_server(self) -> dict[str, Any]:
        """The server refuses to run as root; root becomes the user that the package made."""
        user = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.getuid() == 0 else {}
        return {"cwd": self._folder, **user}


@contextmanager
def running_cluster() -> Iterator[Cluster]:
    """One that answers; nothing of it is left."""
    bin_folder = programs()
    assert bin_folder is not None, f"initdb is at none of {', '.join(PLACES)}, and not on PATH"
    folder = Path(tempfile.mkdtemp(prefix="kerntune-cluster-", dir="/tmp"))
    try:
        cluster = Cluster(folder, bin_folder)
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop_at_once()
    finally:
        shutil.rmtree(folder)


def children(pid: int) -> list[int]:
    """Processes a process began."""
    others = (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())
    return [other for other in others if _stat(other)[1:2] == [str(pid)]]


def lives(pid: int) -> bool:
    """Whether it runs; what was not yet buried does not."""
    return _stat(pid)[:1] not in ([], ["Z"])


def _stat(pid: int) -> list[str]:
    """State, parent and the rest of what /proc says; nothing of a process that there is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []
