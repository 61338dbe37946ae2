"""What events are: ids that follow from records, data without anything personal, schemas that leave room."""

import importlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.kernel.events import EventId, Told
from chalicelib.points.events import PointsExpiring
from chalicelib.relay.models import EVENT_TYPES, event_from, leads
from chalicelib.relay.service import FROM_ENTRY, FROM_ITEM, FROM_NOTE, SILENT, TELL, kind_of
from local.generate import event_schema
from local.settings import ROOT

parts = st.text(min_size=1, max_size=12)
TELLING = sorted((ROOT / "chalicelib").glob("*/telling.py"))


def test_an_id_is_frozen_for_ever_because_consumers_remember_it() -> None:
    assert EventId.of("O#pos#1", "O", "PointsEarned") == "evt_6nnjawbuhdpnmuustnj3sovn6trhtu4d"


@given(st.lists(st.tuples(parts, parts, st.sampled_from(sorted(EVENT_TYPES))), min_size=2, max_size=20, unique=True))
def test_another_record_or_another_type_is_another_id(keys: list[tuple[str, str, str]]) -> None:
    assert len({EventId.of(*key) for key in keys}) == len(keys)


PERSONAL = ("name", "mobile", "email", "birthday", "contact", "note", "words", "reason", "tags", "custom", "card")


def strings(schema: Any) -> list[dict[str, Any]]:
    """Every text that a schema lets in."""
    if isinstance(schema, list):
        return [found for each in schema for found in strings(each)]
    if not isinstance(schema, dict):
        return []
    own = [schema] if schema.get("type") == "string" else []
    return own + [found for value in schema.values() for found in strings(value)]


@pytest.mark.parametrize("name", sorted(EVENT_TYPES))
def test_an_event_has_no_place_for_free_text_or_a_persons_data(name: str) -> None:
    schema = json.loads(event_schema(name))
    for text in strings(schema):
        assert text.keys() & {"pattern", "enum", "format", "const"}, text
    for field in EVENT_TYPES[name].model_fields:
        assert field not in PERSONAL


@pytest.mark.parametrize("name", sorted(EVENT_TYPES))
def test_a_schema_names_its_type_and_version_and_lets_fields_come(name: str) -> None:
    schema = json.loads(event_schema(name))
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["properties"]["type"] == {"const": name}
    assert schema["properties"]["version"]["const"] == EVENT_TYPES[name].version
    assert "additionalProperties" not in json.dumps(schema)
    assert EVENT_TYPES[name].__doc__


def test_every_event_that_a_domain_declares_is_registered() -> None:
    def below(kind: type[Told]) -> set[type[Told]]:
        return {kind} | {each for child in kind.__subclasses__() for each in below(child)}

    bases = {"Told", "FromEntry", "Leading", "ByHand", "CardLeading", "CardGiving", "CardGivenBack"}
    assert {kind.__name__ for kind in below(Told)} - bases == set(EVENT_TYPES)


def test_no_kind_of_record_is_told_of_by_two_domains_or_by_none() -> None:
    found = [vars(importlib.import_module(f"chalicelib.{each.parent.name}.telling")) for each in TELLING]
    joined: dict[str, dict[str, Any]] = {"FROM_ENTRY": FROM_ENTRY, "FROM_NOTE": FROM_NOTE, "FROM_ITEM": FROM_ITEM}
    chosen = {"FROM_ENTRY": {"expire", "hold_end"}}  # by the account, or by what held the points
    for table, whole in joined.items():
        kinds = [kind for module in found for kind in module.get(table, ())]
        assert len(kinds) == len(set(kinds))
        assert {*kinds, *chosen.get(table, ())} == set(whole)
    assert not TELL.keys() & SILENT.keys()


def test_types_that_lead_are_the_ones_that_the_guide_names() -> None:
    guide = (ROOT / "docs" / "events" / "README.md").read_text()
    rows = [line.split("|")[1].strip(" `") for line in guide.splitlines() if line.startswith("| `")]
    from chalicelib.points.events import Leading

    assert set(rows) == {name for name, kind in EVENT_TYPES.items() if issubclass(kind, Leading)} | {"PointsSpent"}


def test_an_event_that_came_with_a_newer_version_is_read_by_an_older_one() -> None:
    body = {
        "event_id": EventId.of("H#a", "b", "PointsExpiring"), "type": "PointsExpiring", "version": 1,
        "member_id": "mem_aaaaaaaaaaaaaaaa", "seq": None, "occurred_at": "2026-03-15T04:00:00Z",
        "recorded_at": "2026-03-15T04:00:00Z", "came_later": 1,
        "data": {"points": 5, "expires_on": "2026-03-31", "came_later": 2},
    }  # fmt: skip
    read = event_from(json.dumps(body))
    assert read.data == PointsExpiring.model_validate_json('{"points":5,"expires_on":"2026-03-31"}')
    assert not leads(read)


@pytest.mark.parametrize(
    ("pk", "sk", "item", "kind"),
    [
        ("O#pos#1", "O", {"r": "e"}, "entry"),
        ("O#pos#1", "O", {"is": "waiting"}, "O waiting"),
        ("O#pos#1", "RF#r1", {"no": "nothing_left"}, "O refused"),
        ("O#pos#1", "RF#r1", {"r": "r"}, "entry"),
        ("K#spend#1", "O", {"r": "s"}, "entry"),
        ("K#enrol#r", "O", {}, "K enrol"),
        ("M#abc", "PROFILE", {}, "M PROFILE"),
        ("M#abc", "ACCOUNT", {}, "M ACCOUNT"),
        ("C#abc", "TU#1", {"r": "e"}, "entry"),
        ("C#abc", "PROFILE", {}, "C PROFILE"),
        ("C#abc", "OWNER", {}, "C OWNER"),
        ("C#abc", "ACCOUNT", {}, "C ACCOUNT"),
        ("U#mobile#x", "U", {}, "U"),
        ("H#abc", "0", {"kind": "edited"}, "H edited"),
        ("PROGRAM", "HEAD", {}, "PROGRAM HEAD"),
        ("PROGRAM", "V#000001", {}, "PROGRAM V"),
        ("STF#stf_a", "STF", {}, "STF"),
        ("ROLES", "barista", {}, "ROLES"),
        ("ADMINS", "ADMINS", {}, "ADMINS"),
        ("APR#apr_a", "APR", {}, "APR"),
        ("ALW#stf_a#mem_a", "ALW", {}, "ALW"),
    ],
)
def test_items_are_told_apart_by_their_keys(pk: str, sk: str, item: dict[str, Any], kind: str) -> None:
    assert kind_of(pk, sk, item) == kind
    assert all(SILENT.values())
