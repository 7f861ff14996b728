"""A server that has come."""

from __future__ import annotations

import pytest
from worker_server import working_server


@pytest.fixture
def server():
    with working_server() as server:
        yield server
