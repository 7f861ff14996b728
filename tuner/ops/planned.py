"""Calls that are remembered, of all ops: by shapes, strides, dtypes and words; and the libraries met so far."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Mapping, Sequence

from ...spaces.errors import ProblemError
from .arrays import Array, Library
from .asked import Asked
from .execution import Call
from .libraries import adopted, library_of
from .planning import Planner

KEPT = 8192
"""Calls that are remembered; the oldest is planned anew when it comes back."""

calls: dict[Hashable, Call] = {}
libraries: dict[type, Library] = {}
"""Of arrays that were met before: what a front looks up before anything else."""

planner = Planner()
_planning = threading.RLock()


def plan(
    front: str,
    words: tuple[Hashable, ...],
    asked: Callable[[Library], Asked],
    named: Mapping[str, Array | None],
) -> tuple[Call, tuple[Array, ...], Array | None]:
    """The call for arguments, remembered for the next; with those that are read, in order, and `out`, as arrays of its
    library. `named` are all arguments that are arrays, `out` last; `words` the others, as the front's key has them.

    Raises: UsageError, NoAnswer.
    """
    library, arrays = adopted({name: array for name, array in named.items() if array is not None})
    read = tuple(array for name, array in arrays.items() if name != "out")
    with _planning:
        key = _key(front, library, words, arrays, [name for name in named if name != "out"])
        call = calls.get(key)
        if call is None:
            call = planner.call(library, arrays, asked(library))
            while len(calls) >= KEPT:
                del calls[next(iter(calls))]
            calls[key] = call
        kind = type(read[0])
        if library_of(kind) is library:
            libraries[kind] = library
    return call, read, arrays.get("out")


def forget() -> None:
    """Plan every call anew: for what was tuned since, or a changed environment. Captured graphs stay valid."""
    with _planning:
        calls.clear()
        planner.close()


def _key(
    front: str, library: Library, words: tuple[Hashable, ...], arrays: Mapping[str, Array], names: Sequence[str]
) -> Hashable:
    """As the front makes it. Raises: ProblemError for an array that cannot be looked at."""
    try:
        signatures = tuple(library.signature(arrays[name]) if name in arrays else None for name in names)
        key: Hashable = (front, *words, *signatures)
        key = (key, library.signature(arrays["out"])) if "out" in arrays else key
        hash(key)
    except (AttributeError, TypeError, RuntimeError) as error:
        for name, array in arrays.items():
            library.view(name, array)  # says what is wrong with which
        raise ProblemError(f"{front}: its arguments cannot be told apart from others: {error}.") from None
    return key
