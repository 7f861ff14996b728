"""The bodies of jobs, as OpenAPI describes them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema, create_model

from ..cache.jobs import MAX_PRIORITY, Demand, Job, JobState, Outcome
from ..cache.records import CacheState
from ..cache.wire import stamp_to_text
from ..templates import catalogue
from ..templates.op import MAX_DIM, Op
from ..templates.op import Field as OpField
from ..tuner import job_words
from ..tuner.job_words import Wish
from .parameters import word_or_count
from .schemas import SCHEMAS, AnswerBody

MOST_PER_PAGE = 200
MOST_EVENTS = 1000
"""That a worker tells at once."""
MOST_BACKENDS = 16
MOST_ERROR_CHARS = 100_000
"""Of a worker's words; the queue keeps the beginning."""
LARGEST = 2**63 - 1
SHORTEST_LEASE_S, LONGEST_LEASE_S = 0.1, 3600.0

_STAMP = WithJsonSchema({"type": "string", "format": "date-time"})
Stamp = Annotated[datetime, PlainSerializer(stamp_to_text, return_type=str), _STAMP]
Count = Annotated[int, Field(ge=0, le=LARGEST)]
LeaseSeconds = Annotated[float, Field(ge=SHORTEST_LEASE_S, le=LONGEST_LEASE_S, description="the lease from now on")]
Backend = Annotated[str, Field(pattern="^[a-z][a-z0-9_]{0,39}$")]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Told(BaseModel):
    """What a worker sends: taken as it is, nothing is made of another type."""

    model_config = ConfigDict(extra="forbid", strict=True)


class JobBody(_Body):
    """A study that was asked for, and how far it is. Times in µs, stamps in UTC."""

    id: int
    key: str = Field(description="of problem, place and policy: there is one active job for each")
    op: str
    request: dict[str, Any] = Field(description="the words a worker runs it by")
    place: str = Field(description="digest of a target, name of a device, or cpu or gpu for any")
    backends: list[str] = Field(description="a worker needs one of them")
    state: JobState
    priority: int = Field(description="as asked, and a step for each doubling of the key's misses")
    created_at: Stamp
    created_by: str
    tries: int = Field(description="leases that ran out or were given back")
    worker: str | None
    lease_until: Stamp | None
    started_at: Stamp | None
    finished_at: Stamp | None
    trials: int
    best_us: float | None
    error: str | None = Field(description="why it failed, or why it was given back last")
    result: dict[str, Any] | None

    @staticmethod
    def of(job: Job) -> JobBody:
        """A job without its token, which is its worker's alone."""
        said = {name: getattr(job, name) for name in JobBody.model_fields if name != "key"}
        return JobBody(**said | {"key": job.key_digest, "backends": list(job.backends)})


class SubmittedBody(_Body):
    """The one active job of the key."""

    job: JobBody
    is_new: bool = Field(description="whether this request made it")
    meanwhile: AnswerBody | None = Field(description="the best answer known now, of another shape where there is none")


class JobPageBody(_Body):
    """Jobs, newest first."""

    jobs: list[JobBody]
    next: int | None = Field(description="`before` of the next page; null after the last")


class ClaimBody(_Told):
    """What a worker can run."""

    worker: str = Field(min_length=1, max_length=200, description="its name")
    target: dict[str, Any] = Field(description="a TargetBody; it is registered by this")
    backends: list[Backend] = Field(min_length=1, max_length=MOST_BACKENDS)
    lease_s: LeaseSeconds


class ClaimedBody(_Body):
    """A job that is the worker's until `lease_until`."""

    job: JobBody
    token: int = Field(description="of this lease: what is said of the job carries it")
    lease_until: Stamp


class HeartbeatBody(_Told):
    """The worker lives."""

    token: Count
    lease_s: LeaseSeconds


class BeatBody(_Body):
    """The lease lives on."""

    cancel: bool = Field(description="nobody wants the job any more: stop")


class HappeningBody(_Told):
    """A trial, or a new best with its `median_us`."""

    kind: Literal["trial", "best"]
    data: dict[str, Any]


class EventsBody(_Told):
    """What happened in a job, in order."""

    token: Count
    events: list[HappeningBody] = Field(max_length=MOST_EVENTS)


class FinishBody(_Told):
    """A worker's last word on a job."""

    token: Count
    outcome: Outcome = Field(description="retry gives the job back")
    error: str | None = Field(None, max_length=MOST_ERROR_CHARS)
    result: dict[str, Any] | None = None


class DemandBody(_Body):
    """How much a key is missed."""

    key: str
    op: str
    request: dict[str, Any] = Field(description="of the first miss: op, fields and place")
    count: int
    gflop: float = Field(description="of all the misses together")
    first_at: Stamp
    last_at: Stamp

    @staticmethod
    def of(demand: Demand) -> DemandBody:
        said = {name: getattr(demand, name) for name in DemandBody.model_fields if name != "key"}
        return DemandBody(**said, key=demand.key_digest)


class MissesBody(_Body):
    """The keys that are missed at the highest cost, in calls times work, dearest first."""

    misses: list[DemandBody]


def words_of_op(op: Op) -> dict[str, Any]:
    """The words in which a body says a problem of this op, and where: `asked.py` reads them."""
    count = Annotated[int, Field(ge=1)] | None
    return {
        "op": (Literal[op.name], ...),
        "shape": (str | None, Field(None, description=f"{op.shape_format}; or each dim", examples=[op.example])),
        **{letter: (int | None, Field(None, ge=1, le=MAX_DIM)) for letter in op.letters},
        **{
            field.name: (
                _choice(field) if field.choices or field.absent else count,
                Field(field.default, description=field.help),
            )
            for field in op.fields
        },
        "device": (str | None, Field(None, description="name as recorded, or cpu, gpu, cuda")),
        "target": (str | None, Field(None, description="digest of a target that was registered, instead of a device")),
        "policy": (CacheState | None, "cold"),
    }


def words_of_wish() -> dict[str, Any]:
    """The words in which a body says how to tune; null is as good as nothing, here and below."""
    wish = Wish()
    return {
        "trials": (int | None, Field(wish.trials, ge=1, le=job_words.MOST_TRIALS)),
        "time_s": (float | None, Field(wish.time_s, ge=job_words.SHORTEST_S, le=job_words.LONGEST_S)),
        "sampler": (str | None, wish.sampler),
        "seed": (int | None, Field(wish.seed, ge=0, le=job_words.LARGEST_SEED)),
        "force": (bool | None, Field(wish.force, description="search even where an exact answer is known")),
        "templates": (
            list[str] | None,
            Field([], max_length=job_words.MOST_TEMPLATES, description="empty: all that can"),
        ),
    }


def submit_body(op: Op) -> type[BaseModel]:
    """What POST /v1/jobs takes for an op. `submissions.py` reads it; this describes it."""
    priority: Any = (int | None, Field(0, ge=0, le=MAX_PRIORITY, description="the highest runs first"))
    made: type[BaseModel] = create_model(
        f"Submit{op.name.title()}Body",
        __config__=ConfigDict(extra="forbid"),
        __doc__=f"A study of {op.name}.",
        **words_of_op(op),
        **words_of_wish(),
        priority=priority,
    )
    return made


def submit_bodies() -> tuple[type[BaseModel], ...]:
    """One for each op."""
    return tuple(map(submit_body, catalogue.ops().values()))


def one_of(models: Sequence[type[BaseModel]]) -> dict[str, Any]:
    """OpenAPI of a request body that is one of these, told apart by their `op`."""
    references = [{"$ref": SCHEMAS.format(model=model.__name__)} for model in models]
    schema = {"oneOf": references, "discriminator": {"propertyName": "op"}} if references[1:] else references[0]
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def _choice(field: OpField) -> Any:
    """A word; or a count, where one word stands for none; a switch also as true or false."""
    if field.absent:
        return Annotated[int | str | None, word_or_count(field)]
    words = {"type": "string", "enum": [*field.words]}
    if field.is_switch:
        return Annotated[bool | str | None, WithJsonSchema({"anyOf": [words, {"type": "boolean"}]})]
    return Annotated[str | None, WithJsonSchema(words)]
