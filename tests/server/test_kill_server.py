"""kill -9 of a server in the midst of uploads: what it acknowledged is kept."""

import re
import subprocess
import sys
import threading
from contextlib import closing, contextmanager

import pytest
from asking import a_gemm_record
from kerntune.cache.paging import every_record
from kerntune.cache.remote_store import RemoteStore
from kerntune.cache.sql import SqlStore
from kerntune.spaces.errors import NetworkError

UPLOADERS = 4
ACKNOWLEDGED_BEFORE = 60
"""Records, by when the server is killed."""


@contextmanager
def started(url):
    """A server of the database, and its address; it is killed when the block ends."""
    command = [sys.executable, "-m", "kerntune.tuner.cli", "serve", "--port", "0", "--db", url]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        try:
            yield server, re.search(r"http://\S+", server.stderr.readline())[0]
        finally:
            server.kill()


class Uploader(threading.Thread):
    """Uploads three records at a time, until the server is gone."""

    def __init__(self, address, number, enough):
        super().__init__()
        self._store = RemoteStore(address, timeout_s=10)
        self._number = number
        self._enough = enough
        self.kept = []
        self.unsure = []  # asked for when the server went away

    def run(self):
        for turn in range(10_000):
            batch = [a_gemm_record(config={"W": self._number, "N": 3 * turn + place}) for place in range(3)]
            try:
                self._store.add_many(batch)
            except NetworkError:
                self.unsure = batch
                return
            finally:
                if 3 * turn > ACKNOWLEDGED_BEFORE:
                    self._enough.set()
            self.kept += batch


@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_every_acknowledged_record_survives_the_kill_of_the_server(database, request, tmp_path):
    """What was not acknowledged is kept once or not at all, and comes again without becoming two."""
    url = f"sqlite:///{tmp_path}/k.db" if database == "sqlite" else request.getfixturevalue("postgres_url")
    with started(url) as (server, address):
        enough = threading.Event()
        uploaders = [Uploader(address, number, enough) for number in range(UPLOADERS)]
        for uploader in uploaders:
            uploader.start()
        assert enough.wait(60)
        server.kill()
        for uploader in uploaders:
            uploader.join(30)
    acknowledged = [record for uploader in uploaders for record in uploader.kept]
    unsure = [record for uploader in uploaders for record in uploader.unsure]
    assert len(acknowledged) >= ACKNOWLEDGED_BEFORE
    assert len(unsure) == 3 * UPLOADERS

    with started(url) as (_, address):
        RemoteStore(address).add_many(unsure)
    with closing(SqlStore.open(url)) as store:
        kept = list(every_record(lambda cursor: store.page(cursor=cursor)))
    assert len(kept) == len(set(kept))
    assert set(kept) == {*acknowledged, *unsure}
