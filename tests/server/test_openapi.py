"""/openapi.json says all that the server does, and agrees with the ops."""

import json

import pytest
from kerntune.spaces.targets import TOOLCHAIN_FIELDS
from kerntune.templates import catalogue
from kerntune.templates.op import DTYPE_ALIASES, DTYPES

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
        aliases = list(DTYPE_ALIASES) if field.choices == DTYPES else []
        assert listed[field.name]["description"] == field.help
        assert schema["type"] == ("integer" if field.type is int else "string")
        assert schema.get("enum", []) == [*field.choices, *aliases]
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
