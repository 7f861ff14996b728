"""The GPU of this machine, and engines that compile for it and measure on it."""

from contextlib import ExitStack, closing

import pytest
from kerntune.cache.records import Failure, Measurement, Policy
from kerntune.tuner.engine.local import LocalEngine


@pytest.fixture(scope="module")
def target():
    from kerntune.tuner.backends.gpu_target import gpu_target

    return gpu_target(0)


@pytest.fixture
def device():
    from kerntune.tuner.measure.cuda_device import CudaDevice

    return CudaDevice(0)


@pytest.fixture
def backends(target):
    """Makes the backends of one engine, by name; a module may have others."""
    from kerntune.tuner.backends.triton import TritonBackend

    return lambda: {"triton": TritonBackend(target, 4)}


@pytest.fixture
def engine_for(backends, tmp_path):
    """Engines of problems, closed afterwards."""
    from kerntune.tuner.backends.gpu_target import gpu_uuid
    from kerntune.tuner.backends.triton import gpu_child_spec

    with ExitStack() as made:

        def start(of, launch="graph"):
            lent = backends()
            for backend in lent.values():
                made.callback(backend.close)
            child = gpu_child_spec(0, gpu_uuid(0))
            return made.enter_context(
                closing(LocalEngine(of, Policy("cold", launch), lent, child, tmp_path / "cache", 4))
            )

        yield start


@pytest.fixture(scope="session")
def right():
    """Whether every candidate computes what it should and is timed; what came of the first that does not.

    One that the compiler spills is passed over, as every study does; not all of them.
    """

    def judge(engine, wanted):
        compiling = [engine.submit(candidate) for candidate in wanted]
        measured = 0
        for candidate, compiled in zip(wanted, compiling, strict=True):
            made = compiled.result()
            if isinstance(made, Failure) and made.reason.startswith("spill_bytes "):
                continue
            outcome = made if isinstance(made, Failure) else engine.measure(made, 1)
            measured += isinstance(outcome, Measurement)
            if not isinstance(outcome, Measurement):
                return f"{dict(candidate.config)}: {outcome}"
        return measured > 0 or "none of them ran"

    return judge
