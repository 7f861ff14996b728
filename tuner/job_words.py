"""The words of a job: what a server keeps of a request, and a worker of the same kerntune runs it by. Never source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, get_args

from ..cache.checked import LARGEST_WHOLE, listed, mapping, member, name, number, one_of, plain, truth, whole
from ..cache.records import CacheState
from ..spaces.errors import UsageError
from ..spaces.problems import FieldValue
from ..spaces.targets import DeviceKind
from .samplers import DEFAULT

MOST_TRIALS = 100_000
LONGEST_S = 86_400.0
SHORTEST_S = 0.001
LARGEST_SEED = LARGEST_WHOLE
MOST_TEMPLATES = 32


@dataclass(frozen=True, slots=True)
class Wish:
    """How a problem is to be tuned."""

    trials: int = 200
    time_s: float = 120.0
    sampler: str = DEFAULT
    seed: int = 0
    force: bool = False
    templates: tuple[str, ...] = ()  # empty: all that can compute it

    @staticmethod
    def from_json(data: Mapping[str, Any], where: str = "") -> Wish:
        """The wish of these words, each checked; `where` stands before their names. Raises: UsageError."""

        def said(word: str) -> tuple[Any, str]:
            return member(data, word, where), f"{where}{word}"

        return Wish(
            trials=whole(*said("trials"), least=1, most=MOST_TRIALS),
            time_s=number(*said("time_s"), least=SHORTEST_S, most=LONGEST_S),
            sampler=name(*said("sampler")),
            seed=whole(*said("seed"), least=0, most=LARGEST_SEED),
            force=truth(*said("force")),
            templates=listed(*said("templates"), most=MOST_TEMPLATES, check=name),
        )


@dataclass(frozen=True, slots=True)
class JobWords:
    """What is to be tuned, where, and how. One of `device` and `target` is said."""

    op: str
    fields: Mapping[str, FieldValue]  # dims and every field of the op, none left to a default
    kind: DeviceKind
    policy: CacheState
    device: str | None = None  # its name, or cpu or gpu for any
    target: str | None = None  # its digest
    wish: Wish = field(default_factory=Wish)

    def to_json(self) -> dict[str, Any]:
        """Flat but for the fields, as `from_json` reads it."""
        return {
            "op": self.op,
            "fields": dict(self.fields),
            "kind": self.kind,
            "policy": self.policy,
            "device": self.device,
            "target": self.target,
            **asdict(self.wish),
            "templates": list(self.wish.templates),
        }

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> JobWords:
        """The words `to_json` wrote, each checked: they come from a server. Raises: UsageError."""
        fields = mapping(member(data, "fields", "job."), "job.fields", most=64)
        device, target = data.get("device"), data.get("target")
        if (device is None) == (target is None):
            raise UsageError("a job names a device or a target, one of the two.")
        return JobWords(
            op=name(member(data, "op", "job."), "job.op"),
            fields={name(key, "job.fields"): _field(key, value) for key, value in fields.items()},
            kind=one_of(member(data, "kind", "job."), "job.kind", get_args(DeviceKind)),
            policy=one_of(member(data, "policy", "job."), "job.policy", get_args(CacheState)),
            device=None if device is None else name(device, "job.device"),
            target=None if target is None else name(target, "job.target"),
            wish=Wish.from_json(data, "job."),
        )


def _field(key: str, value: object) -> FieldValue:
    checked = plain(value, f"job.fields.{key}")
    if isinstance(checked, float):
        raise UsageError(f"job.fields.{key} is {checked}: it takes an integer, a word, true or false.")
    return checked
