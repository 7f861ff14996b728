"""What POST /v1/jobs asks for, made into a query and a wish."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, get_args

from ..cache.checked import member, name, one_of, plain, shown, whole
from ..cache.jobs import MAX_PRIORITY
from ..cache.records import CacheState
from ..spaces.errors import UnknownName, UsageError
from ..spaces.targets import TOOLCHAIN_FIELDS, DeviceKind, Target
from ..templates.catalogue import op_named
from ..templates.op import Op
from ..tuner.job_words import Wish
from ..tuner.lookup import Query, Stated
from .errors import quoted
from .queries import KIND_WORDS, UnknownDevice, place_from, query_at, with_registered
from .services import JobServices

WISH = asdict(Wish())


@dataclass(frozen=True, slots=True)
class Submission:
    """A study that is asked for."""

    query: Query
    wish: Wish
    priority: int


def submission_from(body: Mapping[str, Any], services: JobServices) -> Submission:
    """The study that this body asks for; what it leaves out, or says null to, takes its default.

    Raises: UsageError where the words are off, UnknownDevice or UnknownTarget for a place that is not known.
    """
    op = op_named(name(member(body, "op"), "op"))
    fields = [field.name for field in op.fields]
    _only(body, op.name, ["op", "shape", *op.letters, *fields, "device", "target", "policy", *WISH, "priority"])
    said = {word: value for word, value in body.items() if value is not None}
    wish = Wish.from_json({**WISH, **{word: said[word] for word in WISH if word in said}})
    priority = whole(said.get("priority", 0), "priority", 0, MAX_PRIORITY)
    values: dict[str, Any] = {word: _plain(said[word], word) for word in fields if word in said}
    values = dict.fromkeys((*fields, *TOOLCHAIN_FIELDS)) | values
    values["policy"] = one_of(said.get("policy", "cold"), "policy", get_args(CacheState))
    for word in ("device", "target"):
        values[word] = name(said[word], word) if word in said else None
    dims = _dims(op, said)
    where, kind = _place(values, services)
    return Submission(query_at(op, dims, values, where, kind), wish, priority)


def _only(body: Mapping[str, Any], op: str, known: list[str]) -> None:
    for word in body:
        if word not in known:
            raise UnknownName(quoted(word), f"a word of a job of {op}", known)


def _plain(value: object, word: str) -> int | float | str | bool:
    if not isinstance(value, str | int | float):
        raise UsageError(f"{word} is {shown(value)}: it takes a word or a number.")
    return plain(value, word)


def _dims(op: Op, said: Mapping[str, Any]) -> dict[str, int]:
    """From the shape, or from each dim by its letter."""
    letters = [letter for letter in op.letters if letter in said]
    if "shape" not in said and not letters:
        raise UsageError(f"shape is missing: {op.shape_format}, such as {op.example}; or {', '.join(op.letters)}.")
    if "shape" not in said:
        return {letter: whole(member(said, letter), letter, least=1) for letter in op.letters}
    if letters:
        raise UsageError(f"shape and {letters[0]} were both given: leave one out.")
    return op.parse_shape(name(said["shape"], "shape"), where="shape")


def _place(values: Mapping[str, Any], services: JobServices) -> tuple[Target | Stated, DeviceKind]:
    """Where the job is to run: a target that is known or registered, a device that is known, or any of a kind."""
    targets = with_registered(services.targets(), values["target"], services.target)
    try:
        return place_from(values, targets)
    except UnknownDevice as error:
        kind = KIND_WORDS.get(values["device"] or "")
        if kind is None:
            advice = "Name its target by digest, once it is registered (POST /v1/targets), or gpu or cpu for any."
            raise UnknownDevice(f"{error} {advice}", error.known) from None
        return Stated(kind), kind  # nothing is known of such a device yet: any may have it
