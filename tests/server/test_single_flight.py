"""A thousand clients miss one key at the same time: one job, one id, and all are told what is known meanwhile."""

import asyncio
from contextlib import ExitStack, closing

import httpx
import pytest
from asking import PATH, a_gemm_record
from builders import a_target
from kerntune.cache.database import Database
from kerntune.cache.sql import SqlStore
from kerntune.cache.sql_jobs import SqlJobs
from kerntune.server.app import create_app
from kerntune.tuner.job_services import QueuedJobs
from kerntune.tuner.serving import StoreServices

CLIENTS = 1000
PLACE = {"shape": "64x128x512", "target": a_target().digest}


def a_server(url, opened):
    """One of several server processes over one database, as far as the database can tell."""
    database = opened.enter_context(closing(Database.open(url)))
    store = SqlStore(database)
    jobs = opened.enter_context(closing(QueuedJobs(SqlJobs(database), store)))
    return create_app(StoreServices(store, database.state), job_services=jobs), jobs, store


async def asked_at_once(apps):
    """What each client is told: of its lookup, then of its job."""

    async def ask(number):
        transport = httpx.ASGITransport(apps[number % len(apps)])
        async with httpx.AsyncClient(transport=transport, base_url="http://test", timeout=120) as client:
            missed = await client.get(PATH, params=PLACE)
            return missed, await client.post("/v1/jobs", json={"op": "gemm", **PLACE, "trials": 1 + number})

    return await asyncio.gather(*map(ask, range(CLIENTS)))


def clients_get_one_job(url):
    """Over two servers; demand is counted whole, and the job runs once."""
    with ExitStack() as opened:
        servers = [a_server(url, opened) for _ in range(2)]
        (_, jobs, store), apps = servers[0], [app for app, *_ in servers]
        store.add(a_gemm_record())
        answers = asyncio.run(asked_at_once(apps))
        assert {missed.status_code for missed, _ in answers} == {404}
        assert {submitted.status_code for _, submitted in answers} == {202}
        bodies = [submitted.json() for _, submitted in answers]
        assert {body["job"]["id"] for body in bodies} == {bodies[0]["job"]["id"]}
        assert sum(body["is_new"] for body in bodies) == 1
        for _, counting, _ in servers:
            counting.close()
        (demand,) = jobs.top_misses(10)
        assert demand.count == CLIENTS
        (job,) = jobs.page(None, None, 10)
        assert (job.state, demand.key_digest) == ("queued", job.key_digest)
        assert job.priority >= 9  # a step for each doubling
        assert jobs.claim("w", a_target(), ["triton"], 30.0).job.id == job.id
        assert jobs.claim("w", a_target(), ["triton"], 30.0) is None


@pytest.mark.slow
def test_a_thousand_clients_that_miss_one_key_get_one_job(tmp_path):
    """On SQLite."""
    clients_get_one_job(f"sqlite:///{tmp_path}/k.db")


@pytest.mark.slow
@pytest.mark.postgres
def test_a_thousand_clients_that_miss_one_key_get_one_job_on_postgresql(postgres_url):
    """As on SQLite."""
    clients_get_one_job(postgres_url)
