"""Every parameter of every query is understood as its model means it, however its type is written."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from chalicelib.api.bodies import query_of
from chalicelib.api.errors import RequestInvalid
from chalicelib.api.rooms import everything
from chalicelib.api.routing import ROUTES
from chalicelib.kernel.records import Day, Instant, Record

everything()

Number = Annotated[int, Field(ge=1)]

DAY, AT = "2026-03-15", "2026-03-15T04:00:00Z"


class Asked(Record):
    """Parameters in every way in which a type may be written."""

    plain: int = 0
    bounded: Annotated[int, Field(ge=1)] = 1
    maybe: int | None = None
    maybe_bounded: Annotated[int, Field(ge=1)] | None = None
    bounded_maybe: Annotated[int | None, Field(ge=1)] = None
    named: Number | None = None
    other_name: int | None = Field(default=None, alias="from")
    yes: bool = False
    maybe_yes: bool | None = None
    text: str | None = None
    word: Literal["a", "1"] | None = None
    day: Day | None = None
    at: Instant | None = None


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        *((each, "7", 7) for each in ("plain", "bounded", "maybe", "maybe_bounded", "bounded_maybe", "named")),
        *((each, text, text == "true") for each in ("yes", "maybe_yes") for text in ("true", "false")),
        ("text", "7", "7"), ("text", "true", "true"), ("word", "1", "1"),
        ("day", DAY, date(2026, 3, 15)), ("at", AT, datetime(2026, 3, 15, 4, tzinfo=UTC)),
    ],
)  # fmt: skip
def test_a_parameter_is_what_its_model_means(name: str, text: str, value: Any) -> None:
    assert getattr(query_of({name: text}, Asked), name) == value


def test_a_parameter_may_be_sent_under_another_name() -> None:
    assert query_of({"from": "7"}, Asked).other_name == 7


@pytest.mark.parametrize(("name", "text"), [("maybe_bounded", "0"), ("named", "07"), ("maybe_yes", "1"), ("day", "1")])
def test_what_it_does_not_mean_is_refused_with_its_name(name: str, text: str) -> None:
    with pytest.raises(RequestInvalid) as refused:
        query_of({name: text}, Asked)
    assert [each["pointer"] for each in refused.value.errors] == [f"/query/{name}"]


# ---------------------------------------------------------------- those that there are


def good(schema: dict[str, Any], defs: dict[str, Any]) -> Iterator[str]:
    """A text that fits, for each type that a parameter may have; of plain texts none."""
    if "$ref" in schema:
        schema = defs[schema["$ref"].rpartition("/")[2]]
    for each in (*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())):
        yield from good(each, defs)
    yield from map(str, schema.get("enum", ()))
    kind = schema.get("type")
    if kind in ("integer", "number"):
        yield str(max(1, schema.get("minimum", 1)))
    elif kind == "boolean":
        yield from ("true", "false")
    elif schema.get("format") in ("date", "date-time"):
        yield DAY if schema["format"] == "date" else AT


def parameters() -> list[tuple[type[BaseModel], str, str]]:
    """Every model of a query, with its parameters that are no plain text, and a text that fits each."""
    found = []
    for model in {route.query.__name__: route.query for route in ROUTES if route.query is not None}.values():
        schema = model.model_json_schema()
        for name, each in schema.get("properties", {}).items():
            found += [(model, name, text) for text in good(each, schema.get("$defs", {}))]
    return sorted(found, key=lambda each: (each[0].__name__, *each[1:]))


def test_there_are_parameters_of_every_kind() -> None:
    names = {(model.__name__, name) for model, name, _ in parameters()}
    assert len(names) >= 30
    assert {("TemplateAsked", "version"), ("RunQuery", "dry_run"), ("AuditQuery", "from")} <= names


@pytest.mark.parametrize(("model", "name", "text"), parameters(), ids=lambda each: getattr(each, "__name__", each))
def test_every_query_takes_what_its_documentation_says(model: type[BaseModel], name: str, text: str) -> None:
    try:
        query_of({name: text}, model)
    except RequestInvalid as refused:  # others may be missing
        assert f"/query/{name}" not in {each["pointer"] for each in refused.errors}
