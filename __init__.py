"""kerntune: a kernel auto-tuning service with a persistent cache."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .cache.records import Answer
    from .spaces.errors import KerntuneError
    from .tuner import ops
    from .tuner.api import lookup, tune, tune_workload

    __version__: str

_HOMES = {
    "Answer": ".cache.records",
    "KerntuneError": ".spaces.errors",
    "lookup": ".tuner.api",
    "tune": ".tuner.api",
    "tune_workload": ".tuner.api",
}

__all__ = ["Answer", "KerntuneError", "__version__", "lookup", "ops", "tune", "tune_workload"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("kerntune")
    if name == "ops":
        return import_module(".tuner.ops", __name__)
    if name in _HOMES:
        return getattr(import_module(_HOMES[name], __name__), name)
    raise AttributeError(f"kerntune has no {name!r}. It has: {', '.join(__all__)}")


def __dir__() -> list[str]:
    return __all__
