"""Which GPU this is: the pure parts, and what is said where nothing is installed."""

import importlib.util
import time

import pytest
from kerntune.spaces.errors import DeviceError
from kerntune.tuner.backends import gpu_target


def test_bandwidth_counts_two_transfers_a_clock():
    """3,201 MHz on 6,016 bits, as an H200's driver says, are 4.8 TB/s."""
    assert gpu_target.bandwidth_gbs(3_201_000, 6016) == 4814


@pytest.mark.parametrize(("number", "text"), [(13000, "13.0"), (12080, "12.8"), (13010, "13.1")])
def test_the_cuda_version_is_text(number, text):
    """As the toolkit is named."""
    assert gpu_target.cuda_version_text(number) == text


def test_a_missing_package_is_named_as_pip_knows_it(monkeypatch):
    """The message can be typed after pip install."""
    monkeypatch.setattr(gpu_target, "_is_there", lambda module: module == "triton")
    assert gpu_target.missing_gpu_packages() == ["cupy-cuda13x", "cuda-bindings", "nvidia-ml-py"]
    with pytest.raises(DeviceError, match=r"cupy-cuda13x, .* not installed: pip install 'kerntune\[gpu\]'"):
        gpu_target.gpu_target(0)


def test_a_gpu_that_is_not_there_is_an_error_that_says_how_many_are(monkeypatch):
    """CUDA_VISIBLE_DEVICES is the usual reason."""
    monkeypatch.setattr(gpu_target, "missing_gpu_packages", list)
    monkeypatch.setattr(gpu_target, "gpu_count", lambda: 1)
    with pytest.raises(DeviceError, match=r"there is no cuda:1: CUDA shows 1 GPU to this process"):
        gpu_target.gpu_target(1)


def test_the_parent_of_a_dotted_module_may_be_missing():
    """cuda.bindings without cuda is absent, not an error."""
    assert not gpu_target._is_there("no_such_parent_xyz.bindings")
    assert gpu_target._is_there("json.decoder")


def test_a_reading_of_zero_is_an_error():
    """Unknown must not pass for known."""
    with pytest.raises(DeviceError, match="does not say its L2_CACHE_SIZE"):
        gpu_target._known(0, "L2_CACHE_SIZE")


def test_a_failed_driver_call_is_an_error_that_names_it():
    """With the driver's own name of the fault."""

    class Status(int):
        name = "CUDA_ERROR_INVALID_DEVICE"

    with pytest.raises(DeviceError, match="cuDeviceGet with CUDA_ERROR_INVALID_DEVICE"):
        gpu_target._ok((Status(101),), "cuDeviceGet")


@pytest.mark.triton
def test_the_version_of_triton_is_read_without_importing_it():
    """Importing it takes a second."""
    assert importlib.util.find_spec("triton") is not None
    assert gpu_target.triton_version()[0].isdigit()


@pytest.mark.gpu
def test_the_gpu_of_this_machine_is_known_in_every_field():
    """No field is empty, and no context was made."""
    target = gpu_target.gpu_target(0)
    fields = target.fields()
    assert fields["arch"].startswith("sm_")
    assert all(value for name, value in fields.items() if name not in ("mig", "nvrtc", "compiler", "flags"))


def test_waking_the_driver_returns_at_once_and_never_fails():
    """Where there is no driver nothing happens."""
    start_s = time.perf_counter()
    gpu_target.wake_driver()
    assert time.perf_counter() - start_s < 0.1
