"""The application under test: over a MemoryStore, asked without a network."""

import asyncio

import httpx
import pytest
from kerntune.cache.memory import MemoryStore
from kerntune.server.app import create_app
from kerntune.tuner.serving import StoreServices


class Browser:
    """Asks an application as a client would; an error inside it becomes the response it sends."""

    def __init__(self, app, base_url="http://test", **headers):
        self.app, self.base_url, self.headers = app, base_url, headers

    def get(self, path, **options):
        return self.request("GET", path, **options)

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
def browser(store):
    return Browser(create_app(StoreServices(store)))


@pytest.fixture
def browse():
    """Makes a browser of services of the test's own."""
    return lambda services: Browser(create_app(services))


@pytest.fixture
def browse_app():
    """Makes a browser of an application of the test's own."""
    return Browser
