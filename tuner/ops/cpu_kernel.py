"""CpuKernel: a tuned C kernel in this process."""

from __future__ import annotations

import ctypes
import os
import threading

from ...spaces.errors import DeviceError
from ..backends.artifact import Artifact
from .arrays import Library


class CpuKernel:
    """A shared object's function. It packs into a buffer of its own: one caller at a time, the others wait."""

    def __init__(self, artifact: Artifact, names: tuple[str, ...]) -> None:
        """Load it; `names`: of the buffers in the order in which addresses come. Raises: DeviceError."""
        try:
            function = ctypes.CDLL(str(artifact.path), mode=os.RTLD_NOW | os.RTLD_LOCAL)[artifact.launch.entry]
        except (OSError, AttributeError) as error:
            raise DeviceError(f"the tuned kernel does not load: {error}.") from None
        places = [names.index(argument.name) for argument in artifact.launch.arguments]
        function.restype = ctypes.c_int
        function.argtypes = [ctypes.c_void_p] * len(places)
        self._function, self._places, self._lock = function, places, threading.Lock()

    def launch(self, addresses: tuple[int, ...], stream: int, library: Library) -> None:
        """Run on the arrays at these addresses, and be done. Raises: DeviceError."""
        with self._lock:
            status = self._function(*(addresses[place] for place in self._places))
        if status != 0:
            raise DeviceError("the tuned kernel found no memory for its workspace: free some, or use fewer threads.")
