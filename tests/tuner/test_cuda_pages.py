"""Memory beside unmapped addresses, without a GPU: where arrays stand in it, and what the driver is asked for."""

import gc
import sys
from enum import IntEnum
from types import SimpleNamespace
from unittest.mock import MagicMock

import numpy as np
import pytest
from kerntune.templates.op import Buffer
from kerntune.tuner.measure.cuda_device import CudaDevice
from kerntune.tuner.measure.cuda_pages import Mapped, Memory, Unmappable, body_bytes, offset_in_body
from kerntune.tuner.measure.guards import BandedSet, stands_of

GRANULE = 2**21
FIRST = 2**40
BODY = 3 * GRANULE


class Result(IntEnum):
    CUDA_SUCCESS = 0
    CUDA_ERROR_OUT_OF_MEMORY = 2
    CUDA_ERROR_ILLEGAL_ADDRESS = 700


class FakeDriver:
    """Answers as a driver does and remembers what it did; it refuses `refused` that many `times`."""

    CUresult = Result

    def __init__(self, refused=None, times=10**9, status=Result.CUDA_ERROR_OUT_OF_MEMORY, supported=1):
        self.done, self._refused, self._times, self._status = [], refused, times, status
        self._values = {
            "cuDeviceGet": 0,
            "cuDeviceGetAttribute": supported,
            "cuMemGetAllocationGranularity": GRANULE,
            "cuMemAddressReserve": FIRST,
        }

    def __getattr__(self, name):
        if not name.startswith("cu"):
            return MagicMock()  # one of its types

        def call(*arguments):
            if name == self._refused and self._times:
                self._times -= 1
                return (self._status, None)
            self.done.append((name, arguments))
            value = f"handle {len(self.done)}" if name == "cuMemCreate" else self._values.get(name)
            return (Result.CUDA_SUCCESS,) if value is None else (Result.CUDA_SUCCESS, value)

        return call

    def did(self, name):
        """The arguments of each such call."""
        return [arguments for called, arguments in self.done if called == name]


@pytest.fixture
def install(monkeypatch):
    """Makes a driver that of cuda.bindings; None takes the package away."""

    def use(driver):
        monkeypatch.setitem(sys.modules, "cuda.bindings", driver and SimpleNamespace(driver=driver))
        return driver

    return use


def given_back(driver):
    """Whether all that was reserved, made and mapped is undone, each once."""
    return (
        driver.did("cuMemAddressFree") == [(FIRST, size) for size, *_ in driver.did("cuMemAddressReserve")]
        and len(driver.did("cuMemRelease")) == len(driver.did("cuMemCreate"))
        and sorted(driver.did("cuMemUnmap")) == sorted(mapped[:2] for mapped in driver.did("cuMemMap"))
    )


@pytest.mark.parametrize(("size", "granules"), [(1, 1), (2**21, 1), (2**21 + 1, 2), (4096 * 4096 * 2, 16)])
def test_a_body_is_whole_granules(size, granules):
    """Memory is mapped in no smaller pieces."""
    assert body_bytes(size, GRANULE) == granules * GRANULE


@pytest.mark.parametrize("size", [1, 2, 15, 16, 17, 777 * 333 * 2, 2**21 - 16, 2**21 - 1, 2**21, 2**21 + 6])
def test_an_array_at_the_end_of_its_body_is_aligned_and_less_than_16_bytes_from_it(size):
    """Loads of 16 bytes must stay allowed; in every other stand the array begins its body."""
    body = body_bytes(size, GRANULE)
    offset = offset_in_body("end", size, body)
    assert offset % 16 == 0
    assert 0 <= body - (offset + size) < 16
    assert offset_in_body("bands", size, body) == offset_in_body("start", size, body) == 0


@pytest.mark.parametrize("filled", [[True, True], [True, False], [False, False]])
def test_a_set_needs_no_stand_at_the_end_where_all_arrays_fill_their_bodies(filled):
    """Both their ends touch holes at the start, too."""
    assert stands_of(filled) == (("bands", "start") if all(filled) else ("bands", "start", "end"))


def test_a_body_is_mapped_alone_between_holes_and_again_between_bands(install):
    """Holes are as wide as the body; both bands are one granule's memory."""
    driver = install(FakeDriver())
    mapped = Mapped(Memory(0, MagicMock()), BODY)
    assert (mapped.alone, mapped.banded) == (FIRST + BODY, FIRST + 3 * BODY)
    body, bands = (f"handle {at + 1}" for at, (name, _) in enumerate(driver.done) if name == "cuMemCreate")
    assert [size for size, *_ in driver.did("cuMemCreate")] == [BODY, GRANULE]
    assert sorted(driver.did("cuMemMap")) == [
        (FIRST + BODY, BODY, 0, body, 0),
        (FIRST + 3 * BODY, GRANULE, 0, bands, 0),
        (FIRST + 3 * BODY + GRANULE, BODY, 0, body, 0),
        (FIRST + 4 * BODY + GRANULE, GRANULE, 0, bands, 0),
    ]
    assert [arguments[:2] for arguments in driver.did("cuMemSetAccess")] == [a[:2] for a in driver.did("cuMemMap")]
    assert driver.did("cuMemAddressReserve")[0][0] == 4 * BODY + 2 * GRANULE


def test_memory_is_given_back_in_order_when_nobody_refers_to_it(install):
    """Nothing is unmapped under a running kernel, released while mapped, or freed while in use."""
    driver = install(FakeDriver())
    mapped = Mapped(Memory(0, MagicMock()), BODY)
    before = len(driver.done)
    del mapped
    gc.collect()
    assert [name for name, _ in driver.done[before:]] == [
        "cuCtxSynchronize",
        *["cuMemUnmap"] * 4,
        *["cuMemRelease"] * 2,
        "cuMemAddressFree",
    ]
    assert given_back(driver)


@pytest.mark.parametrize("refused", ["cuCtxSynchronize", "cuMemUnmap", "cuMemRelease", "cuMemAddressFree"])
def test_a_driver_that_refuses_to_take_memory_back_is_no_error(install, refused):
    """After a fault it refuses every call."""
    driver = install(FakeDriver())
    mapped = Mapped(Memory(0, MagicMock()), BODY)
    driver._refused, driver._status = refused, Result.CUDA_ERROR_ILLEGAL_ADDRESS
    del mapped  # pytest makes an exception in a finalizer an error
    gc.collect()


@pytest.mark.parametrize("refused", ["cuMemAddressReserve", "cuMemCreate", "cuMemMap", "cuMemSetAccess"])
def test_what_was_had_before_a_refusal_is_given_back(install, refused):
    """The set between bands alone, which is taken instead, may need it."""
    driver = install(FakeDriver(refused))
    with pytest.raises(Unmappable, match="CUDA_ERROR_OUT_OF_MEMORY"):
        Mapped(Memory(0, MagicMock()), BODY)
    assert given_back(driver)


def test_memory_that_is_kept_for_arrays_to_come_makes_room(install):
    """The allocator of CuPy keeps what was freed, and the driver does not know."""
    install(FakeDriver("cuMemCreate", times=1))
    free_pool = MagicMock()
    Mapped(Memory(0, free_pool), BODY)
    free_pool.assert_called_once_with()


@pytest.mark.parametrize("driver", [None, FakeDriver(supported=0), FakeDriver("cuMemCreate")])
def test_where_nothing_can_be_left_unmapped_bands_must_do(install, driver):
    """cuda-bindings is missing, the device lacks it, or there is not enough memory."""
    install(driver)
    device = object.__new__(CudaDevice)
    device.xp, device._index = SimpleNamespace(empty=np.empty, get_default_memory_pool=MagicMock()), 0
    guarded = device.guarded([Buffer("a", (33, 17), "fp32", "input")])
    assert isinstance(guarded, BandedSet)
