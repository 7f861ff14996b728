"""Kernels that are handed TMA descriptors, Triton's and CUDA's, checked and timed as every study does it."""

from dataclasses import replace

import pytest
from kerntune.cache.records import Failure, Measurement
from kerntune.templates.catalogue import op_named
from kerntune.templates.tensor_map import TensorMap
from kerntune.tuner.measure.device import LaunchError
from kerntune.tuner.measure.tensor_maps import encode
from tma_kernels import copied_product, cuda_product, triton_product

pytestmark = [pytest.mark.gpu, pytest.mark.triton, pytest.mark.nvrtc]

LIMITS = {
    "most of each": {"shape": (2**32, 2**32), "strides_bytes": (2**40 - 16,), "box": (256, 32)},
    "least of each": {"shape": (1, 1), "strides_bytes": (16,), "box": (1, 4)},
    "rank 1": {"shape": (5,), "strides_bytes": (), "box": (256,), "swizzle": "none"},
    "rank 5": {"shape": (2, 2, 2, 2, 8), "strides_bytes": (256, 128, 64, 32), "box": (1, 1, 1, 1, 8)},
    "NaN": {"fill": "nan", "l2_promotion": "256B"},
}
BREACHES = {
    "rank": {"shape": (1,) * 6, "strides_bytes": (16,) * 5, "box": (4,) * 6},
    "no elements": {"shape": (0, 64)},
    "a large dim": {"shape": (2**32 + 1, 64)},
    "stride": {"strides_bytes": (264,)},
    "a large stride": {"strides_bytes": (2**40,)},
    "a large box": {"box": (257, 32)},
    "an empty box": {"box": (0, 32)},
    "rows of the box": {"box": (8, 7)},
    "swizzle": {"box": (8, 64)},
    "NaN of integers": {"dtype": "int8", "fill": "nan"},
}


def problem(m, n, k, dtype):
    return op_named("gemm").problem("gpu", m=m, n=n, k=k, dtype=dtype)


@pytest.fixture
def backends(target):
    """Both kinds in one engine."""
    from kerntune.tuner.backends.cuda import CudaBackend
    from kerntune.tuner.backends.triton import TritonBackend

    return lambda: {"triton": TritonBackend(target, 2), "cuda": CudaBackend(target, 1)}


@pytest.fixture
def a_map():
    """A tensor in memory of the current device, with its address."""
    import cupy

    array = cupy.empty(1024, "f4")
    return TensorMap.row_major("a", "fp32", (64, 64), (32, 32), swizzle="128B"), array.data.ptr, array


@pytest.mark.parametrize("launch", ["graph", "eager"])
def test_a_triton_product_of_descriptors_is_right_on_ragged_sizes(engine_for, launch):
    """Loads fill what is outside with zeros, stores leave it alone."""
    engine = engine_for(problem(131, 200, 328, "bf16"), launch)
    outcome = engine.measure(engine.submit(triton_product(131, 200, 328)).result(), 1)
    assert isinstance(outcome, Measurement), outcome


def test_a_descriptor_of_a_workspace_makes_any_size_right(engine_for):
    """Rows of 203 elements are no multiple of 16 bytes apart; their copies are."""
    engine = engine_for(problem(131, 200, 203, "bf16"))
    outcome = engine.measure(engine.submit(copied_product(131, 200, 203)).result(), 1)
    assert isinstance(outcome, Measurement), outcome


@pytest.mark.parametrize("launch", ["graph", "eager"])
def test_a_cuda_product_of_descriptors_is_right_on_ragged_sizes(engine_for, launch):
    """Loaded and stored by TMA, behind an mbarrier."""
    engine = engine_for(problem(40, 72, 136, "fp32"), launch)
    outcome = engine.measure(engine.submit(cuda_product(40, 72, 136)).result(), 1)
    assert isinstance(outcome, Measurement), outcome


def test_what_is_outside_is_filled_as_the_map_says(engine_for):
    """NaN times zero shows in every sum that reaches past K."""
    engine = engine_for(problem(131, 200, 328, "bf16"))
    nan = TensorMap.row_major("a", "bf16", (131, 328), fill="nan")
    outcome = engine.measure(engine.submit(triton_product(131, 200, 328, nan)).result(), 1)
    assert isinstance(outcome, Failure)
    assert outcome.reason.startswith("26,200 of 26,200 elements are NaN or infinite")


def test_a_wrong_box_is_a_launch_failure_and_the_next_kernel_runs(engine_for):
    """With the rule it breaks."""
    engine = engine_for(problem(40, 72, 136, "fp32"))
    outcome = engine.measure(engine.submit(cuda_product(40, 72, 136, a_box=(16, 300))).result(), 1)
    assert outcome == Failure("launch", "the tensor map of a cannot be: a box of [16, 300]: each dim is 1 to 256")
    assert isinstance(engine.measure(engine.submit(cuda_product(40, 72, 136)).result(), 1), Measurement)


@pytest.mark.parametrize("name", LIMITS)
def test_the_driver_takes_what_we_do_not_refuse(a_map, name):
    """At the limit of each rule."""
    tensor, address, _ = a_map
    allowed = replace(tensor, **LIMITS[name])
    assert allowed.refusal is None
    assert encode(allowed, address).tobytes().strip(b"\0")


@pytest.mark.parametrize("name", BREACHES)
def test_the_driver_refuses_what_we_refuse(a_map, name):
    """No rule of ours is made up."""
    tensor, address, _ = a_map
    broken = replace(tensor, **BREACHES[name])
    assert broken.refusal
    with pytest.raises(LaunchError, match=r"the driver refuses the tensor map of a: CUDA_ERROR_\w+ \("):
        encode(broken, address)


def test_the_driver_refuses_an_address_that_is_not_aligned(a_map):
    """To 16 bytes."""
    tensor, address, _ = a_map
    with pytest.raises(LaunchError, match="CUDA_ERROR_INVALID_VALUE"):
        encode(tensor, address + 8)
