"""The examples of the OpenAPI document: there is one wherever a pattern asks for something, and it fits."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from chalicelib.api.openapi import document
from chalicelib.members.models import EnrolMember
from chalicelib.points.models import AdjustPoints
from chalicelib.purchases.models import RecordPurchase
from chalicelib.segments.models import CountMembers, CreateSegment

DOCUMENT = document()
COMPONENTS = DOCUMENT["components"]


def strings(schema: Any) -> Iterator[dict[str, Any]]:
    """Every string with a pattern that a form would make up."""
    if isinstance(schema, list):
        for each in schema:
            yield from strings(each)
    elif isinstance(schema, dict) and "patternProperties" not in schema:
        if "pattern" in schema and "default" not in schema:
            yield schema
        for name, each in schema.items():
            if name not in ("additionalProperties", "examples"):
                yield from strings(each)


def test_each_string_of_a_pattern_has_an_example_that_fits() -> None:
    found = list(strings([each["properties"] for each in COMPONENTS["schemas"].values() if "properties" in each]))
    assert len(found) > 300
    for each in found:
        (example,) = each.get("examples", [""])
        assert re.search(each["pattern"], example), each
        assert example, each
        assert each.get("minLength", 0) <= len(example) <= each.get("maxLength", 10_000), each


@pytest.mark.parametrize(
    "model", [AdjustPoints, CountMembers, CreateSegment, EnrolMember, RecordPurchase], ids=lambda model: model.__name__
)
def test_a_whole_body_is_one_that_is_taken(model: type[BaseModel]) -> None:
    (example,) = COMPONENTS["schemas"][model.__name__]["examples"]
    assert model.model_validate_json(json.dumps(example), strict=True)


def test_each_fault_of_each_route_is_shown_as_it_is() -> None:
    shown = 0
    for path in DOCUMENT["paths"].values():
        for operation in path.values():
            for status, response in operation["responses"].items():
                name = response.get("$ref", "").removeprefix("#/components/responses/")
                content = COMPONENTS["responses"][name]["content"] if name else {}
                for code, named in content.get("application/problem+json", {}).get("examples", {}).items():
                    assert named == {"$ref": f"#/components/examples/{code}"}
                    sample = COMPONENTS["examples"][code]["value"]
                    assert (str(sample["status"]), sample["code"]) == (status, code)
                    assert sample["type"] == f"urn:regulars:problem:{code}"
                    assert COMPONENTS["schemas"]["Problem"]["required"] == list(sample)
                    shown += 1
    assert shown > 1000
