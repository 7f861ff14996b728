"""The whole OpenAPI, asked by a stranger: every answer is one that it describes, and none is a fault."""

import json
from contextlib import closing, contextmanager

import pytest
import schemathesis
from asking import a_gemm_record
from hypothesis import HealthCheck, settings
from kerntune.cache.memory import MemoryStore
from kerntune.cache.memory_generations import MemoryGenerations
from kerntune.cache.memory_jobs import MemoryJobs
from kerntune.server.app import create_app
from kerntune.tuner.generation_services import GenerationServices
from kerntune.tuner.job_services import QueuedJobs
from kerntune.tuner.pinned import Pins
from kerntune.tuner.record_services import StoreRecordServices
from kerntune.tuner.serving import StoreServices
from record_server import served

ENDLESS = "follow_job"
"""Its answer goes on until the job ends; tests/server/test_event_stream.py reads it."""

EXAMPLES = 40
"""Of each operation, valid and not."""

schemathesis.checks.load_all_checks()
CHECKS = schemathesis.checks.CHECKS.get_by_names(
    [
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
        "negative_data_rejection",
        "missing_required_header",
        "unsupported_method",
    ]
)
METHOD = schemathesis.checks.CHECKS.get_by_names(["unsupported_method"])


@contextmanager
def an_app():
    """All that a server serves, with something known and a job."""
    store = MemoryStore()
    store.add(a_gemm_record())
    pins = Pins(MemoryGenerations(store), target_named=store.target)
    generations = GenerationServices(pins)
    generations.freeze("", "tests")
    lookups, records = StoreServices(store, pins=pins), StoreRecordServices(store)
    with closing(QueuedJobs(MemoryJobs(), store)) as jobs:
        yield create_app(lookups, generations, record_services=records, job_services=jobs)


def described():
    """The document as a client gets it."""
    with an_app() as app:
        return json.loads(json.dumps(app.openapi()))


schema = schemathesis.openapi.from_dict(described()).exclude(operation_id=ENDLESS)


@pytest.fixture(scope="module")
def url():
    with an_app() as app, served(app) as address:
        yield address


@pytest.mark.slow
@schema.parametrize()
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_every_answer_is_one_that_is_described(case, url):
    """Status, media type, headers and body; and what the description forbids is refused."""
    # GET /v1/jobs/claim is 422, not 405: by that path it asks for the job "claim", which is no number.
    excluded = METHOD if case.operation.path == "/v1/jobs/claim" else None
    case.call_and_validate(base_url=url, checks=CHECKS, excluded_checks=excluded)
