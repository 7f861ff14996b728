"""Processes that write to one store, for tests of what they lose."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from builders import a_key
from kerntune.cache.sql import SqlStore

TESTS = Path(__file__).parent

WRITER = """
import sys
from builders import a_record
from kerntune.cache.sql import SqlStore
url, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
store = SqlStore.open(url)
for number in range(count):
    store.add(a_record(config={"writer": name, "number": number}, us=1.0 + number))
    print(number, flush=True)  # acknowledged
"""
"""A process that waits for a line, opens the store, adds `count` records and says each number that is stored."""


def writer(url, name, count, program=WRITER):
    """A started WRITER; its environment finds builders.py."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS), *filter(None, sys.path)])}
    return subprocess.Popen(
        [sys.executable, "-c", program, url, name, str(count)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def go(*processes):
    """Let writers go all at once, as soon as each is ready."""
    for process in processes:
        assert process.stdout.readline() == "ready\n", process.stderr.read()
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()


def kept(url):
    """(writer, number) of every record a fresh store finds."""
    with closing(SqlStore.open(url)) as store:
        return {(record.config["writer"], record.config["number"]) for record in store.records(a_key())}


def four_processes_lose_nothing(url, each):
    writers = [writer(url, f"w{number}", each) for number in range(4)]
    go(*writers)
    for process in writers:
        _, complaint = process.communicate(timeout=120)
        assert (process.returncode, complaint) == (0, "")
    assert len(kept(url)) == 4 * each
