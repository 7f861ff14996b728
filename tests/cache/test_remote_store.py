"""RemoteStore keeps the port's laws over HTTP, and tells plainly what a server does not give."""

import pytest
from contracts.store_contract import StoreContract
from kerntune.cache.memory import MemoryStore
from kerntune.cache.remote_store import RemoteStore
from record_server import NoChecks, app_of, served


class TestRemoteStore(StoreContract):
    @pytest.fixture
    def store(self):
        with served(app_of(MemoryStore(), NoChecks())) as url:
            yield RemoteStore(url)
