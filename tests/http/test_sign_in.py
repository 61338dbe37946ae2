"""Members sign in over HTTP: by a code, by a refresh token; what is refused, and that who asks is told nothing."""

import re
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.kernel.errors import StorageBusy
from chalicelib.kernel.personal import Kind, masked
from chalicelib.runtime import wiring
from chalicelib.runtime.wiring import House
from chalicelib.storage.carriers import Message, MessageRefused
from chalicelib.storage.dynamo import Dynamo
from chalicelib.storage.table import DynamoTable
from tests.http.conftest import Look
from tests.makers import Api
from tests.signing_in import Phones, ask, refresh, signed_in, try_code
from tests.table.stand import scan

MOBILE, OTHER = "+8613800138000", "+8613900139000"


@pytest.fixture
def member(api: Api) -> dict[str, Any]:
    """A member with a mobile number and an e-mail address."""
    return api.enrol(mobile=MOBILE, email="wang@example.com")


@pytest.fixture
def phones(house: House) -> Phones:
    """Where codes come to."""
    return Phones(house)


def wrong(code: str) -> str:
    """A code that is not this one."""
    return f"{(int(code) + 1) % 10 ** len(code):0{len(code)}d}"


def test_a_member_signs_in_by_a_code_and_sees_themselves(api: Api, house: House, member: dict[str, Any]) -> None:
    asked = ask(api, mobile="138 0013 8000")
    assert asked.json == {
        "request_id": asked.json["request_id"], "expires_at": "2026-03-15T04:05:00Z", "resend_after": 60, "digits": 6,
    }  # fmt: skip
    (message,) = Phones(house).messages()
    assert message["to"] == masked(Kind.MOBILE, MOBILE), "the outbox sends nothing, so it keeps no address"
    assert (message["channel"], message["member_id"], message["event_type"]) == ("sms", None, "SignInCode")
    tokens = try_code(api, asked.json["request_id"], Phones(house).code(asked.json["request_id"]))
    assert tokens.status == 200, tokens.text
    assert tokens.json.keys() == {
        "token_type", "access_token", "expires_in", "refresh_token", "session_id", "member_id",
    }  # fmt: skip
    assert (tokens.json["member_id"], tokens.json["expires_in"]) == (member["member_id"], 600)
    me = api.with_(tokens.json["access_token"]).get("/v1/me")
    assert me.status == 200, me.text
    assert me.json["mobile"] == MOBILE
    assert {"tags", "source", "custom", "merged_member_ids"}.isdisjoint(me.json)
    assert signed_in(api, house, email="WANG@example.com")["member_id"] == member["member_id"]


def test_the_access_token_is_checked_with_the_published_key_and_lives_ten_minutes(
    api: Api, house: House, member: dict[str, Any]
) -> None:
    import jwt

    token = signed_in(api, house, mobile=MOBILE)["access_token"]
    (key,) = api.get("/v1/auth/keys").json["keys"]
    untimed: Any = {"verify_exp": False, "verify_iat": False}
    claims = jwt.decode(token, jwt.PyJWK(key), algorithms=["ES256"], audience="regulars", options=untimed)
    assert claims == {
        "iss": "urn:regulars:test:members", "aud": "regulars", "sub": member["member_id"], "sid": claims["sid"],
        "iat": int(api.clock().timestamp()), "exp": int(api.clock().timestamp()) + 600,
    }  # fmt: skip
    assert jwt.get_unverified_header(token)["kid"] == key["kid"]
    api.clock.forward(minutes=10, seconds=31)
    late = api.with_(token).get("/v1/me")
    assert (late.status, late.code) == (401, "token_invalid")


def test_who_asks_learns_nothing_and_who_proves_a_foreign_number_that_nobody_is_a_member_by_it(
    api: Api, phones: Phones, member: dict[str, Any]
) -> None:
    known, unknown = ask(api, mobile=MOBILE), ask(api, mobile=OTHER)
    assert known.status == unknown.status == 202
    assert {**known.json, "request_id": ""} == {**unknown.json, "request_id": ""}
    asked = unknown.json["request_id"]
    refused = try_code(api, asked, wrong(phones.code(asked)))
    assert (refused.status, refused.code, refused.json["facts"]) == (401, "code_wrong", {})
    assert try_code(api, known.json["request_id"], wrong(phones.code(known.json["request_id"]))).json[
        "detail"
    ] == refused.json["detail"]  # fmt: skip
    proven = try_code(api, asked, phones.code(asked))
    assert (proven.status, proven.code) == (404, "not_member")
    assert try_code(api, asked, phones.code(asked)).code == "code_wrong", "it is used up"


def test_a_code_is_good_once_for_five_minutes_for_its_request_and_its_purpose(
    api: Api, house: House, phones: Phones, member: dict[str, Any]
) -> None:
    def code_of(**more: str) -> tuple[str, str]:
        asked = ask(api, mobile=MOBILE, **more)
        assert asked.status == 202, asked.text
        return asked.json["request_id"], phones.code(asked.json["request_id"])

    first = code_of()
    api.clock.forward(seconds=60)
    second = code_of()
    assert try_code(api, *first).code == "code_wrong", "a new one voids the one before"
    assert try_code(api, first[0], second[1]).code == "code_wrong"
    assert try_code(api, *second).status == 200
    assert try_code(api, *second).code == "code_wrong", "a right one is used up"
    api.clock.forward(minutes=10)
    third = code_of()
    api.clock.forward(minutes=5)
    assert try_code(api, *third).code == "code_wrong"
    api.clock.forward(minutes=10)
    assert try_code(api, *code_of(purpose="contact_change")).code == "code_wrong"
    assert try_code(api, "otp_" + "a" * 26, "123456").code == "code_wrong"


def test_the_pauses_between_codes_grow_and_a_day_has_ten(api: Api) -> None:
    pauses = []
    for _ in range(10):
        asked = ask(api, mobile=OTHER)
        assert asked.status == 202, asked.text
        pause = asked.json["resend_after"]
        pauses.append(pause)
        api.clock.forward(seconds=pause - 1)
        early = ask(api, mobile=OTHER)
        assert early.code == "code_too_soon"
        if len(pauses) < 10:
            assert (early.status, early.headers["Retry-After"], early.json["facts"]) == (429, "1", {"retry_after": 1})
        api.clock.forward(seconds=1)
    assert pauses == [60, 120, 300, 900, *[3600] * 6]
    refused = ask(api, mobile=OTHER)
    assert refused.code == "code_too_soon"
    assert int(refused.headers["Retry-After"]) > 3600 * 16
    api.clock.forward(days=1)
    assert ask(api, mobile=OTHER).json["resend_after"] == 60


def test_five_wrong_codes_lock_the_address_for_longer_each_time(
    api: Api, phones: Phones, member: dict[str, Any]
) -> None:
    def five_wrong() -> str:
        asked = ask(api, mobile=MOBILE)
        assert asked.status == 202, asked.text
        code = phones.code(asked.json["request_id"])
        for _ in range(5):
            assert try_code(api, asked.json["request_id"], wrong(code)).code == "code_wrong"
        locked = try_code(api, asked.json["request_id"], code)
        assert (locked.status, locked.code) == (429, "sign_in_locked")
        assert ask(api, mobile=MOBILE).code == "sign_in_locked"
        return locked.headers["Retry-After"]

    locks = []
    for _ in range(4):
        locks.append(timedelta(seconds=int(five_wrong())))
        api.clock.forward(seconds=locks[-1].total_seconds())
    assert locks == [timedelta(minutes=15), timedelta(hours=1), timedelta(hours=24), timedelta(hours=24)]
    api.clock.forward(days=8)
    assert five_wrong() == "900", "what was a week ago is forgotten"


def test_asking_for_another_code_gives_no_further_tries(api: Api, phones: Phones, member: dict[str, Any]) -> None:
    for tries in (4, 1):
        asked = ask(api, mobile=MOBILE).json["request_id"]
        for _ in range(tries):
            try_code(api, asked, wrong(phones.code(asked)))
        api.clock.forward(minutes=4)
    assert ask(api, mobile=MOBILE).code == "sign_in_locked"


def test_codes_are_limited_by_address_range_country_and_money(api: Api, ops: DynamoTable, dynamo: Dynamo) -> None:
    terms = {name: value for name, value in api.get("/v1/program").json.items() if name not in DERIVED}
    prices = [{"country": "CN", "per_thousand_minor": 50_000}, {"country": "TH", "per_thousand_minor": 50_000}]
    terms["sign_in"] = {"sms": prices, "sms_day_max_minor": 2_000}
    assert api.put("/v1/program", terms).status == 200
    api.clock.forward(seconds=11)

    assert ask(api, mobile="+12025550123").code in ("mobile_invalid", "country_not_served")
    assert ask(api, mobile="+821012345678").json["facts"] == {"country": "KR"}
    for number in range(30):
        assert ask(api.with_("", address=f"10.0.0.{number}"), mobile=f"+861380013{number:04d}").status == 202
    before = scan(dynamo, ops.name)
    full = ask(api, mobile="+8613800139999")
    assert (full.status, full.code, full.headers["Retry-After"]) == (429, "too_many_codes", str(12 * 3600 - 11))
    assert scan(dynamo, ops.name) == before
    assert ask(api, mobile="+8613800149999").status == 202
    for number in range(9):
        assert ask(api, mobile=f"+861390{number}130000").status == 202
    assert ask(api, mobile="+8613770137000").code == "too_many_codes", "40 codes at 50 fen are the day's 20 yuan"
    api.clock.forward(hours=12)
    assert ask(api, mobile="+8613770137000").status == 202


def test_one_network_address_asks_for_a_hundred_codes_an_hour(api: Api) -> None:
    there = api.with_("", address="2001:db8::1")
    for number in range(100):
        assert ask(there, email=f"a{number}@example.com").status == 202
    for address in ("2001:db8::1", "2001:db8::ffff"):
        assert ask(api.with_("", address=address), email="b@example.com").code == "too_many_codes"
    forged = there.post("/v1/auth/otp-requests", {"email": "b@example.com"}, X_Forwarded_For="9.9.9.9")
    assert forged.code == "too_many_codes", "what callers write themselves is not looked at"
    assert ask(api.with_("", address="2001:db8:1::1"), email="b@example.com").status == 202


def test_a_refresh_token_gives_the_next_one_once(api: Api, house: House, member: dict[str, Any]) -> None:
    first = signed_in(api, house, mobile=MOBILE)
    api.clock.forward(minutes=9)
    second = refresh(api, first["refresh_token"])
    assert second.status == 200, second.text
    assert second.json["session_id"] == first["session_id"]
    assert second.json["refresh_token"] != first["refresh_token"]
    api.clock.forward(seconds=10)
    again = refresh(api, first["refresh_token"])
    assert again.json["refresh_token"] == second.json["refresh_token"], "its answer may have been lost"
    third = refresh(api, second.json["refresh_token"])
    assert third.status == 200
    api.clock.forward(seconds=1)
    for stale in (first["refresh_token"], third.json["refresh_token"]):
        reply = refresh(api, stale)
        assert (reply.status, reply.code) == (401, "refresh_invalid"), "two had it: the session is over"


def test_a_refresh_token_that_was_never_ours_ends_nothing(api: Api, house: House, member: dict[str, Any]) -> None:
    good = signed_in(api, house, mobile=MOBILE)
    token = good["refresh_token"]
    for forged in ("x", "rgr_", token.upper(), token[:20] + "a" * (len(token) - 20), token + "a", f"rgr_{'a' * 94}"):
        assert refresh(api, forged).code == "refresh_invalid", forged
    assert refresh(api, token).status == 200


@pytest.mark.parametrize(("days", "times", "good"), [(30, 1, False), (29, 1, True), (29, 3, True), (29, 4, False)])
def test_a_session_ends_after_thirty_idle_days_and_ninety_at_the_most(
    api: Api, house: House, member: dict[str, Any], days: int, times: int, good: bool
) -> None:
    token, status = signed_in(api, house, mobile=MOBILE)["refresh_token"], 0
    for _ in range(times):
        api.clock.forward(days=days)
        reply = refresh(api, token)
        token, status = reply.json.get("refresh_token", token), reply.status
    assert (status == 200) is good


def test_a_member_lists_and_ends_their_own_sessions(api: Api, house: House, member: dict[str, Any]) -> None:
    other = api.enrol(mobile=OTHER)
    first = signed_in(api, house, mobile=MOBILE)
    api.clock.forward(minutes=1)
    second = signed_in(api, house, email="wang@example.com")
    theirs = api.with_(signed_in(api, house, mobile=OTHER)["access_token"])
    mine = api.with_(second["access_token"])
    listed = mine.get("/v1/me/sessions").json["items"]
    assert [(each["session_id"], each["current"]) for each in listed] == [
        (second["session_id"], True), (first["session_id"], False),
    ]  # fmt: skip
    assert len(theirs.get("/v1/me/sessions").json["items"]) == 1
    end = f"/v1/me/sessions/{first['session_id']}/end"
    assert (theirs.post(end, {}).status, theirs.post(end, {}).code) == (404, "session_unknown")
    for _ in range(2):
        assert mine.post(end, {}).json["session_id"] == first["session_id"]
    assert refresh(api, first["refresh_token"]).code == "refresh_invalid"
    assert [each["session_id"] for each in mine.get("/v1/me/sessions").json["items"]] == [second["session_id"]]
    assert other["member_id"] not in str(listed)


def test_whoever_is_suspended_reads_and_who_is_closed_is_gone(api: Api, house: House, member: dict[str, Any]) -> None:
    tokens = signed_in(api, house, mobile=MOBILE)
    me = api.with_(tokens["access_token"])
    path = f"/v1/members/{member['member_id']}"
    assert api.post(f"{path}/suspensions", {"reason": "suspected of fraud"}).status == 201
    api.clock.forward(minutes=1)
    assert signed_in(api, house, mobile=MOBILE)["member_id"] == member["member_id"]
    assert me.get("/v1/me").json["status"] == "suspended"
    assert "fraud" not in me.get("/v1/me/timeline").text
    version = me.get("/v1/me").json["version"]
    assert me.patch("/v1/me", {"version": version, "name": "李四"}).code == "member_suspended"
    assert api.post(f"{path}/closures", {"reason": "asked to"}).status == 201
    assert me.get("/v1/me").code == "token_invalid", "at once, though the token is good for minutes"
    assert refresh(api, tokens["refresh_token"]).code == "refresh_invalid"
    api.clock.forward(minutes=5)
    asked = ask(api, mobile=MOBILE)
    assert try_code(api, asked.json["request_id"], Phones(house).code(asked.json["request_id"])).code == "not_member"


def test_who_was_merged_goes_on_as_the_one_who_stays(api: Api, house: House, member: dict[str, Any]) -> None:
    stays = api.enrol(mobile=OTHER)["member_id"]
    tokens = signed_in(api, house, mobile=MOBILE)
    body = {"from_member_id": member["member_id"], "into_member_id": stays, "reason": "the same person"}
    assert api.post("/v1/member-merges", body, key="m").status == 201
    assert refresh(api, tokens["refresh_token"]).status == 401, "a merge ends the sessions of both"
    api.clock.forward(minutes=1)
    after = signed_in(api, house, mobile=MOBILE)
    assert after["member_id"] == stays, "found by the number that came along"
    assert api.with_(after["access_token"]).get("/v1/me").json["member_id"] == stays


DERIVED = ("published_at", "former_ladders")


def test_what_members_change_of_themselves(api: Api, house: House, look: Look, member: dict[str, Any]) -> None:
    me = api.with_(signed_in(api, house, mobile=MOBILE)["access_token"])
    consent = {"purpose": "sms", "granted": True, "text_version": "2"}
    api.publish_texts("sms", version="2")
    body = {
        "version": 1, "name": "王小明", "gender": "male", "language": "en", "birthday": "1990-03-15",
        "shop_id": "shp_a", "consents": [consent],
    }  # fmt: skip
    changed = me.patch("/v1/me", body)
    assert changed.status == 200, changed.text
    assert {name: changed.json[name] for name in ("name", "gender", "language", "birthday", "shop_id", "version")} == {
        "name": "王小明", "gender": "male", "language": "en", "birthday": "1990-03-15", "shop_id": "shp_a",
        "version": 2,
    }  # fmt: skip
    assert changed.json["consents"] == [{**consent, "channel": None, "at": "2026-03-15T04:00:00Z", "source": "member"}]
    before = look()
    assert me.patch("/v1/me", {"version": 2, "birthday": "1991-01-01"}).code == "birthday_fixed"
    assert me.patch("/v1/me", {"version": 1, "name": "x"}).code == "member_moved"
    for name, value in (
        ("mobile", OTHER), ("email", "x@example.com"), ("tags", ["vip"]), ("card_no", "1"), ("custom", {}),
        ("status", "active"), ("member_id", "mem_" + "a" * 16), ("points", 5),
    ):  # fmt: skip
        refused = me.patch("/v1/me", {"version": 2, name: value})
        assert (refused.status, refused.code) == (422, "request_invalid"), name
    assert look() == before
    assert me.patch("/v1/me", {"version": 2, "language": "de"}).json["errors"][0]["pointer"] == "/language"
    cleared = me.patch("/v1/me", {"version": 2, "birthday": "1990-03-15", "name": None, "language": None}).json
    assert (cleared["name"], cleared["language"]) == (None, None)


def test_another_number_is_taken_with_a_code_that_was_sent_to_it(
    api: Api, house: House, phones: Phones, member: dict[str, Any]
) -> None:
    me = api.with_(signed_in(api, house, mobile=MOBILE)["access_token"])

    def change(to: str, **fields: Any) -> Any:
        asked = ask(api, purpose="contact_change", mobile=to).json["request_id"]
        body = {"request_id": asked, "code": phones.code(asked), "mobile": to, "version": 1, **fields}
        return me.post("/v1/me/contact-changes", body)

    api.enrol(mobile="+8613700137000")
    taken = change("+8613700137000")
    assert (taken.status, taken.code) == (409, "mobile_taken")
    assert change("+8613600136000", mobile=OTHER).code == "code_wrong", "the code is for another number"
    assert change(OTHER).json["mobile"] == OTHER
    api.clock.forward(minutes=2)
    assert signed_in(api, house, mobile=OTHER)["member_id"] == member["member_id"]
    api.clock.forward(minutes=2)
    asked = ask(api, mobile=MOBILE).json["request_id"]
    assert try_code(api, asked, phones.code(asked)).code == "not_member", "the old number is free"


def test_codes_get_longer_and_numbers_wait_while_somebody_guesses(
    api: Api, phones: Phones, house: House, member: dict[str, Any]
) -> None:
    for number in range(50):
        there = api.with_("", address=f"10.1.0.{number}")
        asked = ask(there, email=f"v{number}@example.com").json["request_id"]
        assert try_code(there, asked, wrong(phones.code(asked))).code == "code_wrong"
    again = try_code(api, asked, phones.code(asked))
    assert (again.status, again.code) == (429, "sign_in_locked"), "an address with a wrong code waits"
    assert int(again.headers["Retry-After"]) == 3600
    assert signed_in(api, house, mobile=MOBILE)["member_id"] == member["member_id"], "others do not"
    api.clock.forward(minutes=11)
    assert ask(api, email="v49@example.com").status == 202, "the breaker closes when nobody guesses any more"


@dataclass
class Post:
    """A carrier that keeps what it was handed, and fails when it is told to."""

    handed: list[Message] = field(default_factory=list)
    fails: Exception | None = None
    prefixes: tuple[str, ...] = ("+86",)

    def reaches(self, to: str) -> bool:
        """See `Carrier.reaches`."""
        return not to.startswith("+") or to.startswith(self.prefixes)

    def carry(self, message: Message) -> None:
        """See `Carrier.carry`."""
        self.handed.append(message)
        if self.fails is not None:
            raise self.fails


def in_a_stack(house: House, **carriers: Post) -> None:
    """The same house in a stack, with these carriers."""
    wiring.use(replace(house, settings=replace(house.settings, stage="prod"), carriers=carriers))


def test_in_a_stack_a_code_comes_by_the_carrier_and_is_kept_nowhere(
    api: Api, house: House, phones: Phones, member: dict[str, Any], ops: DynamoTable, dynamo: Dynamo,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    sms, email = Post(), Post()
    in_a_stack(house, sms=sms, email=email)
    for post, address, to in ((sms, {"mobile": MOBILE}, MOBILE), (email, {"email": "wang@example.com"}, None)):
        asked = ask(api, **address)
        assert asked.status == 202, asked.text
        (message,) = post.handed
        assert message.to == (to or "wang@example.com")
        assert message.delivery_id == asked.json["request_id"].replace("otp_", "dlv_")
        code = re.search(r"[0-9]{6}", message.text.partition("】")[2])
        assert code is not None
        tokens = try_code(api, asked.json["request_id"], code[0])
        assert tokens.status == 200, tokens.text
        assert tokens.json["member_id"] == member["member_id"]
        sinks = str(scan(dynamo, ops.name)) + "".join(str(vars(each)) for each in caplog.records)
        assert code[0] not in sinks and message.to not in sinks
    assert phones.messages() == [], "the outbox would keep it for half a year"


def test_a_stack_without_a_carrier_of_the_kind_says_so_before_anything_is_counted(
    api: Api, house: House, ops: DynamoTable, dynamo: Dynamo
) -> None:
    before = scan(dynamo, ops.name)
    in_a_stack(house)
    assert (ask(api, mobile=MOBILE).status, ask(api, mobile=MOBILE).code) == (503, "sign_in_unavailable")
    in_a_stack(house, email=Post())
    assert ask(api, mobile=MOBILE).code == "sign_in_unavailable"
    assert scan(dynamo, ops.name) == before
    assert ask(api, email="wang@example.com").status == 202


def test_a_number_beyond_the_stacks_prefixes_is_not_written_to_whatever_the_program_says(
    api: Api, house: House, ops: DynamoTable, dynamo: Dynamo
) -> None:
    sms = Post(prefixes=("+65",))
    in_a_stack(house, sms=sms)
    before = scan(dynamo, ops.name)
    refused = ask(api, mobile=MOBILE)
    assert (refused.code, sms.handed) == ("country_not_served", [])
    assert scan(dynamo, ops.name) == before


@pytest.mark.parametrize("address", [{"mobile": MOBILE}, {"mobile": OTHER}], ids=["member", "nobody"])
@pytest.mark.parametrize(
    ("fails", "status", "code"),
    [(StorageBusy(), 503, "code_not_sent"), (MessageRefused("OptedOut"), 202, None), (None, 202, None)],
)
def test_who_asks_is_answered_alike_whoever_has_the_number_and_whatever_the_carrier_does(
    api: Api, house: House, member: dict[str, Any], caplog: pytest.LogCaptureFixture, address: dict[str, str],
    fails: Exception | None, status: int, code: str | None,
) -> None:  # fmt: skip
    sms = Post(fails=fails)
    in_a_stack(house, sms=sms)
    asked = ask(api, **address)
    assert (asked.status, asked.json.get("code")) == (status, code)
    assert len(sms.handed) == 1
    if code is not None:
        assert asked.headers["Retry-After"] == "60", "as long as the next code has to wait"
    told = "".join(str(vars(each)) for each in caplog.records)
    assert ("OptedOut" in told) == isinstance(fails, MessageRefused)
    assert address["mobile"] not in told
    assert sms.handed[0].text.partition("】")[2][:40] not in told


def test_a_code_is_written_down_before_it_is_handed_over(
    api: Api, house: House, monkeypatch: pytest.MonkeyPatch, ops: DynamoTable, dynamo: Dynamo
) -> None:
    kept: list[int] = []

    class Looking(Post):
        def carry(self, message: Message) -> None:
            kept.append(len(scan(dynamo, ops.name)))

    empty = len(scan(dynamo, ops.name))
    in_a_stack(house, sms=Looking())
    assert ask(api, mobile=MOBILE).status == 202
    assert kept[0] > empty
    assert len(scan(dynamo, ops.name)) == kept[0], "nothing is written after"


def test_neither_codes_nor_tokens_nor_addresses_are_stored_or_logged(
    api: Api, house: House, look: Look, ops: DynamoTable, dynamo: Dynamo, phones: Phones, member: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    there = api.with_("", address="203.0.113.77")
    asked = ask(there, mobile=MOBILE).json["request_id"]
    code = phones.code(asked)
    try_code(there, asked, wrong(code))
    first = try_code(there, asked, code).json
    second = refresh(there, first["refresh_token"]).json
    api.with_(second["access_token"]).get("/v1/me")
    api.clock.forward(seconds=30)
    refresh(there, first["refresh_token"])
    key = api.post("/v1/integration-keys", A_KEY, key="k").json["key"]
    api.with_(key).get("/v1/program")
    log = "".join(str(vars(each)) for each in caplog.records)
    sinks = {"core": str(look()), "ops": str(scan(dynamo, ops.name)), "log": log}
    assert log.count("'route'") >= 8
    canaries = {
        "first refresh token": first["refresh_token"], "its secret": first["refresh_token"][-52:],
        "second refresh token": second["refresh_token"][-52:], "its family": first["refresh_token"][20:46],
        "access token": second["access_token"], "signature": second["access_token"].rpartition(".")[2],
        "address": "203.0.113.77", "integration key": key, "its own secret": key[-52:],
    }  # fmt: skip
    for sink, text in sinks.items():
        found = [name for name, value in canaries.items() if value in text]
        assert found == [], sink
    assert MOBILE not in sinks["ops"] + sinks["log"]
    assert not any(re.search(rf"(?<![0-9]){code}(?![0-9])", text) for text in sinks.values())


A_KEY: dict[str, Any] = {"name": "till 3", "permissions": ["program:read"], "scope": "all"}
