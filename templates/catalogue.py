"""Which ops and templates there are: every module of a sub-package here that defines OP or TEMPLATE."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence
from functools import lru_cache
from types import ModuleType

from ..spaces.errors import UnknownName
from .op import Op
from .template import KernelTemplate

_PACKAGE = __name__.rpartition(".")[0]


@lru_cache
def _modules() -> tuple[ModuleType, ...]:
    room = importlib.import_module(_PACKAGE)
    found = pkgutil.walk_packages(room.__path__, f"{_PACKAGE}.")
    return tuple(importlib.import_module(info.name) for info in found if info.name.count(".") > _PACKAGE.count(".") + 1)


@lru_cache
def ops() -> dict[str, Op]:
    """Every op by name."""
    found = [module.OP for module in _modules() if isinstance(getattr(module, "OP", None), Op)]
    return {op.name: op for op in sorted(found, key=lambda op: op.name)}


def op_named(name: str) -> Op:
    """An op by name. Raises: UnknownName."""
    if name not in ops():
        raise UnknownName(name, "an op", ops())
    return ops()[name]


@lru_cache
def templates(op: str) -> tuple[KernelTemplate, ...]:
    """The templates of an op, by name."""
    found = [module.TEMPLATE for module in _modules() if isinstance(getattr(module, "TEMPLATE", None), KernelTemplate)]
    return tuple(sorted((template for template in found if template.op == op), key=lambda template: template.name))


def templates_named(op: str, names: Sequence[str]) -> tuple[KernelTemplate, ...]:
    """The named templates of an op; all of them where none is named. Raises: UnknownName."""
    known = {template.name: template for template in templates(op)}
    for name in names:
        if name not in known:
            raise UnknownName(name, f"a template of {op}", known, f"templates/{op}/")
    return tuple(known[name] for name in names) or tuple(known.values())
