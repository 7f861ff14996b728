"""The bodies of records and targets, as OpenAPI describes them. `cache/wire_records.py` writes and checks them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from ..cache.paging import MOST_PER_PAGE
from ..cache.records import FailureKind, Phase
from ..cache.wire_records import MOST_PER_UPLOAD
from ..spaces.canonical import DIGEST_CHARS
from .schemas import PolicyBody, TargetBody

DEFAULT_PER_PAGE = 100

Digest = Annotated[str, Field(pattern=f"^[0-9a-f]{{{DIGEST_CHARS}}}$")]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class MeasurementBody(_Body):
    """Times of one config, and what is known of how they came about."""

    samples_us: list[float] = Field(description="in the order in which they were taken")
    deterministic: bool | None = Field(description="the same bits from the same inputs; null: not looked at")
    raced_out: bool = Field(description="given up early, clearly slower than the best by then")
    readings: dict[str, Any] | None = Field(description="of the device meanwhile")
    uses: dict[str, Any] | None = Field(description="what the kernel is made of: registers, instructions")


class FailureBody(_Body):
    """The config's own fault."""

    kind: FailureKind
    reason: str


class VendorTimesBody(_Body):
    """The vendor library, timed in the same playoff: the fastest of its ways, with the others."""

    name: str
    samples_us: list[float]
    speedup: float | None = Field(description="of the config over it: median of the ratios of paired rounds")
    speedup_interval: list[float] | None = Field(description="which holds that median with 95 % confidence")
    fault: str | None = Field(description="what is wrong with its numbers")
    others: list[VendorTimesBody] = Field(description="its slower ways; they have no others")


class VerdictBody(_Body):
    """What a playoff decided of its winner."""

    ranked_us: float
    confidence: float
    rounds: int
    tied_with: list[str] = Field(description="digests of configs")


class RecordBody(_Body):
    """One result: what was run, where, how, what came of it, when and by whom. Times in µs, stamps in UTC."""

    problem: dict[str, int | str | bool] = Field(description="op, and every field of it")
    target: TargetBody
    policy: PolicyBody
    template: str
    template_digest: Digest
    space_digest: Digest
    config: dict[str, int | float | str | bool]
    phase: Phase
    measurement: MeasurementBody | None = Field(description="null for a failure")
    failure: FailureBody | None = Field(description="null for a measurement")
    baseline: VendorTimesBody | None
    verdict: VerdictBody | None
    recorded_at: datetime
    recorded_by: str


class RecordPageBody(_Body):
    """Records in order of arrival."""

    records: list[RecordBody]
    next: str | None = Field(description="cursor of the next page; null after the last")


class UploadBody(_Body):
    """Records to keep."""

    records: list[dict[str, Any]] = Field(
        min_length=1, max_length=MOST_PER_UPLOAD, description="each a RecordBody; each is kept or refused for itself"
    )


class RefusedBody(_Body):
    """A record that is not kept."""

    index: int = Field(description="its place in the upload, from 0")
    reason: str


class UploadedBody(_Body):
    """What became of an upload."""

    added: int = Field(description="records that are kept now and were not before")
    known: int = Field(description="records that were kept before: an upload may be repeated")
    refused: list[RefusedBody]


class IncidentBody(_Body):
    """A trouble of the machine (disk full, device lost): it blames no config."""

    problem: dict[str, int | str | bool]
    target: TargetBody
    policy: PolicyBody
    kind: str
    reason: str


class KeptBody(_Body):
    """It is on disk."""

    kept: int


class TargetsBody(_Body):
    """Every target that a record is kept for."""

    targets: list[TargetBody]


class RegisteredBody(_Body):
    """The digest that names a target."""

    digest: Digest


Limit = Annotated[int, Field(ge=1, le=MOST_PER_PAGE)]


def body_of(model: type[BaseModel]) -> dict[str, Any]:
    """OpenAPI of a request body that is read as it comes, so that the check, and its words, live in `cache/`."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}
