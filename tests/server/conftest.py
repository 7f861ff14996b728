"""The application under test: over a MemoryStore, asked without a network."""

import asyncio
from contextlib import closing

import httpx
import pytest
from kerntune.cache.memory import MemoryStore
from kerntune.cache.memory_jobs import MemoryJobs
from kerntune.server.app import create_app
from kerntune.tuner.job_services import QueuedJobs
from kerntune.tuner.record_services import StoreRecordServices
from kerntune.tuner.serving import StoreServices


class Browser:
    """Asks an application as a client would; an error inside it becomes the response it sends."""

    def __init__(self, app, base_url="http://test", **headers):
        self.app, self.base_url, self.headers = app, base_url, headers

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def post(self, path, body):
        return self.request("POST", path, json=body)

    def request(self, method, path, **options):
        async def ask():
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url=self.base_url, headers=self.headers) as client:
                return await client.request(method, path, **options)

        return asyncio.run(ask())


@pytest.fixture
def store():
    return MemoryStore()


@pytest.fixture
def queue():
    return MemoryJobs()


@pytest.fixture
def job_services(queue, store):
    with closing(QueuedJobs(queue, store)) as made:
        yield made


@pytest.fixture
def browser(store, job_services):
    """Of all that there is."""
    records = StoreRecordServices(store)
    return Browser(create_app(StoreServices(store), record_services=records, job_services=job_services))


@pytest.fixture
def browse():
    """Makes a browser of services of the test's own."""

    def made(services, jobs=None, records=None):
        return Browser(create_app(services, job_services=jobs, record_services=records))

    return made


@pytest.fixture
def browse_app():
    """Makes a browser of an application of the test's own."""
    return Browser
