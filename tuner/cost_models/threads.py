"""One thread for linear algebra: on matrices as small as these more of them wait for each other.

Two pools of two threads, NumPy's and SciPy's, took 8 ms a trial where one thread takes 3 (two cores, 18,000 configs).
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache
from typing import Any


def one_thread() -> AbstractContextManager[Any]:
    """While the block runs, whatever BLAS is loaded; after it, as many as before."""
    limited: AbstractContextManager[Any] = _controller().limit(limits=1, user_api="blas")
    return limited


@cache
def _controller() -> Any:
    """Looks for the libraries once, when NumPy and SciPy are loaded."""
    import scipy.linalg  # noqa: F401 -- its BLAS is its own
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
