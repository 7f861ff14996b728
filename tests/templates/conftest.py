"""What the tests of templates share: compile processes, as many as they are to have processors."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from kerntune.tuner.backends.cuda import CudaBackend
from kerntune.tuner.backends.triton import TritonBackend

WORKERS = 2


@pytest.fixture(scope="module")
def compiled():
    """A function that compiles (candidate, target) pairs into a folder: what its backend says of each, in order."""
    backends = {}

    def one(candidate, target, folder):
        return backends[candidate.backend, target.device.arch].compile(candidate, folder)

    def all_of(pairs, folder):
        kinds = {"cuda": CudaBackend, "triton": TritonBackend}
        for candidate, target in pairs:
            key = candidate.backend, target.device.arch
            if key not in backends:
                backends[key] = kinds[candidate.backend](target, WORKERS)
        with ThreadPoolExecutor(WORKERS) as pool:
            return list(pool.map(lambda pair: one(*pair, folder), pairs))

    yield all_of
    for backend in backends.values():
        backend.close()
