"""The OpenAPI document is valid, says all there is, says what is true, and has a copy in docs/."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from artifact import errors
from described import COPY, served
from service import problems
from service.batch.described import OF_ITEMS
from support import CLASSIFY, Service, png
from test_docs import every, raised

DOCUMENT = json.loads(COPY.read_text())
OPERATIONS = {operation["operationId"]: operation for path in DOCUMENT["paths"].values() for operation in path.values()}


def resolved(part: dict[str, Any]) -> dict[str, Any]:
    """What a part says, or what it refers to."""
    if "$ref" not in part:
        return part
    found = DOCUMENT
    for name in part["$ref"].removeprefix("#/").split("/"):
        found = found[name]
    return found


def fits(value: object, schema: dict[str, Any]) -> None:
    """Raise unless the value is as the schema has it, which may refer to the document's components."""
    Draft202012Validator({**schema, "components": DOCUMENT["components"]}).validate(value)


def answers(name: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Each status, media type and description of what an operation answers."""
    for status, response in OPERATIONS[name]["responses"].items():
        for media_type, described in response.get("content", {}).items():
            yield status, media_type, described


def test_the_copy_is_what_the_service_serves(service: Service):
    assert COPY.read_text() == served(service), "the API has changed: `make openapi` writes docs/openapi.json anew"


def test_the_document_is_valid():
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_the_document_names_its_licence():
    assert DOCUMENT["info"]["license"]["identifier"] == "Apache-2.0"


def test_every_operation_has_a_name_of_its_own_that_a_method_can_have():
    assert len(OPERATIONS) == sum(map(len, DOCUMENT["paths"].values()))
    assert all(name.isidentifier() for name in OPERATIONS)


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_says_what_it_is_for_and_belongs_to_a_tag_that_does(name: str):
    assert OPERATIONS[name]["summary"]
    assert set(OPERATIONS[name]["tags"]) <= {tag["name"] for tag in DOCUMENT["tags"] if tag["description"]}


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_answer_has_examples_that_are_as_its_schema_says(name: str):
    assert "default" in OPERATIONS[name]["responses"]
    assert any(status.startswith("2") for status in OPERATIONS[name]["responses"])
    for status, media_type, described in answers(name):
        shown = [example["value"] for example in described.get("examples", {}).values()]
        shown += [described["example"]] if "example" in described else []
        assert shown, (status, media_type)
        for value in shown:
            fits(value, described["schema"])


# A body that is a file has no example: it could not be shown, and its description says how to send one.
@pytest.mark.parametrize("name", OPERATIONS)
def test_every_parameter_has_an_example_that_is_as_its_schema_says(name: str):
    for parameter in map(resolved, OPERATIONS[name]["parameters"]):
        shown = [parameter["example"]] if "example" in parameter else parameter["schema"]["examples"]
        assert shown
        for value in shown:
            fits(value, parameter["schema"])


ANSWERED = [kind for kind in every(errors.HangtagError) if raised(kind) and kind not in (errors.ClientGone, *OF_ITEMS)]


@pytest.mark.parametrize("kind", ANSWERED)
def test_every_error_of_a_request_is_shown_with_its_status(kind: type[errors.HangtagError]):
    status = problems.status_of(kind(""))
    assert any(
        kind.code in described.get("examples", {})
        for name in OPERATIONS
        for answered, _, described in answers(name)
        if answered == str(status)
    )


@pytest.mark.parametrize("kind", OF_ITEMS)
def test_every_error_that_only_an_image_of_a_batch_ends_in_is_named(kind: type[errors.HangtagError]):
    assert f"`{kind.code}`" in OPERATIONS["classify_batch"]["responses"]["200"]["description"]


@pytest.mark.parametrize(
    ("name", "method", "path", "body", "status"),
    [
        ("list_models", "GET", "/v1/models", b"", 200),
        ("get_model", "GET", "/v1/models/tiny", b"", 200),
        ("get_model", "GET", "/v1/models/none", b"", 404),
        ("classify", "POST", CLASSIFY, png(0), 200),
        ("classify", "POST", CLASSIFY, b"", 400),
        ("classify", "POST", CLASSIFY + "?top_k=0", png(0), 400),
        ("classify", "POST", CLASSIFY, b"no photo", 422),
        ("classify_version", "POST", "/v1/models/tiny/versions/7/classify", png(0), 404),
        ("is_live", "GET", "/health/live", b"", 200),
        ("has_started", "GET", "/health/startup", b"", 200),
        ("is_ready", "GET", "/health/ready", b"", 200),
    ],
)
def test_what_is_answered_is_what_is_described(
    service: Service, name: str, method: str, path: str, body: bytes, status: int
):
    response = httpx.request(method, service.url + path, content=body)
    described = OPERATIONS[name]["responses"][str(status)]
    assert response.status_code == status
    fits(response.json(), described["content"][response.headers["content-type"]]["schema"])
    for header in described["headers"]:
        assert header in response.headers
