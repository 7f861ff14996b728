"""The bodies of responses, as OpenAPI describes them. `cache/wire.py` writes them; a test holds the two together."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field

from ..cache.records import CacheState, LaunchMode, Match
from ..cache.refusals import MEDIA_TYPE
from ..spaces.targets import Cpu, DeviceKind, Gpu, Toolchain

SCHEMAS = "#/components/schemas/{model}"


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class TargetBody(_Body):
    """Where a time was taken."""

    kind: DeviceKind
    device: Cpu | Gpu
    toolchain: Toolchain


class PolicyBody(_Body):
    """How a time was taken."""

    cache: CacheState
    launch: LaunchMode


class BaselineBody(_Body):
    """The vendor library, timed in the same playoff."""

    name: str
    median_us: float


class EvidenceBody(_Body):
    """What the time rests on."""

    samples: int
    recorded_at: datetime
    recorded_by: str


class AnswerBody(_Body):
    """A config, how near it is to what was asked, and the evidence. Times in µs."""

    problem: dict[str, int | str | bool]
    target: TargetBody = Field(description="where the config was measured")
    policy: PolicyBody
    template: str
    config: dict[str, int | float | str | bool]
    digest: str = Field(description="of the config")
    match: Match
    median_us: float
    spread_us: float = Field(description="half of the interquartile range")
    baseline: BaselineBody | None
    speedup: float | None = Field(description="baseline ÷ ours; null without a baseline")
    differences: list[str] = Field(description="why the match is not exact, field by field")
    expected_slowdown: float | None = Field(description="here, against where it was measured; null: not known")
    generation: int | None
    evidence: EvidenceBody


class HealthBody(_Body):
    """How the server is."""

    status: str


class ProblemDetails(BaseModel):
    """What went wrong, where, and how to mend it (RFC 9457)."""

    type: str = Field(description="the kind of error, stable")
    title: str
    status: int
    detail: str
    known: list[str] | None = Field(None, description="what would have been known, where that helps")


def refusal(description: str) -> dict[str, Any]:
    """An OpenAPI response with a problem body."""
    schema = {"$ref": f"#/components/schemas/{ProblemDetails.__name__}"}
    return {"description": description, "content": {MEDIA_TYPE: {"schema": schema}}}


def describe_refusals(app: FastAPI, *bodies: type[BaseModel]) -> None:
    """Add ProblemDetails to the schemas of `app`; FastAPI adds only models of its own media type.

    And `bodies`: those of requests that are read as they come, which FastAPI does not see.
    """
    made = app.openapi

    def openapi() -> dict[str, Any]:
        document = made()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        described_here: tuple[type[BaseModel], ...] = (ProblemDetails, *bodies)
        for body in described_here:
            described = body.model_json_schema(ref_template=SCHEMAS)
            for name, schema in (*described.pop("$defs", {}).items(), (body.__name__, described)):
                schemas.setdefault(name, schema)
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # how FastAPI documents it
