"""What `ptxas -v` says a kernel uses."""

from __future__ import annotations

import re

_FACTS = {
    "registers": r"Used (\d+) registers",  # of one thread
    "spill_bytes": r"(\d+) bytes spill stores",  # of one thread
    "static_smem_bytes": r"(\d+) bytes smem",  # of one block, declared in the source
}


def resources(log: str) -> dict[str, int]:
    """Registers of a thread, bytes it spills, shared memory its block declares; what the log does not say is left out.

    Of several kernels the largest figure counts.
    """
    found = {name: [int(number) for number in re.findall(pattern, log)] for name, pattern in _FACTS.items()}
    return {name: max(numbers) for name, numbers in found.items() if numbers}
