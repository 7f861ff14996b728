"""/healthz and /readyz: who asks decides what a failing store means."""

import asyncio

from kerntune.cache.memory import MemoryStore
from kerntune.server.app import create_app
from kerntune.spaces.errors import StoreError
from kerntune.tuner.serving import StoreServices


class LostStore(MemoryStore):
    def candidates(self, op, problem_digest=None):
        raise StoreError("the database is gone: look for it.")


def test_a_server_that_lives_says_so_even_without_its_store(browse):
    """Restarting the process would not bring the store back."""
    assert browse(StoreServices(LostStore())).get("/healthz").json() == {"status": "ok"}


def test_a_server_with_its_store_is_ready(browser):
    """Lookups can be sent here."""
    assert browser.get("/readyz").json() == {"status": "ready"}


def test_a_server_without_its_store_is_not_ready(browse):
    """Lookups are better sent elsewhere; the body says why."""
    response = browse(StoreServices(LostStore())).get("/readyz")
    assert (response.status_code, response.headers["content-type"]) == (503, "application/problem+json")
    assert response.json()["detail"] == "the database is gone: look for it."


def test_the_store_is_closed_when_the_server_stops(store):
    """The application owns what it is handed."""
    closed = []
    store.close = lambda: closed.append(True)

    async def start_and_stop():
        app = create_app(StoreServices(store))
        async with app.router.lifespan_context(app):
            assert not closed

    asyncio.run(start_and_stop())
    assert closed == [True]
