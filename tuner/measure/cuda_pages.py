"""Arrays of an NVIDIA GPU beside addresses where nothing is mapped, so that a kernel that leaves them faults.

Each array has whole granules (2 MiB) of its own, its body, mapped twice: between bands, and alone between holes. Where
it fills them, both its ends touch holes in one run; else it stands at their start in one run and at their end in
another. There it starts at a multiple of 16 bytes and no more, which is what 16-byte loads and TMA need and what a
slice of the user's may be. In the up to 15 bytes that follow it there, a read whose value is thrown away does not show.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from ...templates.op import Array, Buffer
from .device import Faulted
from .guards import MAX_BAND_BYTES, Bands, Stand, StandingSet, band_bytes

ALIGNED_BYTES = 16
"""The widest load of one thread, and what TMA takes for an address. Source: CUDA C++ Programming Guide."""

_LAST_WORDS = {
    "start": "its arrays stood right after unmapped memory: it reads or writes before the start of an array?",
    "end": "its arrays stood right before unmapped memory: it reads or writes past the end of an array, "
    f"or takes it to be aligned to more than {ALIGNED_BYTES} bytes?",
    "both": "its arrays stood between unmapped memory: it reads or writes outside an array?",
}


class Unmappable(Exception):
    """No such memory can be had: the package or the device lacks what it takes, or there is not enough."""


def body_bytes(size: int, granule: int) -> int:
    """The whole granules that hold an array of `size` bytes."""
    return -(-size // granule) * granule


def offset_in_body(stand: Stand, size: int, body: int) -> int:
    """Bytes from the body's start to the array's."""
    return (body - size) // ALIGNED_BYTES * ALIGNED_BYTES if stand == "end" else 0


class MappedSet(StandingSet):
    """See GuardedSet: in every stand but "bands" the arrays touch holes. Nothing need be shut."""

    def __init__(self, cupy: Any, index: int, buffers: Sequence[Buffer], dtypes: Sequence[Any]) -> None:
        """On the GPU that CUDA counts as `index`. Raises: Unmappable."""
        memory = Memory(index, cupy.get_default_memory_pool().free_all_blocks)
        pages = [
            _Pages(cupy, memory, buffer, np.dtype(dtype), place)
            for place, (buffer, dtype) in enumerate(zip(buffers, dtypes, strict=True))
        ]
        super().__init__(pages, _LAST_WORDS)

    @contextmanager
    def shut(self) -> Iterator[None]:
        """Raises: Faulted, which also says where the arrays stood."""
        try:
            yield
        except Faulted as fault:
            words = self._words.get(self._stand)
            raise Faulted(f"{fault}; {words}" if words else str(fault)) from None


class _Pages:
    """One array, in one of the two mappings of its body."""

    def __init__(self, cupy: Any, memory: Memory, buffer: Buffer, dtype: Any, place: int) -> None:
        self.name = buffer.name
        self._xp, self._buffer, self._dtype, self._place = cupy, buffer, dtype, place
        self._granule, self._body = memory.granule, body_bytes(buffer.bytes, memory.granule)
        self.filled = offset_in_body("end", buffer.bytes, self._body) == 0
        mapped = Mapped(memory, self._body)

        def view(address: int, size: int) -> Array:
            unowned = cupy.cuda.UnownedMemory(address, size, mapped, memory.index)
            return cupy.ndarray(size, np.uint8, cupy.cuda.MemoryPointer(unowned, 0))

        self._alone, self._banded = view(mapped.alone, self._body), view(mapped.banded, self._body + 2 * self._granule)
        self._offset = 0
        self.place("bands")

    def place(self, stand: Stand) -> None:
        size, band = self._buffer.bytes, band_bytes(self._buffer)
        offset = offset_in_body(stand, size, self._body)
        moved = None if offset == self._offset else self.array.copy()  # where it stood and will stand may overlap
        memory, at = (self._banded, self._granule) if stand == "bands" else (self._alone, offset)
        self.array: Array = memory[at : at + size].view(self._dtype).reshape(self._buffer.shape)
        if moved is not None:
            self.array[...] = moved
        self._offset = offset
        before, after = memory[max(0, at - band) : at], memory[at + size : at + size + band]
        self.bands = Bands(self._xp, self.name, self._place, self._dtype, before, after)
        self.bands.fill()


class Memory:
    """The physical memory of one GPU and the driver that maps it. Raises: Unmappable."""

    def __init__(self, index: int, free_pool: Any) -> None:
        """`free_pool` gives back what is kept for arrays to come, where memory is short."""
        try:
            from cuda.bindings import driver
        except ImportError:
            raise Unmappable("cuda-bindings is not installed") from None
        self.driver: Any = driver
        self.index, self._free_pool = index, free_pool
        supported = driver.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED
        if not _ok(driver.cuDeviceGetAttribute(supported, _ok(driver.cuDeviceGet(index)))):
            raise Unmappable(f"cuda:{index} has no virtual memory management")
        self._kind, self.access = driver.CUmemAllocationProp(), driver.CUmemAccessDesc()
        self._kind.type = driver.CUmemAllocationType.CU_MEM_ALLOCATION_TYPE_PINNED
        self.access.flags = driver.CUmemAccess_flags.CU_MEM_ACCESS_FLAGS_PROT_READWRITE
        for located in (self._kind, self.access):
            located.location.type = driver.CUmemLocationType.CU_MEM_LOCATION_TYPE_DEVICE
            located.location.id = index
        least = driver.CUmemAllocationGranularity_flags.CU_MEM_ALLOC_GRANULARITY_MINIMUM
        granularity = int(_ok(driver.cuMemGetAllocationGranularity(self._kind, least)))
        self.granule = max(granularity, 2 * MAX_BAND_BYTES)  # powers of two; one granule holds both bands of an array

    def create(self, size: int) -> Any:
        """A handle of `size` bytes in whole granules."""
        answer = self.driver.cuMemCreate(size, self._kind, 0)
        if answer[0] == self.driver.CUresult.CUDA_ERROR_OUT_OF_MEMORY:
            self._free_pool()
            answer = self.driver.cuMemCreate(size, self._kind, 0)
        return _ok(answer)


class Mapped:
    """Addresses of a body's two mappings: `alone`, and one granule before `banded`'s; given back with this object."""

    def __init__(self, memory: Memory, body: int) -> None:
        driver, granule = memory.driver, memory.granule
        # hole | body | hole | bands, body, bands: a hole as wide as the body also stops what is a whole array off.
        reserved = 4 * body + 2 * granule
        with ExitStack() as undo:  # what the driver answers is not looked at: after a fault it refuses every call
            first = int(_ok(driver.cuMemAddressReserve(reserved, granule, 0, 0)))
            undo.callback(driver.cuMemAddressFree, first, reserved)
            handles = [memory.create(body)]
            undo.callback(driver.cuMemRelease, handles[0])
            handles.append(memory.create(granule))
            undo.callback(driver.cuMemRelease, handles[1])
            self.alone, self.banded = first + body, first + 3 * body
            # Both bands are one granule, mapped twice: its end lies before the array, its start after it.
            for address, size, handle in (
                (self.alone, body, handles[0]),
                (self.banded, granule, handles[1]),
                (self.banded + granule, body, handles[0]),
                (self.banded + granule + body, granule, handles[1]),
            ):
                _ok(driver.cuMemMap(address, size, 0, handle, 0))
                undo.callback(driver.cuMemUnmap, address, size)
                _ok(driver.cuMemSetAccess(address, size, [memory.access], 1))
            undo.callback(driver.cuCtxSynchronize)  # no kernel in flight may find its arrays gone
            # Not at the interpreter's exit, where the driver gives everything back by itself.
            weakref.finalize(self, undo.pop_all().close).atexit = False


def _ok(answer: tuple[Any, ...]) -> Any:
    """The value of a driver call, None if it has none. Raises: Unmappable if it failed."""
    status, *values = answer
    if int(status) != 0:
        raise Unmappable(f"the CUDA driver answers {status.name}")
    return values[0] if values else None
