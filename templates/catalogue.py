"""Which ops and templates there are: a folder per op, its `op.py` with OP, its other modules with a TEMPLATE each."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Sequence
from functools import lru_cache
from types import ModuleType
from typing import TYPE_CHECKING

from ..spaces.errors import UnknownName
from .op import Op

if TYPE_CHECKING:
    from .template import KernelTemplate  # brings numpy and Jinja, which `tune --help` does without

_PACKAGE = __name__.rpartition(".")[0]


def _modules(folder: str) -> Iterator[ModuleType]:
    package = importlib.import_module(folder)
    for info in pkgutil.iter_modules(package.__path__, f"{folder}."):
        if not info.name.endswith(".op"):
            yield importlib.import_module(info.name)


@lru_cache
def ops() -> dict[str, Op]:
    """Every op by name."""
    room = importlib.import_module(_PACKAGE)
    folders = [info.name for info in pkgutil.iter_modules(room.__path__, f"{_PACKAGE}.") if info.ispkg]
    found: list[Op] = [importlib.import_module(f"{folder}.op").OP for folder in sorted(folders)]
    return {op.name: op for op in found}


def op_named(name: str) -> Op:
    """An op by name. Raises: UnknownName."""
    if name not in ops():
        raise UnknownName(name, "an op", ops())
    return ops()[name]


@lru_cache
def templates(op: str) -> tuple[KernelTemplate, ...]:
    """The templates of an op, by name."""
    found = [module.TEMPLATE for module in _modules(f"{_PACKAGE}.{op}") if hasattr(module, "TEMPLATE")]
    return tuple(sorted(found, key=lambda template: str(template.name)))


@lru_cache
def digests(op: str) -> dict[str, str]:
    """Digest of each template of an op as it is now, by name."""
    return {template.name: template.digest for template in templates(op)}


def templates_named(op: str, names: Sequence[str]) -> tuple[KernelTemplate, ...]:
    """The named templates of an op; all of them where none is named. Raises: UnknownName."""
    known = {template.name: template for template in templates(op)}
    for name in names:
        if name not in known:
            raise UnknownName(name, f"a template of {op}", known, f"templates/{op}/")
    return tuple(known[name] for name in names) or tuple(known.values())
