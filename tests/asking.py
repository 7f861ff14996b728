"""Questions to GET /v1/configs/gemm, and what a refusal looks like."""

from builders import a_record, a_target
from kerntune.cache.records import Policy, RecordKey
from kerntune.server.schemas import ProblemDetails
from kerntune.templates import catalogue

GEMM = catalogue.op_named("gemm")
PATH = "/v1/configs/gemm"
SHAPE = {"shape": "64x128x256"}
TOOLS = {"driver": "550.54", "cuda": "13.0", "triton": "3.6.0"}


def a_gemm_record(kind="gpu", policy="cold", target_changes=None, config=None, us=10.0, **fields):
    problem = GEMM.problem(kind, m=64, n=128, k=256, **fields)
    target = a_target(kind, **(target_changes or {}))
    return a_record(RecordKey(problem, target, Policy.default_for(kind, policy)), config, us)


def refused(response, status, type):
    """The problem body, after the checks that hold for every one."""
    body = response.json()
    ProblemDetails.model_validate(body)
    assert response.headers["content-type"] == "application/problem+json"
    assert (response.status_code, body["status"], body["type"]) == (status, status, type), body
    return body
