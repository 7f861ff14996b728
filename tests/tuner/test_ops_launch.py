"""A tuned kernel on a GPU, launched by ops: the driver is a fake, the calls are real."""

import threading
import timeit
from dataclasses import replace

import pytest
from fake_cuda import CONTEXT, FakeCuda, pretend_library
from kerntune.spaces.errors import DeviceError
from kerntune.tuner.ops.cuda_kernel import CudaKernel

pytestmark = [pytest.mark.compiler, pytest.mark.torch]

SIZES = {"a": 8192, "b": 8192, "c": 8192}
ADDRESSES = (0x7F1000000000, 0x7F2000000000, 0x7F3000000000)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return FakeCuda(tmp_path_factory.mktemp("fake_cuda"))


@pytest.fixture
def cuda(built):
    """Nothing asked for yet; this thread uses device 0. A kernel has three or four pointers."""
    built.library.fake_reset(3)
    built.library.fake_enter(CONTEXT)
    return built


@pytest.fixture
def library():
    return pretend_library()


def kernel(cuda, artifact=None, index=0):
    return CudaKernel(cuda.driver, artifact or cuda.artifact("a", "b", "c"), index, SIZES)


def with_workspace(cuda):
    """Two kernels that share an array, as split-K has them."""
    cuda.library.fake_reset(4)
    first = cuda.artifact("a", "b", "c", "parts")
    return kernel(cuda, replace(cuda.artifact("a", "b", "c", "parts", workspace={"parts": 4096}), before=(first,)))


def test_a_launch_has_the_artifacts_geometry_the_arrays_and_the_callers_stream(cuda, library):
    """Each argument as wide as cuda.h has it, or the fake would have read others."""
    kernel(cuda).launch(ADDRESSES, 0x123456789ABC, library)
    (launched,) = cuda.launches
    assert (tuple(launched.grid), tuple(launched.block), launched.shared) == ((4, 2, 1), (128, 1, 1), 60000)
    assert tuple(launched.parameters)[:3] == ADDRESSES
    assert launched.stream == 0x123456789ABC
    assert launched.context == CONTEXT


def test_a_cubin_the_driver_refuses_is_a_device_error(cuda, tmp_path):
    """With the driver's word for it."""
    (tmp_path / "other.cubin").write_bytes(b"not one")
    with pytest.raises(DeviceError, match="cuModuleLoadData with CUDA_ERROR_NO_BINARY_FOR_GPU"):
        kernel(cuda, cuda.artifact("a", "b", "c", path=tmp_path / "other.cubin"))


def test_a_launch_that_fails_is_a_device_error(cuda, library):
    """And says how to find out whose fault it was."""
    ready = kernel(cuda)
    cuda.library.fake_fail(700)
    with pytest.raises(DeviceError, match=r"a launch with CUDA_ERROR_FAKED.*KERNTUNE_DISABLE=1"):
        ready.launch(ADDRESSES, 1, library)


@pytest.mark.parametrize("here", [None, CONTEXT + 1])
def test_a_kernel_runs_in_its_own_devices_context_and_leaves_the_threads(cuda, library, here):
    """A thread that never called CUDA has none; one that works on another GPU keeps that."""
    ready = kernel(cuda)
    cuda.library.fake_enter(here)
    ready.launch(ADDRESSES, 1, library)
    assert cuda.launches[0].context == CONTEXT
    assert cuda.library.fake_current() == here


def test_two_devices_load_a_kernel_each(cuda, library):
    """A function belongs to a context."""
    for index in (0, 1):
        kernel(cuda, index=index).launch(ADDRESSES, 1, library)
    assert [launched.context for launched in cuda.launches] == [CONTEXT, CONTEXT + 1]


def test_a_workspace_is_zeroed_once_for_each_stream_and_never_shared(cuda, library):
    """Two streams may run at once; in one stream the kernels leave it as they need it."""
    ready = with_workspace(cuda)
    for stream in (0, 0x2000, 0, 0x3000, 0x2000):
        ready.launch(ADDRESSES, stream, library)
    used = [launched.parameters[3] for launched in cuda.launches]
    assert used[0::2] == used[1::2]  # what runs before has the same
    of_call = used[0::2]
    assert of_call[0] == of_call[2]
    assert of_call[1] == of_call[4]
    assert sorted(cuda.zeroed) == sorted(set(of_call))
    assert len(cuda.zeroed) == 3


def test_what_is_captured_has_a_workspace_of_its_own(cuda, library):
    """A graph may be replayed while the stream it was captured on works; two captures are two graphs."""
    ready = with_workspace(cuda)
    used = []
    for capture in (0, 11, 11, 12, 0):
        cuda.library.fake_capture(capture)
        ready.launch(ADDRESSES, 0x2000, library)
        used.append(cuda.launches[-1].parameters[3])
    assert used[0] == used[4]
    assert used[1] == used[2]
    assert len(set(used)) == 3
    assert [captured for _, captured in library.made] == [False, True, True]


def test_threads_in_one_stream_do_not_mix_kernels_that_share_a_workspace(cuda, library):
    """What runs before and what follows stay together."""
    ready = with_workspace(cuda)
    calls = [tuple(address + 256 * thread for address in ADDRESSES) for thread in range(4)]

    def work(addresses):
        cuda.library.fake_enter(CONTEXT)
        for _ in range(100):
            ready.launch(addresses, 0x2000, library)

    threads = [threading.Thread(target=work, args=(addresses,)) for addresses in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    launched = [each.parameters[0] for each in cuda.launches]
    assert len(launched) == 800
    assert launched[0::2] == launched[1::2]


def test_what_is_remembered_of_addresses_has_a_bound(cuda, library, monkeypatch):
    """A program may come with new ones for ever."""
    monkeypatch.setattr("kerntune.tuner.ops.cuda_kernel.FRAMES_KEPT", 8)
    ready = kernel(cuda)
    for step in range(50):
        ready.launch(tuple(address + 256 * step for address in ADDRESSES), 1, library)
    assert len(ready._frames) == 8
    assert cuda.launches[-1].parameters[2] == ADDRESSES[2] + 256 * 49


def test_a_launch_on_known_addresses_takes_microseconds(cuda, library):
    """2 µs on a Zen 5 (2026-11-23, best of 5, the fake driver's call included); ten times that where it is busy."""
    ready = kernel(cuda)
    taken_s = min(timeit.repeat(lambda: ready.launch(ADDRESSES, 1, library), number=2000, repeat=5)) / 2000
    assert taken_s < 20e-6
