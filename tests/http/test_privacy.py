"""Personal data are masked for everybody but the member; showing them needs a reason and leaves a record."""

from datetime import timedelta
from typing import Any

import pytest

from chalicelib.identity.models import Caller, Kind
from chalicelib.identity.permissions import ROLES
from chalicelib.kernel.errors import StorageBusy
from chalicelib.kernel.ids import MemberId
from chalicelib.privacy.store import place_of
from chalicelib.runtime import wiring
from chalicelib.runtime.wiring import House
from chalicelib.storage.keys import Key
from chalicelib.storage.words import Words
from tests.http.conftest import CountingTable, Look
from tests.makers import Api

LABEL = {"zh": "项", "en": "Field"}
ID_NUMBER = "11010519491231002X"
WHOLE: dict[str, Any] = {
    "name": "欧阳娜娜",
    "mobile": "13800138000",
    "email": "Zhang.San@example.com",
    "card_no": "VIP-0012345678",
    "external_ids": [{"source": "wechat", "id": "oAbCdEf123456"}],
    "birthday": "1990-03-15",
    "bank_cards": [{"bank": "工商银行", "last_four": "8888", "token": "tok-77"}],
    "custom": {"diet": "halal", "id": ID_NUMBER, "pet": "cat"},
    "consents": [{"purpose": "id_number", "granted": True, "text_version": "1"}],
}
MASKED = {
    "name": "欧***",
    "mobile": "+86138****8000",
    "email": "z***@example.com",
    "card_no": "****5678",
    "external_ids": [{"source": "wechat", "id": "****3456"}],
    "birthday": "--03-15",
    "bank_cards": [{"bank": "工商银行", "last_four": "8888", "token": "***"}],
    "custom": {"diet": "***", "id": "***", "pet": "cat"},
    "personal_custom": ["diet", "id"],
}
CLEAR = {
    **{name: WHOLE[name] for name in ("name", "card_no", "external_ids", "birthday", "bank_cards")},
    "mobile": "+8613800138000",
    "email": "zhang.san@example.com",
    "custom": {"diet": "halal", "id": ID_NUMBER},
}


@pytest.fixture
def member(api: Api) -> dict[str, Any]:
    """A member with everything personal that there is."""
    terms = api.get("/v1/program").json
    api.publish_texts("id_number")
    fields = {
        "diet": {"type": "text", "label": LABEL, "personal": True},
        "id": {"type": "id_number", "label": LABEL},
        "pet": {"type": "text", "label": LABEL},
    }
    body = {name: terms[name] for name in terms if name not in ("published_at", "former_ladders")}
    assert api.put("/v1/program", {**body, "custom_fields": fields}).status == 200
    api.clock.forward(seconds=30)
    return api.enrol(**WHOLE)


def shown(member: dict[str, Any], names: dict[str, Any] = MASKED) -> dict[str, Any]:
    return {name: member[name] for name in names}


def test_every_answer_about_a_member_is_masked_for_every_role(api: Api, member: dict[str, Any]) -> None:
    path = f"/v1/members/{member['member_id']}"
    assert shown(member) == MASKED
    for role in sorted(ROLES.keys() - {"member", "analyst"}):
        asked = api.as_(role)
        assert shown(asked.get(path).json) == MASKED, role
        (found,) = asked.get("/v1/members", mobile="13800138000").json["items"]
        assert shown(found) == MASKED, role
    edited = api.patch(path, {"version": 1, "tags": ["vip"]}).json
    assert shown(edited) == MASKED
    assert shown(api.post(f"{path}/suspensions", {"reason": "lost"}).json) == MASKED


class _Member:
    """A gate that takes everybody for one member."""

    def __init__(self, member_id: str) -> None:
        self.member_id = MemberId(member_id)

    def caller_of(self, authorization: str | None, *, now: Any) -> Caller:
        """See `Gate.caller_of`."""
        own = self.member_id
        return Caller(Kind.MEMBER, subject=own, roles=("member",), grants=ROLES["member"], member_id=own)


def test_members_see_their_own_data_as_they_are(api: Api, house: House, member: dict[str, Any]) -> None:
    from dataclasses import replace

    wiring.use(replace(house, gate=_Member(member["member_id"])))
    own = api.get("/v1/me").json
    asked = {name: CLEAR[name] for name in ("name", "mobile", "email", "card_no", "birthday")}
    assert shown(own, asked) == asked


def test_what_was_read_masked_and_is_sent_back_changes_nothing(api: Api, member: dict[str, Any]) -> None:
    path = f"/v1/members/{member['member_id']}"
    back = {name: member[name] for name in ("name", "email", "card_no", "birthday", "custom", "bank_cards")}
    edited = api.patch(path, {**back, "version": 1})
    assert (edited.status, shown(edited.json)) == (200, MASKED)
    assert api.unmasked(member["member_id"], *CLEAR) == {**CLEAR, "other_identifiers": []}
    assert api.patch(path, {"mobile": member["mobile"], "version": 2}).code == "request_invalid"


def test_showing_names_what_is_shown_and_leaves_a_record_without_it(
    api: Api, house: House, look: Look, member: dict[str, Any]
) -> None:
    before = look()
    reply = api.post(
        f"/v1/members/{member['member_id']}/unmaskings", {"fields": ["mobile", "name"], "reason": "calls back"}
    )
    assert (reply.status, reply.json["member_id"]) == (201, member["member_id"])
    values = {name: value for name, value in reply.json["values"].items() if value}
    assert values == {"mobile": "+8613800138000", "name": "欧阳娜娜"}
    (key,) = (each for each in look().keys() - before.keys() if not each.pk.startswith("A#"))
    assert key == Key("UM#2026-03-15", reply.json["unmasking_id"])
    kept = look()[key]
    assert (kept["member_id"], kept["what"]) == (member["member_id"], {"fields": ["mobile", "name"], "by": "stf_admin"})
    words = Words(house.table, house.keyring.contacts)
    assert words.open(place_of(key.sk), kept["reason"]) == "calls back"
    assert "calls back" not in str(kept)
    assert "13800138000" not in str(kept)
    assert "欧" not in str(kept)


def test_each_showing_leaves_a_record_of_its_own(api: Api, look: Look, member: dict[str, Any]) -> None:
    for _ in range(3):
        api.unmasked(member["member_id"], "name")
    assert sum(key.pk.startswith("UM#") for key in look()) == 3


def test_without_its_record_nothing_is_shown(
    api: Api, counting: CountingTable, monkeypatch: pytest.MonkeyPatch, member: dict[str, Any]
) -> None:
    def busy(*_: Any, **__: Any) -> None:
        raise StorageBusy

    monkeypatch.setattr(counting, "commit", busy)
    reply = api.post(f"/v1/members/{member['member_id']}/unmaskings", {"fields": ["mobile"], "reason": "asked"})
    assert (reply.status, "138" in reply.text) == (503, False)


@pytest.mark.parametrize("role", sorted(ROLES))
def test_only_those_who_answer_for_members_may_see_them(api: Api, member: dict[str, Any], role: str) -> None:
    reply = api.as_(role).post(
        f"/v1/members/{member['member_id']}/unmaskings", {"fields": ["name"], "reason": "calls back"}
    )
    assert reply.status == (201 if role in ("admin", "agent", "shop_manager") else 403)


@pytest.mark.parametrize(
    "body",
    [
        {"fields": ["name"]}, {"fields": [], "reason": "x"}, {"fields": ["name", "name"], "reason": "x"},
        {"fields": ["gender"], "reason": "asked"}, {"fields": ["name"], "reason": " "},
        *({"fields": ["name"], "reason": reason} for reason in ("abc", "a.b c", "aaaa", "AaAaA", "11 11", "好好好好")),
    ],
)  # fmt: skip
def test_a_showing_needs_fields_and_a_reason(
    api: Api, counting: CountingTable, member: dict[str, Any], body: dict[str, Any]
) -> None:
    before = counting.commits
    assert api.post(f"/v1/members/{member['member_id']}/unmaskings", body).code == "request_invalid"
    assert counting.commits == before


def test_the_document_says_how_long_a_reason_is(api: Api) -> None:
    schemas = api.get("/v1/openapi.json").json["components"]["schemas"]
    reason = schemas["Unmask"]["properties"]["reason"]
    assert (reason["minLength"], reason["maxLength"]) == (4, 1000)
    assert "four letters or digits" in reason["description"]


def test_a_member_whose_key_is_gone_is_shown_without_contact_data(
    api: Api, house: House, member: dict[str, Any]
) -> None:
    member_id = member["member_id"]
    house.keyring.contacts.vault.forget(member_id)  # type: ignore[attr-defined]
    api.clock.now += timedelta(seconds=1)
    found = api.get(f"/v1/members/{member_id}").json
    assert [found[name] for name in ("name", "mobile", "email", "card_no")] == [None] * 4
    assert (found["external_ids"], found["bank_cards"], found["custom"]) == ([], [], {"pet": "cat"})
    assert found["birthday"] == "--03-15", "the day alone stays with the profile until that goes too"
    assert api.get(f"/v1/members/{member_id}/points").status == 200
    assert api.buy(member_id)["points_earned"] == 38
