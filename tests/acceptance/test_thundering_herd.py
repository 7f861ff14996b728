"""1,000 clients miss one key at the same time, over real connections to two server processes: one job."""

import asyncio
import json
import logging
import time
from collections import Counter
from contextlib import contextmanager

import pytest
from asking import a_gemm_record
from builders import a_target
from kerntune.cache.http_client import HttpClient
from kerntune.cache.wire_records import record_to_json
from processes import free_port, tune_serve, wait_for

CLIENTS = 1000
PLACE = {"shape": "64x128x512", "target": a_target().digest}
MISS = f"GET /v1/configs/gemm?shape={PLACE['shape']}&target={PLACE['target']} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"

log = logging.getLogger(__name__)


@contextmanager
def two_servers(url, folder):
    """Two processes of `tune serve` over one database, and their ports."""
    servers = {free_port(): None for _ in range(2)}
    for number, port in enumerate(servers):
        servers[port] = tune_serve(f"server{number}", url, port, folder)
    try:
        for port, server in servers.items():
            server.start()
            client = HttpClient(f"http://127.0.0.1:{port}", None, 10.0, 2**20)
            wait_for(lambda asked=client: asked.get("/readyz").status == 200)
        yield list(servers)
    finally:
        for server in servers.values():
            server.kill()


class Client:
    """One socket, kept open: first a lookup, then a job."""

    def __init__(self, number, reader, writer):
        self._number, self._reader, self._writer = number, reader, writer

    async def misses(self):
        """Status of the lookup."""
        return (await self._said(MISS.encode()))[0]

    async def submits(self):
        """Status and body; of each client other trials, which make no other key."""
        body = json.dumps({"op": "gemm", **PLACE, "trials": 1 + self._number}).encode()
        head = "POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json"
        return await self._said(f"{head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)

    def leaves(self):
        self._writer.close()

    async def _said(self, request):
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines if line)
        body = await self._reader.readexactly(int(headers["content-length"]))
        return int(status.split()[1]), json.loads(body)


async def thousand_at_once(ports):
    """What each client is told, once all are connected: of its lookup, then of its job."""
    places = [ports[number % len(ports)] for number in range(CLIENTS)]
    streams = await asyncio.gather(*(asyncio.open_connection("127.0.0.1", port) for port in places))
    clients = [Client(number, *stream) for number, stream in enumerate(streams)]
    try:
        begun_s = time.monotonic()
        missed = await asyncio.gather(*(client.misses() for client in clients))
        missed_s = time.monotonic()
        submitted = await asyncio.gather(*(client.submits() for client in clients))
        log.info("missed in %.1f s, submitted in %.1f s", missed_s - begun_s, time.monotonic() - missed_s)
    finally:
        for client in clients:
            client.leaves()
    return missed, submitted


def a_thousand_clients_get_one_job(url, folder):
    """One id for all, new to one of them; each miss is counted, and one worker gets the job."""
    with two_servers(url, folder) as ports:
        one, other = (HttpClient(f"http://127.0.0.1:{port}", None, 30.0, 2**20) for port in ports)
        assert one.post("/v1/records", {"records": [record_to_json(a_gemm_record())]}).data["refused"] == []
        missed, submitted = asyncio.run(thousand_at_once(ports))
        assert Counter(missed) == {404: CLIENTS}, submitted[:2]
        assert Counter(status for status, _ in submitted) == {202: CLIENTS}
        assert len({body["job"]["id"] for _, body in submitted}) == 1
        assert Counter(body["is_new"] for _, body in submitted) == {True: 1, False: CLIENTS - 1}
        (job,) = other.get("/v1/jobs").data["jobs"]
        wait_for(lambda: [demand["count"] for demand in one.get("/v1/misses").data["misses"]] == [CLIENTS])
        claim = {"worker": "w", "target": a_target().as_dict(), "backends": ["triton"], "lease_s": 30.0}
        claimed = [client.post("/v1/jobs/claim", claim) for client in (one, other)]
    assert [said.status for said in claimed] == [200, 204]
    assert claimed[0].data["job"]["id"] == job["id"] == submitted[0][1]["job"]["id"]


@pytest.mark.slow
def test_a_thousand_clients_over_http_get_one_job(tmp_path):
    """On SQLite."""
    a_thousand_clients_get_one_job(f"sqlite:///{tmp_path}/server.db", tmp_path)


@pytest.mark.slow
@pytest.mark.postgres
def test_a_thousand_clients_over_http_get_one_job_on_postgresql(tmp_path, postgres_url):
    """As on SQLite."""
    a_thousand_clients_get_one_job(postgres_url, tmp_path)
