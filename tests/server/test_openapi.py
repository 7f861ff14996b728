"""/openapi.json says all that the server does, and agrees with the ops."""

import json
from dataclasses import fields

import pytest
from kerntune.spaces.targets import TOOLCHAIN_FIELDS
from kerntune.templates import catalogue
from kerntune.tuner.job_words import Wish

OPS = sorted(catalogue.ops())


@pytest.fixture
def document(browser):
    return browser.get("/openapi.json").json()


def parameters(document, op):
    listed = document["paths"][f"/v1/configs/{op}"]["get"]["parameters"]
    return {parameter["name"]: parameter for parameter in listed}


@pytest.mark.parametrize("op", OPS)
def test_the_parameters_of_an_op_are_its_fields_name_for_name(document, op):
    """Shape, then the op's fields in their order, then the place and the policy."""
    fields = [field.name for field in catalogue.op_named(op).fields]
    expected = ["shape", *fields, "device", "target", *TOOLCHAIN_FIELDS, "policy", "min_match", "generation"]
    assert list(parameters(document, op)) == expected


@pytest.mark.parametrize("op", OPS)
def test_a_parameter_has_the_type_choices_default_and_help_of_its_field(document, op):
    """Made from the description, so that nothing is said twice."""
    listed = parameters(document, op)
    for field in catalogue.op_named(op).fields:
        schema = listed[field.name]["schema"]
        assert listed[field.name]["description"] == field.help
        if field.absent:
            assert schema["anyOf"] == [{"type": "string", "enum": [field.absent]}, {"type": "integer", "minimum": 1}]
        else:
            assert schema["type"] == ("integer" if field.type is int else "string")
            assert schema.get("enum", []) == [*field.words]
        assert schema.get("default") == field.default
        assert not listed[field.name]["required"]


@pytest.mark.parametrize("op", OPS)
def test_only_the_shape_is_required(document, op):
    """All else has a default, or follows from the server."""
    assert [name for name, listed in parameters(document, op).items() if listed["required"]] == ["shape"]


@pytest.mark.parametrize("op", OPS)
def test_every_outcome_is_described_with_its_schema(document, op):
    """200 with the answer, 304 without a body, the others with a problem body."""
    responses = document["paths"][f"/v1/configs/{op}"]["get"]["responses"]
    assert set(responses) == {"200", "304", "404", "422", "503"}
    assert responses["200"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/AnswerBody"}
    assert "content" not in responses["304"]
    for status in ("404", "422", "503"):
        assert responses[status]["content"]["application/problem+json"]["schema"] == {
            "$ref": "#/components/schemas/ProblemDetails"
        }


@pytest.mark.parametrize("op", OPS)
def test_a_job_is_asked_for_in_the_words_of_a_lookup(document, op):
    """Name for name, with the same choices and defaults; beside them the wish."""
    body = document["components"]["schemas"][f"Submit{op.title()}Body"]
    listed, described = parameters(document, op), catalogue.op_named(op)
    names = [field.name for field in described.fields]
    wish = [field.name for field in fields(Wish)]
    place = ["device", "target", "policy"]
    assert list(body["properties"]) == ["op", "shape", *described.letters, *names, *place, *wish, "priority"]
    assert (body["required"], body["additionalProperties"]) == (["op"], False)
    for name in names:
        schema, parameter = (  # or null, true or a number, which a query says as text
            {**next(iter(one.get("anyOf", ())), {}), **one}
            for one in (body["properties"][name], listed[name]["schema"])
        )
        assert [schema.get(word) for word in ("type", "enum", "default", "minimum")] == [
            parameter.get(word) for word in ("type", "enum", "default", "minimum")
        ]


def test_every_operation_of_jobs_says_how_it_refuses(document):
    """With a problem body for each status; a stream is text."""
    said = {
        (path, method): set(operation["responses"])
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if path.startswith(("/v1/jobs", "/v1/misses"))
    }
    worker = {"200", "400", "404", "409", "422", "503"}
    assert said == {
        ("/v1/jobs", "post"): {"202", "400", "404", "422", "503"},
        ("/v1/jobs", "get"): {"200", "422", "503"},
        ("/v1/jobs/{id}", "get"): {"200", "404", "422", "503"},
        ("/v1/jobs/{id}", "delete"): {"200", "404", "422", "503"},
        ("/v1/jobs/{id}/events", "get"): {"200", "204", "404", "422", "503"},
        ("/v1/misses", "get"): {"200", "422", "503"},
        ("/v1/jobs/claim", "post"): {"200", "204", "400", "422", "503"},
        ("/v1/jobs/{id}/heartbeat", "post"): worker,
        ("/v1/jobs/{id}/events", "post"): worker,
        ("/v1/jobs/{id}/finish", "post"): worker,
    }
    followed = document["paths"]["/v1/jobs/{id}/events"]["get"]["responses"]["200"]["content"]
    assert list(followed) == ["text/event-stream"]


def test_every_reference_leads_somewhere(document):
    """A generator of clients stumbles over one that does not."""
    text = json.dumps(document)
    names = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert names <= set(document["components"]["schemas"])
    assert "#/$defs/" not in text


def test_operation_ids_are_unique(document):
    """They name the functions of generated clients."""
    ids = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
    assert len(ids) == len(set(ids))


def test_the_document_is_the_same_each_time(browser):
    """Describing the refusals adds them once."""
    assert browser.get("/openapi.json").content == browser.get("/openapi.json").content


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_no_page_loads_scripts_from_a_foreign_host(browser, path):
    """FastAPI's pages would; they are off."""
    assert browser.get(path).status_code == 404
