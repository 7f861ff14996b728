"""Host memory of a measuring child: a kernel that allocates without end must cost one config, not the machine."""

from __future__ import annotations

import resource
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

LIMIT = 0.9
"""Share of the memory left that a child may have in all: beyond it malloc answers NULL."""

KERNEL_LIMIT = 0.5
"""Share of the memory left that one call of a kernel may take for itself."""

POLL_S = 0.02
"""A kernel that touches what it allocates takes some 0.1 GB in this time."""

_CGROUP = Path("/sys/fs/cgroup")


def data_bytes() -> int:
    """Private writable memory of this process, touched or not: what RLIMIT_DATA counts (proc(5), getrlimit(2))."""
    return int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()


def left_bytes() -> int:
    """What this process can still take: of the machine's memory, of its control group's, of its own limit."""
    facts = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    left = [int(facts["MemAvailable"].split()[0]) * 1024]
    try:
        most = (_CGROUP / "memory.max").read_text().strip()
        used = int((_CGROUP / "memory.current").read_text())
        files = dict(line.split() for line in (_CGROUP / "memory.stat").read_text().splitlines())["file"]
    except (OSError, KeyError):
        most = "max"
    if most != "max":
        left.append(int(most) - used + int(files))  # cached files make room
    limit, _ = resource.getrlimit(resource.RLIMIT_DATA)
    if limit != resource.RLIM_INFINITY:
        left.append(limit - data_bytes())
    return max(0, min(left))


def limit_memory() -> None:
    """Let this process grow by most of the memory left, and no further. RLIMIT_AS would count mere reservations."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (data_bytes() + int(LIMIT * left_bytes()), hard))


@contextmanager
def memory_watch(give_up: Callable[[str], None]) -> Iterator[None]:
    """Call `give_up` with the reason, from a thread, once this process takes more than half of the memory left."""
    share = int(KERNEL_LIMIT * left_bytes())
    most = data_bytes() + share
    done = threading.Event()

    def watch() -> None:
        while not done.wait(POLL_S):
            if data_bytes() > most:
                give_up(f"out of memory: it took more than {share / 2**30:.1f} GiB, half of what was left")
                return

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
