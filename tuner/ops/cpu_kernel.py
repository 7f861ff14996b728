"""CpuKernel: a tuned C kernel in this process."""

from __future__ import annotations

import ctypes
import os
import threading

from ...spaces.errors import DeviceError
from ..backends.artifact import Artifact
from ..measure.cpu_device import C_NUMBERS
from .arrays import Library


class CpuKernel:
    """A shared object's function. It packs into a buffer of its own: one caller at a time, the others wait."""

    def __init__(self, artifact: Artifact, names: tuple[str, ...]) -> None:
        """Load it; `names`: of the buffers in the order in which addresses come. Raises: DeviceError."""
        try:
            function = ctypes.CDLL(str(artifact.path), mode=os.RTLD_NOW | os.RTLD_LOCAL)[artifact.launch.entry]
        except (OSError, AttributeError) as error:
            raise DeviceError(f"the tuned kernel does not load: {error}.") from None
        arguments = artifact.launch.arguments
        function.restype = ctypes.c_int
        function.argtypes = [ctypes.c_void_p if one.value is None else C_NUMBERS[one.type] for one in arguments]
        self._given = [(names.index(a.name), None) if a.value is None else (0, a.value) for a in arguments]
        self._function, self._lock = function, threading.Lock()

    def launch(self, addresses: tuple[int, ...], stream: int, library: Library) -> None:
        """Run on the arrays at these addresses, and be done. Raises: DeviceError."""
        with self._lock:
            status = self._function(*(addresses[place] if value is None else value for place, value in self._given))
        if status != 0:
            raise DeviceError("the tuned kernel found no memory for its workspace: free some, or use fewer threads.")
