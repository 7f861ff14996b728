"""Errors a caller of kerntune can meet.

    KerntuneError
    ├── UsageError             the words of the call are off: mend them and call again
    │   ├── ShapeError         a shape that cannot be read
    │   ├── ProblemError       fields of a problem that do not go together
    │   ├── SpaceError         a search space that cannot mean what it says
    │   │   └── SpaceTooLarge  a search space, or a list of it, beyond the memory allowed
    │   └── UnknownName        a name nobody knows; the message lists the known ones
    ├── NoAnswer               nothing is known about the problem
    │   └── NoFeasibleConfig   no template has a config for the problem on the target
    ├── StoreError             the database cannot be read or written; nothing in it was changed
    ├── DeviceError            the device, its driver or its compiler is missing or failing
    │   └── NoCompiler         no C compiler was found
    └── NetworkError           a server cannot be reached, or a port is taken

Each message says what is wrong, where, and how to mend it.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class KerntuneError(Exception):
    """Root of every error that kerntune raises on purpose."""


class UsageError(KerntuneError):
    """The words of the call are off."""


class ShapeError(UsageError):
    """A shape that cannot be read."""


class ProblemError(UsageError):
    """Fields of a problem that do not go together."""


class SpaceError(UsageError):
    """A search space that cannot mean what it says."""


class SpaceTooLarge(SpaceError):
    """A search space, or a list of it, beyond the memory allowed."""


class UnknownName(UsageError):
    """A name nobody knows."""

    def __init__(self, name: object, what: str, known: Iterable[str], where: str = "") -> None:
        names = sorted(known)
        self.known = tuple(names)
        close = get_close_matches(str(name), names, n=1)
        hint = f' Did you mean "{close[0]}"?' if close else ""
        super().__init__(f'"{name}" is not {what}. Known: {", ".join(names)}{f" ({where})" if where else ""}.{hint}')


class NoAnswer(KerntuneError):
    """Nothing is known about the problem."""


class NoFeasibleConfig(NoAnswer):
    """No template has a config for the problem on the target."""


class StoreError(KerntuneError):
    """The database cannot be read or written; nothing in it was changed."""


class DeviceError(KerntuneError):
    """The device, its driver or its compiler is missing or failing."""


class NoCompiler(DeviceError):
    """No C compiler was found."""


class NetworkError(KerntuneError):
    """A server cannot be reached, or a port is taken."""
