"""A member's export has no word that staff wrote for each other, whichever route took it."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from pydantic import TypeAdapter

from chalicelib.api.openapi import document
from chalicelib.kernel.records import Note
from tests.http.test_journeys import BODY, tray, walking
from tests.http.test_templates import made
from tests.makers import Api, Reply

__all__ = ["tray", "walking"]

Field = tuple[str, str]
"""A route, `POST /v1/…`, and a field of its body that takes free text."""

FREE = TypeAdapter(Note).json_schema()["pattern"]

NOT_OF_A_MEMBER = {
    "POST /v1/alerts/{alert_id}/acknowledgements": "about what somebody of the staff did",
    "POST /v1/campaigns/{campaign_id}/cancel": "about a campaign",
    "POST /v1/campaigns/{campaign_id}/launch": "about a campaign",
    "POST /v1/campaigns/{campaign_id}/pause": "about a campaign",
    "POST /v1/campaigns/{campaign_id}/resume": "about a campaign",
    "POST /v1/integration-keys": "about a key",
    "POST /v1/integration-keys/{key_id}/revocations": "about a key",
    "POST /v1/integration-keys/{key_id}/rotations": "about a key",
    "POST /v1/journeys/{journey_id}/activate": "about a journey",
    "POST /v1/journeys/{journey_id}/archive": "about a journey",
    "POST /v1/journeys/{journey_id}/close": "about a journey",
    "POST /v1/journeys/{journey_id}/end": "about a journey",
    "POST /v1/journeys/{journey_id}/pause": "about a journey",
    "PUT /v1/roles/{role}": "about a role",
    "POST /v1/roles/{role}/removals": "about a role",
    "POST /v1/segments": "about a segment",
    "PATCH /v1/segments/{segment_id}": "about a segment",
    "PATCH /v1/staff/{staff_id}": "about staff",
    "POST /v1/staff/{staff_id}/reinstatements": "about staff",
    "POST /v1/staff/{staff_id}/suspensions": "about staff",
}
"""Routes whose words are of no member, and why."""

TO_THE_MEMBER = {"note_to_member", "message"}
"""Fields that are written for members to read: by staff, or by whoever gives points."""


def free_text() -> set[Field]:
    """Every field of every body that takes a note or a reason, as the product's own document has them."""
    told = document()
    schemas = told["components"]["schemas"]

    def names(schema: Mapping[str, Any], seen: frozenset[str]) -> Iterator[str]:
        if (ref := schema.get("$ref")) is not None:
            if ref not in seen:
                yield from names(schemas[ref.rsplit("/", 1)[1]], seen | {ref})
            return
        for way in ("anyOf", "oneOf", "allOf"):
            for each in schema.get(way, ()):
                yield from names(each, seen)
        if "items" in schema:
            yield from names(schema["items"], seen)
        for name, each in schema.get("properties", {}).items():
            options = [each, *each.get("anyOf", ())]
            free = any(one.get("pattern") == FREE and one.get("maxLength", 0) <= 1000 for one in options)
            if free or (
                name in ("reason", "note")
                and any(
                    one.get("type") == "string" and not (one.get("enum") or one.get("pattern") or "const" in one)
                    for one in options
                )
            ):
                yield name
            yield from names(each, seen)

    found = set()
    for path, methods in told["paths"].items():
        for method, route in methods.items():
            for content in route.get("requestBody", {}).get("content", {}).values():
                found |= {(f"{method.upper()} {path}", name) for name in names(content["schema"], frozenset())}
    return found


@dataclass
class Desk:
    """Sends what staff send, with a marked word in every field of theirs, and keeps which fields had one."""

    api: Api
    marked: dict[Field, str] = field(default_factory=dict)
    sent: int = 0

    def does(self, route: str, body: dict[str, Any], *words: str, api: Api | None = None, **ids: str) -> Reply:
        """Send it; `words` are the fields that get a marked word."""
        method, path = route.split(" ")
        for name in words:
            body[name] = self.marked[route, name] = f"kanali word {len(self.marked):03}"
        self.sent += 1
        reply = (api or self.api).send(method, path.format(**ids), body, Idempotency_Key=f"k{self.sent}")
        assert reply.status in (200, 201, 202), (route, reply.text)
        return reply


def a_much_written_of_life(api: Api) -> tuple[Desk, str, list[Callable[[], Reply]]]:
    """Somebody about whom staff wrote wherever they can; and what shows everything that is kept of them."""
    desk, agent = Desk(api), api.as_("agent")
    terms = {k: v for k, v in api.get("/v1/program").json.items() if k not in ("published_at", "former_ladders")}
    api.put("/v1/program", {**terms, "transfers": {**terms["transfers"], "enabled": True}})
    member, other, third = (api.enrol(name="甲", mobile=f"1391234567{n}")["member_id"] for n in range(3))
    me = {"member_id": member}
    own = "POST /v1/members/{member_id}"
    api.buy(member, 90_000)
    gift: dict[str, Any] = {"to": {"member_id": third}, "points": 5}
    transfer = desk.does(f"{own}/point-transfers", gift, "message", **me).json["transfer_id"]
    desk.does("POST /v1/point-transfers/{transfer_id}/cancel", {}, transfer_id=transfer)
    desk.does(f"{own}/suspensions", {}, "reason", **me)
    desk.does(f"{own}/reinstatements", {}, "reason", **me)
    desk.does("PATCH /v1/members/{member_id}", {"version": 1, "mobile": "13912345699"}, "reason", **me)
    desk.does(f"{own}/unmaskings", {"fields": ["mobile"]}, "reason", **me)
    notes = ("note_internal", "note_to_member")
    given = desk.does(f"{own}/point-adjustments", {"points": 50, "reason_code": "goodwill"}, *notes, **me).json
    desk.does(
        "POST /v1/point-entries/{entry_id}/reversals", {"reason_code": "mistake"}, *notes, entry_id=given["entry_id"]
    )
    for decision in ("approvals", "rejections"):
        large = {"points": 20_000, "reason_code": "goodwill", "note_internal": "kanali word asked"}
        asked = desk.does(f"{own}/point-adjustments", large, api=agent, **me).json["approval_id"]
        desk.does(f"POST /v1/approvals/{{approval_id}}/{decision}", {}, "reason", approval_id=asked)
    card = desk.does(f"{own}/cards", {"kind": "stored_value"}, "reason", **me).json["card_id"]
    paid = {"amount_minor": 300, "means": [{"kind": "cash", "amount_minor": 300}]}
    desk.does("POST /v1/cards/{card_id}/top-ups", paid, "reason", card_id=card)
    desk.does("POST /v1/cards/{card_id}/suspensions", {}, "reason", card_id=card)
    desk.does("POST /v1/cards/{card_id}/reinstatements", {}, "reason", card_id=card)
    desk.does("POST /v1/cards/{card_id}/refunds", {}, card_id=card)
    desk.does("POST /v1/cards/{card_id}/closures", {}, "reason", card_id=card)
    pool = desk.does("POST /v1/pools", {"owner_id": member, "name": "Home"}).json["pool_id"]
    desk.does("PUT /v1/pools/{pool_id}/members/{member_id}", {}, "reason", pool_id=pool, member_id=third)
    desk.does("POST /v1/pools/{pool_id}/contributions", {**me, "points": 5}, "reason", pool_id=pool)
    address = {"channel": "sms", "address": "13912345699"}
    stopped = desk.does("POST /v1/suppressions", address, "reason").json["suppression_id"]
    desk.does("POST /v1/suppressions/{suppression_id}/lifts", {}, "reason", suppression_id=stopped)
    journey = {"journey_id": api.post("/v1/journeys", BODY, key="j").json["journey_id"]}
    desk.does("POST /v1/journeys/{journey_id}/activate", {"version": 1}, **journey)
    desk.does("POST /v1/journeys/{journey_id}/entries", {"member_ids": [member]}, "reason", **journey)
    api.publish_texts("marketing")
    template = made(api)["template_id"]
    desk.does("POST /v1/templates/{template_id}/previews", {**me}, "unmask_reason", template_id=template)
    for _ in range(2):
        two = {"from_member_id": other, "into_member_id": member}
        merge = desk.does("POST /v1/member-merges", two, "reason").json["merge_id"]
        if ("POST /v1/member-merges/{merge_id}/undo", "reason") not in desk.marked:
            desk.does("POST /v1/member-merges/{merge_id}/undo", {}, "reason", merge_id=merge)
            desk.marked["POST /v1/member-merges", "reason, of one undone"] = desk.marked.pop(
                ("POST /v1/member-merges", "reason")
            )
    shows = [
        lambda: desk.does(f"{own}/exports", {}, "reason", **me),
        lambda: desk.does(f"{own}/export-pages", {}, "reason", **me),
        lambda: api.post(f"/v1/members/{member}/exports", {"reason": "asked by letter"}),
        *(
            lambda language=language: api.post(
                f"/v1/members/{member}/export-pages", {"reason": "asked by letter"}, Accept_Language=language
            )
            for language in ("zh", "en")
        ),
    ]
    return desk, member, shows


def test_every_route_that_takes_words_of_staff_is_decided_on(walking: Api) -> None:
    desk, _, shows = a_much_written_of_life(walking)
    for show in shows:
        assert show().status == 201
    asked = {each for each in free_text() if each[0] not in NOT_OF_A_MEMBER and not each[0].startswith("POST /v1/me/")}
    written = set(desk.marked) | {("POST /v1/members/{member_id}/closures", "reason")}
    written -= {("POST /v1/member-merges", "reason, of one undone")}
    assert asked == written, "a new one is written in the life above, or said to be of no member"
    assert NOT_OF_A_MEMBER.keys() <= {route for route, _ in free_text()}


@pytest.mark.parametrize("closed", [False, True])
def test_no_word_that_staff_wrote_for_each_other_is_in_an_export(walking: Api, closed: bool) -> None:
    desk, member, shows = a_much_written_of_life(walking)
    if closed:
        for each in walking.get(f"/v1/members/{member}/pools").json["items"]:
            assert walking.post(f"/v1/pools/{each['pool_id']}/closures", {}).status == 201
        desk.does("POST /v1/members/{member_id}/closures", {"forfeit_points": True}, "reason", member_id=member)
    answers = [reply.text for show in shows for reply in [show()]]
    assert all("甲" in each or "\\u7532" in each for each in answers), "they are exports"
    for_the_member = {each: word for each, word in desk.marked.items() if each[1] in TO_THE_MEMBER}
    assert for_the_member
    for answer in answers:
        found = [each for each, word in desk.marked.items() if word in answer and each not in for_the_member]
        assert found == []
        assert "kanali word asked" not in answer
        assert [each for each, word in for_the_member.items() if word not in answer] == []
    assert "stf_" not in answers[2], "nor who of the staff"
    assert json.loads(answers[2])["records"]
