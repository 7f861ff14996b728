"""The bodies of generations, as OpenAPI describes them. `cache/wire_generations.py` writes them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from ..cache.generations import MOST_LISTED, MOST_NOTE_CHARS
from ..tuner.freezing import ChangeKind
from .schemas import PolicyBody
from .schemas_records import Digest

MOST_CHANGES = 1000
DEFAULT_LISTED = 100


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class GenerationBody(_Body):
    """A numbered, frozen set of answers."""

    number: int
    digest: Digest = Field(description="of the answers, without the number: equal answers, equal digest")
    created_at: datetime
    created_by: str
    note: str
    answers: int = Field(description="so many")


class GenerationsBody(_Body):
    """Generations, the newest first."""

    generations: list[GenerationBody]


class FreezeBody(_Body):
    """What to say of the generation."""

    note: str = Field("", max_length=MOST_NOTE_CHARS)


class FrozenBody(GenerationBody):
    """What came of freezing."""

    is_new: bool = Field(description="false: nothing has changed since this generation, so it is given again")


class SideBody(_Body):
    """An answer on one side of a difference."""

    template: str
    config: dict[str, int | float | str | bool]
    digest: Digest = Field(description="of the config")
    median_us: float
    spread_us: float
    recorded_at: datetime


class PlaceBody(_Body):
    """A target, whose fields GET /v1/targets/{digest} says."""

    name: str
    digest: Digest


class ChangeBody(_Body):
    """What became of the answer to one problem on one target."""

    kind: ChangeKind = Field(description="timed: the same config, with another time or other evidence")
    problem: dict[str, int | str | bool]
    target: PlaceBody
    policy: PolicyBody
    before: SideBody | None = Field(description="null where it is new")
    after: SideBody | None = Field(description="null where it is gone")
    ratio: float | None = Field(description="time after ÷ time before: below 1 is faster")


class CountsBody(_Body):
    """How many answers became what."""

    new: int
    gone: int
    changed: int
    timed: int
    unchanged: int


class DiffBody(_Body):
    """What became of the answers of one generation in another; what changed most comes first."""

    before: GenerationBody
    after: GenerationBody
    counts: CountsBody
    changes: list[ChangeBody] = Field(description="as many as `limit` allows; `counts` says how many there are")


ListLimit = Annotated[int, Field(ge=1, le=MOST_LISTED)]
ChangeLimit = Annotated[int, Field(ge=1, le=MOST_CHANGES)]
Number = Annotated[int, Field(ge=1, le=2**31 - 1)]
