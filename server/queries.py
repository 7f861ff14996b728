"""The words of a lookup, as they come over HTTP, made into a Query."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ..cache.records import Policy
from ..cache.refusals import UnknownTarget
from ..spaces.errors import KerntuneError, NoAnswer, UsageError
from ..spaces.targets import TOOLCHAIN_FIELDS, DeviceKind, Target, Toolchain
from ..templates.op import Op
from ..tuner.lookup import Query, Stated

KIND_WORDS: Mapping[str, DeviceKind] = {"cpu": "cpu", "gpu": "gpu", "cuda": "gpu"}


class _Knowing(KerntuneError):
    """An error that lists what would have been known."""

    def __init__(self, message: str, known: Iterable[str]) -> None:
        super().__init__(message)
        self.known = tuple(known)


class UnclearDevice(_Knowing, UsageError):
    """Several devices fit what was said."""


class UnknownDevice(_Knowing, NoAnswer):
    """No record is of this device."""


def query_from(op: Op, values: Mapping[str, Any], targets: Sequence[Target]) -> Query:
    """The query that these parameters ask; `targets` are those the server knows.

    Raises: UsageError where the words are off, UnknownDevice or UnknownTarget where nothing is known of the place.
    """
    dims = op.parse_shape(values["shape"], where="shape")
    where, kind = place_from(values, targets)
    return query_at(op, dims, values, where, kind)


def with_registered(
    targets: Sequence[Target], digest: str | None, registered: Callable[[str], Target | None]
) -> Sequence[Target]:
    """The known targets, and the one of this digest where it was registered before anything is known of it."""
    if digest is None or any(target.digest == digest for target in targets):
        return targets
    found = registered(digest)
    return [*targets, found] if found else targets


def place_from(values: Mapping[str, Any], targets: Sequence[Target]) -> tuple[Target | Stated, DeviceKind]:
    """Where it is to run, and the kind of that place. Raises: as query_from."""
    stated = Toolchain(**{name: values[name] for name in TOOLCHAIN_FIELDS})
    if values["target"] is not None:
        target = _target(values["target"], values["device"], stated, targets)
        return target, target.kind
    device = _device(values["device"], targets)
    return Stated(device.name, stated), device.kind


def query_at(
    op: Op, dims: Mapping[str, int], values: Mapping[str, Any], where: Target | Stated, kind: DeviceKind
) -> Query:
    """The query of these dims and fields for a place. Raises: UsageError."""
    problem = op.problem(kind, **dims, **{field.name: _with_plus(values[field.name]) for field in op.fields})
    return Query(problem, Policy.default_for(kind, values["policy"]), where)


def _target(digest: str, device: str | None, stated: Toolchain, targets: Sequence[Target]) -> Target:
    """The known target with this digest."""
    if stated != Toolchain():
        raise UsageError(
            f"target and {_first_stated(stated)} were both given: a target has its toolchain, leave one out."
        )
    target = next((target for target in targets if target.digest == digest), None)
    if target is None:
        raise UnknownTarget(f'no record is of the target "{digest}". Ask by device and {", ".join(TOOLCHAIN_FIELDS)}.')
    if device is not None and device != target.name and KIND_WORDS.get(device) != target.kind:
        raise UsageError(f'the target {digest} is of "{target.name}", not of "{device}". Leave device or target out.')
    return target


def _device(word: str | None, targets: Sequence[Target]) -> Target:
    """A known target of the device meant: by name, by kind, or the only one there is."""
    devices = {target.name: target for target in targets}
    if word in devices:
        return devices[word]
    known = ", ".join(f'"{name}"' for name in devices) or "none yet: tune something first"
    if word is not None and word not in KIND_WORDS:
        raise UnknownDevice(f'no record is of the device "{word}". Known: {known}.', devices)
    fitting = {name: one for name, one in devices.items() if word is None or one.kind == KIND_WORDS[word]}
    if not fitting:
        raise UnknownDevice(f"no record is of any {word or 'device'}. Known: {known}.", devices)
    if len(fitting) > 1:
        said = "device is missing" if word is None else f'device is "{word}"'
        names = ", ".join(f'"{name}"' for name in fitting)
        raise UnclearDevice(f"{said} and {len(fitting)} such devices are known: name one of {names}.", fitting)
    return next(iter(fitting.values()))


def _with_plus(value: object) -> object:
    """In a query string a bare + is a space, so `epilogue=bias+relu` arrives as `bias relu`; no choice has spaces."""
    return value.replace(" ", "+") if isinstance(value, str) else value


def _first_stated(stated: Toolchain) -> str:
    return next(name for name in TOOLCHAIN_FIELDS if getattr(stated, name) is not None)
