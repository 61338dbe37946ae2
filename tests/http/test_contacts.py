"""Nobody takes a membership over by changing what its member signs in by."""

from typing import Any

import pytest

from chalicelib.identity.permissions import ROLES
from chalicelib.members.telling import FROM_NOTE
from chalicelib.notices import service as notices
from chalicelib.notices.models import Channel, Notice
from chalicelib.points import store as points_store
from chalicelib.programs.service import book_of
from chalicelib.relay.service import TELL
from chalicelib.runtime.wiring import House
from tests.http.conftest import Look
from tests.makers import Api
from tests.signing_in import Phones, ask, refresh, signed_in

MOBILE, OTHER, THIEF = "+8613800138000", "+8613900139000", "+8613700137000"
WHY = "asked at the till, with passport"


@pytest.fixture
def member(api: Api) -> dict[str, Any]:
    """A member of the shop that clerks and managers of the tests work in."""
    return api.as_("clerk").enrol(mobile=MOBILE, name="卡娜丽", birthday="1990-03-15")


def path(member: dict[str, Any]) -> str:
    """Where a member is."""
    return f"/v1/members/{member['member_id']}"


def change(api: Api, member: dict[str, Any], **fields: Any) -> Any:
    """Edit a member as they are now."""
    version = api.as_("admin").get(path(member)).json["version"]
    return api.patch(path(member), {"version": version, **fields})


@pytest.mark.parametrize("fields", [{"mobile": THIEF}, {"mobile": None, "email": "thief@example.com"}])
@pytest.mark.parametrize("role", ["clerk", "integration"])
def test_a_till_exchanges_no_number(api: Api, member: dict[str, Any], role: str, fields: dict[str, Any]) -> None:
    for more in ({}, {"dry_run": True}):
        refused = change(api.as_(role), member, reason=WHY, **fields, **more)
        assert (refused.status, refused.code) == (403, "permission_missing")
        assert refused.json["facts"] == {"permission": "members:change_contact"}
    assert api.get("/v1/members", mobile=MOBILE).json["items"]
    kept = change(api.as_(role), member, mobile="138 0013 8000", name="王")
    assert kept.status == 200, "the same number is no other"


def test_a_till_fills_in_what_is_missing(api: Api, member: dict[str, Any]) -> None:
    given = change(api.as_("clerk"), member, email="kana@example.com")
    assert (given.status, given.json["contact_hold"]["by_member"]) == (200, False)


@pytest.mark.parametrize("role", sorted(ROLES))
def test_who_may_exchange_a_number(api: Api, member: dict[str, Any], role: str) -> None:
    done = change(api.as_(role), member, mobile=OTHER, reason=WHY)
    assert (done.status == 200) is (role in ("shop_manager", "agent", "admin")), done.text


def test_it_takes_a_reason(api: Api, member: dict[str, Any]) -> None:
    assert change(api, member, mobile=OTHER).code == "reason_needed"
    assert change(api, member, mobile=OTHER, reason="... - !!").status == 422


def test_a_manager_changes_nothing_of_other_shops_members_and_does_not_fetch_them(api: Api) -> None:
    theirs = api.enrol(mobile=MOBILE, shop_id="shp_other")
    nobodys = api.enrol(mobile=OTHER)
    manager = api.as_("shop_manager")
    for member in (theirs, nobodys):
        assert manager.get(path(member)).status == 200
        for fields in ({"mobile": THIEF, "reason": WHY}, {"shop_id": "shp_main"}, {"shop_id": None}):
            refused = change(manager, member, **fields)
            if fields == {"shop_id": None} and member is nobodys:
                continue
            assert (refused.status, refused.code) == (403, "home_shop_not_yours"), fields
    own = manager.enrol(card_no="c-1")
    for shop in ("shp_other", None):
        assert change(manager, own, shop_id=shop).code == "shop_not_yours", "nor do they send their own elsewhere"


def test_whoever_signs_in_by_a_new_number_sees_and_takes_nothing_for_three_days(
    api: Api, house: House, member: dict[str, Any]
) -> None:
    api.enrol(card_no="friend")
    api.buy(member["member_id"])
    old = signed_in(api, house, mobile=MOBILE)
    assert change(api.as_("shop_manager"), member, mobile=THIEF, reason=WHY).status == 200
    assert refresh(api, old["refresh_token"]).code == "refresh_invalid", "the session before is over"
    api.clock.forward(minutes=1)
    token = signed_in(api, house, mobile=THIEF)
    me = api.with_(token["access_token"])
    seen = me.get("/v1/me").json
    assert [seen[name] for name in ("name", "mobile", "birthday")] == ["卡**", "+86137****7000", "--03-15"]
    until = "2026-03-18T04:00:00+00:00"
    code = ask(api, mobile=OTHER, purpose="contact_change").json["request_id"]
    refused = [
        me.post("/v1/me/exports", {}),
        me.post("/v1/me/export-pages", {}),
        me.post("/v1/me/erasures", {}),
        me.post("/v1/me/point-transfers", {"points": 1, "to": {"card_no": "friend"}}, key="t"),
        me.post(
            "/v1/me/contact-changes",
            {"request_id": code, "code": Phones(house).code(code), "mobile": OTHER, "version": seen["version"]},
        ),
    ]
    for reply in refused:
        assert (reply.status, reply.code) == (409, "contact_changed_lately"), reply.text
        assert reply.json["facts"] == {"until": until}
    guess = me.patch("/v1/me", {"version": seen["version"], "birthday": "1990-03-15"})
    assert guess.code == "birthday_fixed", "nothing tells a right guess"
    assert me.patch("/v1/me", {"version": seen["version"], "birthday": seen["birthday"]}).status == 200

    api.clock.forward(days=3)
    me = api.with_(signed_in(api, house, mobile=THIEF)["access_token"])
    assert me.get("/v1/me").json["mobile"] == THIEF
    assert me.post("/v1/me/exports", {}).status == 201
    assert me.post("/v1/me/erasures", {"forfeit": True}).status == 201


def test_a_number_that_somebody_fills_in_opens_no_more(api: Api, house: House, member: dict[str, Any]) -> None:
    """Else a clerk would give an e-mail address of their own to whoever has none."""
    mine = signed_in(api, house, mobile=MOBILE)
    change(api.as_("clerk"), member, email="thief@example.com")
    thief = api.with_(signed_in(api, house, email="thief@example.com")["access_token"])
    assert thief.get("/v1/me").json["mobile"] == "+86138****8000"
    assert thief.post("/v1/me/exports", {}).code == "contact_changed_lately"
    assert refresh(api, mine["refresh_token"]).status == 200, "what the member signs in by is what it was"


def test_who_changes_their_own_number_goes_on_and_others_do_not(api: Api, house: House, member: dict[str, Any]) -> None:
    lost = signed_in(api, house, mobile=MOBILE)
    api.clock.forward(minutes=2)
    own = signed_in(api, house, mobile=MOBILE)
    me = api.with_(own["access_token"])
    asked = ask(api, mobile=OTHER, purpose="contact_change").json["request_id"]
    body = {"request_id": asked, "code": Phones(house).code(asked), "mobile": OTHER, "version": 1}
    done = me.post("/v1/me/contact-changes", body)
    assert (done.status, done.json["mobile"], done.json["contact_hold"]["by_member"]) == (200, OTHER, True)
    assert [each["session_id"] for each in me.get("/v1/me/sessions").json["items"]] == [own["session_id"]]
    assert refresh(api, own["refresh_token"]).status == 200
    assert refresh(api, lost["refresh_token"]).code == "refresh_invalid"
    assert me.post("/v1/me/exports", {}).code == "contact_changed_lately"


class Kept:
    """Keeps notices with their addresses."""

    def __init__(self) -> None:
        self.notices: list[Notice] = []

    def send(self, notice: Notice) -> None:
        """See `Sender.send`."""
        self.notices.append(notice)


def told(house: House, look: Look) -> list[tuple[Channel, str]]:
    """Whom the last edit is told to, and where."""
    sender = Kept()
    note = max((item for item in look().values() if item.get("kind") == "edited"), key=lambda item: str(item["at"]))
    for event in TELL["H edited"](note):
        notices.tell(house.table, house.ops, house.keyring, book_of(house.table).current(house.clock()), sender, event)
    assert all(not each.opt_out and each.text for each in sender.notices)
    return [(each.channel, each.to) for each in sender.notices]


def test_the_number_before_is_told_whatever_was_said_of_consents(
    api: Api, house: House, look: Look, member: dict[str, Any]
) -> None:
    no = {"purpose": "notices", "granted": False, "text_version": "1"}
    assert api.as_("clerk").post(f"{path(member)}/consents", {"consents": [no]}).status == 200
    change(api, member, email="thief@example.com")
    assert told(house, look) == [(Channel.SMS, MOBILE)], "what was given is told to what there was"
    api.clock.forward(minutes=1)
    change(api, member, mobile=THIEF, reason=WHY)
    assert told(house, look) == [(Channel.SMS, MOBILE)]
    api.clock.forward(minutes=1)
    change(api, member, mobile=None, email="other@example.com", reason=WHY)
    assert told(house, look) == [(Channel.SMS, THIEF), (Channel.EMAIL, "thief@example.com")]
    api.clock.forward(minutes=1)
    change(api, member, name="王")
    assert told(house, look) == []


def test_an_old_number_is_forgotten_with_the_next_edit_after_three_days(
    api: Api, house: House, member: dict[str, Any]
) -> None:
    change(api, member, mobile=OTHER, reason=WHY)
    api.clock.forward(days=3)
    change(api, member, name="王")
    made = api.post(f"{path(member)}/exports", {"reason": "asked by letter"}).text
    assert MOBILE not in made


def test_the_event_says_who_and_not_what(api: Api, look: Look, member: dict[str, Any]) -> None:
    change(api.as_("agent"), member, mobile=OTHER, reason=WHY)
    note = max((item for item in look().values() if item.get("kind") == "edited"), key=lambda item: str(item["at"]))
    _, event = FROM_NOTE["edited"](points_store.happened_from(note))
    assert event.model_dump(mode="json") == {
        "given": [], "replaced": ["mobile"], "changed_by": "stf_agent", "merged_id": None,
    }  # fmt: skip
    entry = api.get("/v1/audit-entries", action="edit_member").json["items"][0]
    assert entry["reason"] == WHY
