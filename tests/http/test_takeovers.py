"""Nobody takes a membership, or its points, by merges, pools, many small gifts or entries taken back."""

from typing import Any

import pytest

from chalicelib.notices import service as notices
from chalicelib.notices.models import Channel
from chalicelib.programs.service import book_of
from chalicelib.relay.models import Change
from chalicelib.relay.service import telling_of
from chalicelib.runtime.wiring import House
from tests.http.conftest import Look
from tests.http.test_audit import watched
from tests.http.test_contacts import Kept
from tests.http.test_staff import Directed, invited
from tests.makers import Api, Reply, a_token
from tests.signing_in import refresh, signed_in

MOBILE, THIEF = "+8613800138000", "+8613700137000"
EMAIL = "kana@example.com"
WHY = "one person, with passport"


class Manager(Directed):
    """The manager of a shop, who has a record."""

    def __init__(self, api: Api, name: str = "mgr", shop: str = "shp_two", **fields: Any) -> None:
        super().__init__(api, name)
        self.staff_id = invited(api, name, "shop_manager", shop_ids=[shop], **fields)["staff_id"]

    def post(self, path: str, body: Any, key: str = "") -> Reply:
        """POST, with an Idempotency-Key if given."""
        return self.api.with_(self._token()).post(path, body, key=key or None)

    def _token(self) -> str:
        return a_token(
            self.api.token_key, self.api.issuer, self.api.audience, self.api.clock(),
            sub=self.subject, roles=["clerk"], directory=True, shop_id="shp_claimed",
        )  # fmt: skip


def at(api: Api, role: str, shop: str) -> Api:
    """Somebody of a shop, without a record."""
    return api.with_(
        a_token(api.token_key, api.issuer, api.audience, api.clock(), sub=role, roles=[role], shop_id=shop)
    )


def merge(who: Any, gone: str, kept: str, *, key: str = "m", dry_run: bool = False) -> Reply:
    """Make one member of two."""
    body = {"from_member_id": gone, "into_member_id": kept, "reason": WHY, "dry_run": dry_run}
    reply: Reply = who.post("/v1/member-merges", body, key=key)
    return reply


def told(house: House, look: Look, *types: str) -> list[tuple[Channel, str]]:
    """Where members are told that what they sign in by was changed."""
    sender = Kept()
    program = book_of(house.table).current(house.clock())
    for key, item in look().items():
        if key.sk == "ACCOUNT":
            continue
        for event in telling_of(Change(True, key.pk, key.sk, dict(item), "1")).events:
            if event.type == "MemberContactChanged":
                notices.tell(house.table, house.ops, house.keyring, program, sender, event)
    assert all(not each.opt_out and each.text for each in sender.notices)
    return sorted((each.channel, each.to) for each in sender.notices)


def alerts(api: Api, look: Look) -> dict[str, list[tuple[str, int]]]:
    """What is raised once the watch has seen everything, by kind: about whom, and how much."""
    watched(look())
    watched(look())
    found: dict[str, list[tuple[str, int]]] = {}
    for each in api.get("/v1/alerts").json["items"]:
        found.setdefault(each["kind"], []).append((each["about"], each["count"]))
    return found


# ---------------------------------------------------------------- merges


@pytest.fixture
def victim(api: Api) -> str:
    """A member of the main shop, with two addresses."""
    member_id: str = api.enrol(mobile=MOBILE, email=EMAIL, name="卡娜丽", shop_id="shp_main")["member_id"]
    return member_id


@pytest.mark.parametrize("home", ["shp_main", None])
@pytest.mark.parametrize("into_theirs", [True, False])
def test_a_manager_merges_nobody_of_other_shops(api: Api, look: Look, home: str | None, into_theirs: bool) -> None:
    member = api.enrol(mobile=MOBILE, shop_id=home)["member_id"]
    manager = Manager(api)
    own = manager.post("/v1/members", {"mobile": THIEF, "shop_id": "shp_two"}).json["member_id"]
    pair = (own, member) if into_theirs else (member, own)
    before = look()
    for dry_run in (False, True):
        refused = merge(manager, *pair, dry_run=dry_run)
        assert (refused.status, refused.code) == (404, "member_unknown")
        assert refused.json["facts"] == {"member_id": member}
    assert look() == before
    assert merge(api, *pair).status == 201, "head office does"


def test_a_manager_undoes_no_merge_of_other_shops_members(api: Api, look: Look, victim: str) -> None:
    other = api.enrol(shop_id="shp_two")["member_id"]
    made = merge(api, victim, other).json["merge_id"]
    for manager in (Manager(api), Manager(api, "here", "shp_main")):
        refused = manager.post(f"/v1/member-merges/{made}/undo", {"reason": WHY})
        assert (refused.status, refused.code) == (404, "merge_unknown")
    assert api.post(f"/v1/member-merges/{made}/undo", {"reason": WHY}).status == 201


def test_a_merge_is_shown_where_one_of_the_two_is_at_home_and_its_reasons_without_numbers(api: Api) -> None:
    one, other = (api.enrol(shop_id=shop)["member_id"] for shop in ("shp_main", "shp_two"))
    typed = "called from 139 1234 5678, wang@corp.com"
    body = {"from_member_id": one, "into_member_id": other, "reason": typed}
    made = api.post("/v1/member-merges", body, key="m").json["merge_id"]
    assert api.post(f"/v1/member-merges/{made}/undo", {"reason": typed}).status == 201
    path = f"/v1/member-merges/{made}"
    for here in ("shp_main", "shp_two"):
        for role in ("clerk", "shop_manager"):
            shown = at(api, role, here).get(path)
            assert shown.status == 200
            assert (shown.json["reason"], shown.json["undone"]["reason"]) == ("called from …, …@…",) * 2
    unknown = api.get("/v1/member-merges/mrg_bm9uZQ").json
    for role in ("clerk", "shop_manager"):
        refused = at(api, role, "shp_far").get(path)
        assert (refused.status, refused.code) == (404, "merge_unknown")
        assert refused.json["detail"] == unknown["detail"].replace("mrg_bm9uZQ", made)
    for role in ("agent", "auditor", "marketer", "integration"):
        assert api.as_(role).get(path).status == 200


def test_a_merge_that_brings_an_address_needs_the_right_to_change_one(api: Api, victim: str) -> None:
    rights = {"members:read": "all", "members:merge": "all"}
    assert api.put("/v1/roles/joiner", {"version": 0, "name": "J", "permissions": rights, "reason": "x"}).status == 200
    invited(api, "joe", "joiner")
    joe = Directed(api, "joe")
    one, other = (api.enrol()["member_id"] for _ in range(2))

    def sent(gone: str, kept: str) -> Reply:
        body = {"from_member_id": gone, "into_member_id": kept, "reason": WHY}
        return api.with_(_token_of(joe)).post("/v1/member-merges", body, key=gone)

    for pair in ((one, victim), (victim, one)):
        refused = sent(*pair)
        assert (refused.status, refused.code) == (403, "permission_missing")
        assert refused.json["facts"] == {"permission": "members:change_contact"}
    assert sent(one, other).status == 201, "cards alone let nobody in"


def _token_of(who: Directed) -> str:
    from tests.makers import a_token

    api = who.api
    return a_token(
        api.token_key, api.issuer, api.audience, api.clock(), sub=who.subject, roles=["clerk"], directory=True
    )


@pytest.mark.parametrize("into_theirs", [True, False], ids=["into the victim", "the victim into theirs"])
def test_whoever_signs_in_by_what_a_merge_brought_takes_nothing_for_three_days(
    api: Api, house: House, look: Look, victim: str, into_theirs: bool
) -> None:
    manager = Manager(api, shop="shp_main")
    own = manager.post("/v1/members", {"mobile": THIEF, "shop_id": "shp_main"}).json["member_id"]
    old, thiefs = signed_in(api, house, mobile=MOBILE), signed_in(api, house, mobile=THIEF)
    api.clock.forward(minutes=1)
    done = merge(manager, *((own, victim) if into_theirs else (victim, own)))
    assert done.status == 201
    for each in (old, thiefs):
        assert refresh(api, each["refresh_token"]).code == "refresh_invalid", "sessions of both are over"
    assert told(house, look) == [(Channel.EMAIL, EMAIL), (Channel.SMS, THIEF), (Channel.SMS, MOBILE)]

    api.clock.forward(minutes=1)
    me = api.with_(signed_in(api, house, mobile=THIEF)["access_token"])
    seen = me.get("/v1/me").json
    assert (seen["name"], seen["email"]) == ("卡**", "k***@example.com")
    assert seen["contact_hold"] == {"until": "2026-03-18T04:01:00Z", "by_member": False}
    for path in ("/v1/me/exports", "/v1/me/export-pages", "/v1/me/erasures"):
        assert me.post(path, {}).code == "contact_changed_lately"
    api.clock.forward(days=3)
    me = api.with_(signed_in(api, house, mobile=THIEF)["access_token"])
    assert me.post("/v1/me/exports", {}).status == 201, "as with a number that was changed"


def test_a_merge_of_somebody_with_a_card_alone_changes_nothing_that_is_signed_in_by(
    api: Api, house: House, look: Look, victim: str
) -> None:
    own = signed_in(api, house, mobile=MOBILE)
    gone = [api.enrol()["member_id"] for _ in range(6)]
    made = [merge(api.as_("agent"), each, victim, key=each).json["merge_id"] for each in gone]
    assert api.get(f"/v1/members/{victim}").json["contact_hold"] is None
    own = refresh(api, own["refresh_token"]).json
    assert api.with_(own["access_token"]).post("/v1/me/exports", {}).status == 201
    assert api.post(f"/v1/member-merges/{made[-1]}/undo", {"reason": WHY}).status == 201
    for each in (victim, gone[-1]):
        assert (api.get(f"/v1/members/{each}").json["contact_hold"] is None) is (each == victim)
    assert refresh(api, own["refresh_token"]).status == 200
    assert told(house, look) == []
    assert alerts(api, look)["contacts_changed"] == [("stf_agent", 6)], "it counts all the same"


def test_a_merge_into_somebody_with_a_card_alone_brings_an_address(api: Api, house: House, look: Look) -> None:
    gone, kept = api.enrol(mobile=MOBILE)["member_id"], api.enrol()["member_id"]
    assert merge(api, gone, kept).status == 201
    assert api.get(f"/v1/members/{kept}").json["contact_hold"]["by_member"] is False
    assert told(house, look) == [(Channel.SMS, MOBILE)]


def test_the_undoing_of_a_merge_ends_what_was_opened_by_the_others_address(
    api: Api, house: House, look: Look, victim: str
) -> None:
    other = api.enrol(mobile=THIEF)["member_id"]
    made = merge(api, other, victim).json["merge_id"]
    api.clock.forward(days=4)
    stays, goes = signed_in(api, house, mobile=THIEF), signed_in(api, house, mobile=MOBILE)
    api.clock.forward(minutes=1)
    assert api.post(f"/v1/member-merges/{made}/undo", {"reason": WHY}).status == 201
    for each in (stays, goes):
        assert refresh(api, each["refresh_token"]).code == "refresh_invalid"
    for member in (victim, other):
        assert api.get(f"/v1/members/{member}").json["contact_hold"]["until"] == "2026-03-22T04:01:00Z"
    assert told(house, look) == [(Channel.EMAIL, EMAIL), (Channel.SMS, THIEF), (Channel.SMS, MOBILE)]


def test_who_merges_many_members_is_noticed(api: Api, look: Look) -> None:
    own = api.enrol(mobile=THIEF)["member_id"]
    agent = api.as_("agent")
    for number in range(6):
        gone = api.enrol(mobile=f"+86138001390{number:02d}")["member_id"]
        pair = (gone, own) if number % 2 else (own, gone)
        assert merge(agent, *pair, key=f"m{number}").status == 201
        own = pair[1]
    assert alerts(api, look)["contacts_changed"] == [("stf_agent", 6)]


def test_a_merge_of_two_whom_nobody_signs_in_as_changes_no_address(api: Api, look: Look) -> None:
    one, other = (api.enrol()["member_id"] for _ in range(2))
    assert merge(api, one, other).status == 201
    assert api.get(f"/v1/members/{other}").json["contact_hold"] is None


# ---------------------------------------------------------------- pools


def give(who: Any, member_id: str, points: int, key: str) -> Reply:
    """Give points by hand."""
    reply: Reply = who.post(
        f"/v1/members/{member_id}/point-adjustments", {"points": points, "reason_code": "goodwill"}, key=key
    )
    return reply


def pooled(api: Api, owner: str, points: int) -> str:
    """A pool with points; its id."""
    give(api, owner, points, f"gift-{owner}")
    pool = str(api.post("/v1/pools", {"owner_id": owner, "name": "Home"}, key=f"pool-{owner}").json["pool_id"])
    body = {"member_id": owner, "points": points, "reason": WHY}
    assert api.post(f"/v1/pools/{pool}/contributions", body, key=f"in-{owner}").status == 201
    return pool


def test_a_manager_pools_nothing_of_other_shops_members(api: Api, look: Look) -> None:
    victim = api.enrol(shop_id="shp_main")["member_id"]
    nobodys = api.enrol()["member_id"]
    own = api.enrol(shop_id="shp_two")["member_id"]
    manager = Manager(api, member_id=own)
    pool = manager.post("/v1/pools", {"owner_id": own, "name": "Home"}, key="p").json["pool_id"]
    before = look()
    for member in (victim, nobodys):
        refused = manager.send("PUT", f"/v1/pools/{pool}/members/{member}", {"role": "contributor", "reason": WHY})
        assert (refused.status, refused.code) == (404, "member_unknown")
        refused = manager.post("/v1/pools", {"owner_id": member, "name": "Home"}, key="q")
        assert (refused.status, refused.code) == (404, "member_unknown")
    assert look() == before
    path = f"/v1/pools/{pool}/members/{victim}"
    assert api.put(path, {"role": "contributor"}).code == "action_unexplained"
    assert api.put(path, {"role": "contributor", "reason": WHY}).status == 200
    before = look()
    body = {"member_id": victim, "points": 1, "reason": WHY}
    refused = manager.post(f"/v1/pools/{pool}/contributions", body, key="c")
    assert (refused.status, refused.code) == (404, "member_unknown")
    assert look() == before


@pytest.mark.parametrize("home", ["shp_main", None], ids=["another shop's", "head office's"])
def test_a_manager_changes_no_pool_of_members_of_other_shops(api: Api, look: Look, home: str | None) -> None:
    owner = api.enrol(**({"shop_id": home} if home else {}))["member_id"]
    guest = api.enrol(shop_id="shp_two")["member_id"]
    pool = api.post("/v1/pools", {"owner_id": owner, "name": "Home"}, key="p").json["pool_id"]
    assert api.put(f"/v1/pools/{pool}/members/{guest}", {"role": "spender", "reason": WHY}).status == 200
    path, version = f"/v1/pools/{pool}", api.get(f"/v1/pools/{pool}").json["version"]
    commands: list[tuple[str, str, dict[str, Any]]] = [
        ("PATCH", path, {"version": version, "name": "Mine"}),
        ("POST", f"{path}/members/{guest}/departures", {}),
        ("POST", f"{path}/closures", {}),
    ]
    before = look()
    for method, where, body in commands:
        refused = at(api, "shop_manager", "shp_two").send(method, where, body)
        assert (refused.status, refused.code) == (404, "pool_unknown"), where
        assert refused.json["facts"] == {"pool_id": pool}
        assert at(api, "clerk", "shp_main").send(method, where, body).code == "permission_missing"
    assert look() == before
    who = at(api, "shop_manager", home) if home else api.as_("agent")
    assert [who.send(*each).status for each in commands] == [200, 201, 201]
    again = at(api, "shop_manager", "shp_two").send(*commands[2])
    assert (again.status, again.code) == (404, "pool_unknown"), "what was done is answered to who may do it"


@pytest.mark.parametrize("role", ["clerk", "integration"])
def test_a_till_contributes_for_nobody(api: Api, role: str) -> None:
    member = api.enrol(shop_id="shp_main")["member_id"]
    pool = api.post("/v1/pools", {"owner_id": member, "name": "Home"}, key="p").json["pool_id"]
    body = {"member_id": member, "points": 1, "reason": WHY}
    refused = api.as_(role).post(f"/v1/pools/{pool}/contributions", body, key="c")
    assert (refused.status, refused.code) == (403, "permission_missing")
    assert refused.json["facts"] == {"permission": "pools:act_for_members"}


def test_who_contributes_for_a_member_says_why_and_is_recorded(api: Api) -> None:
    member = api.enrol(shop_id="shp_main")["member_id"]
    api.buy(member, 10_000)
    manager = api.as_("shop_manager")
    pool = manager.post("/v1/pools", {"owner_id": member, "name": "Home"}, key="p").json["pool_id"]
    body = {"member_id": member, "points": 60}
    path = f"/v1/pools/{pool}/contributions"
    assert manager.post(path, body, key="c").code == "action_unexplained"
    done = manager.post(path, {**body, "reason": WHY}, key="c")
    assert (done.status, done.json["points"]) == (201, -60)
    again = manager.post(path, {**body, "reason": "said otherwise"}, key="c")
    assert (again.replayed, again.json) == (True, done.json), "why is no part of what was asked"
    entry = api.get("/v1/audit-entries", action="contribute").json["items"][0]
    assert (entry["reason"], entry["who"]["subject"]) == (WHY, "stf_shop_manager")


def test_a_member_contributes_their_own_points_unless_their_number_is_new(api: Api, house: House, look: Look) -> None:
    member = api.enrol(mobile=MOBILE)["member_id"]
    other = api.enrol()["member_id"]
    api.buy(member, 10_000)
    pool = api.post("/v1/pools", {"owner_id": member, "name": "Home"}, key="p").json["pool_id"]
    theirs = api.post("/v1/pools", {"owner_id": other, "name": "X"}, key="q").json["pool_id"]
    me = api.with_(signed_in(api, house, mobile=MOBILE)["access_token"])
    path = f"/v1/me/pools/{pool}/contributions"
    done = me.post(path, {"points": 60}, key="c")
    assert (done.status, done.json["points"]) == (201, -60)
    assert me.post(path, {"points": 60}, key="c").replayed
    for unknown in (theirs, "pol_aaaaaaaaaaaaaaaa"):
        assert me.post(f"/v1/me/pools/{unknown}/contributions", {"points": 1}, key="d").code == "pool_unknown"
    version = api.get(f"/v1/members/{member}").json["version"]
    assert api.patch(f"/v1/members/{member}", {"version": version, "email": EMAIL}).status == 200
    before = look()
    assert me.post(path, {"points": 1}, key="e").code == "contact_changed_lately"
    assert look() == before


def test_what_members_may_give_away_in_a_month_bounds_pools_too(api: Api) -> None:
    member = api.enrol()["member_id"]
    give(api, member, 9_000, "gift")
    pool = api.post("/v1/pools", {"owner_id": member, "name": "Home"}, key="p").json["pool_id"]
    program = api.get("/v1/program").json
    terms = {name: value for name, value in program.items() if name not in ("published_at", "former_ladders")}
    limits = {"enabled": True, "max_points": 1_000, "max_points_per_month": 2_000}
    assert api.put("/v1/program", {**terms, "transfers": limits}).status == 200
    api.clock.forward(seconds=11)

    def put_in(points: int, key: str) -> Reply:
        body = {"member_id": member, "points": points, "reason": WHY}
        return api.post(f"/v1/pools/{pool}/contributions", body, key=key)

    assert put_in(1_001, "a").code == "contribution_too_large"
    assert [put_in(1_000, key).status for key in ("b", "c")] == [201, 201]
    refused = put_in(1, "d")
    assert (refused.status, refused.code) == (409, "contribution_limit_reached")
    assert refused.json["facts"] == {"asked": 1, "left": 0, "limit": 2_000}
    assert put_in(1_000, "c").replayed
    api.clock.forward(days=31)
    assert put_in(1_000, "e").status == 201


def test_what_a_pools_closing_brings_to_ones_own_membership_is_noticed(api: Api, look: Look) -> None:
    own, friend = (api.enrol(shop_id="shp_two")["member_id"] for _ in range(2))
    give(api, friend, 3_000, "gift")
    manager = Manager(api, member_id=own)
    pool = manager.post("/v1/pools", {"owner_id": own, "name": "Home"}, key="p").json["pool_id"]
    part = {"role": "contributor", "reason": WHY}
    assert manager.send("PUT", f"/v1/pools/{pool}/members/{friend}", part).status == 200
    body = {"member_id": friend, "points": 3_000, "reason": WHY}
    assert manager.post(f"/v1/pools/{pool}/contributions", body, key="c").status == 201
    assert manager.post(f"/v1/pools/{pool}/closures", {}).status == 201
    assert alerts(api, look) == {"self_earning": [(manager.staff_id, 3_000)]}


@pytest.mark.parametrize("merged", [False, True])
def test_who_spends_a_pools_points_themselves_is_noticed(api: Api, look: Look, merged: bool) -> None:
    owner, own, other = (api.enrol(shop_id="shp_two")["member_id"] for _ in range(3))
    pool = pooled(api, owner, 900)
    for member in (own, other):
        assert api.put(f"/v1/pools/{pool}/members/{member}", {"role": "spender", "reason": WHY}).status == 200
    manager = Manager(api, member_id=own)
    if merged:
        kept = api.enrol(shop_id="shp_two")["member_id"]
        assert merge(api, own, kept).status == 201
        own = kept
    path = f"/v1/pools/{pool}/spends"
    assert manager.post(path, {"member_id": other, "points": 100}, key="a").status == 201
    assert manager.post(path, {"member_id": own, "points": 300}, key="b").status == 201
    assert manager.post(path, {"member_id": own, "points": 200}, key="c").status == 201
    assert alerts(api, look) == {"self_earning": [(manager.staff_id, 500)]}


@pytest.mark.parametrize(("brought", "had"), [(700, 3_000), (0, 3_000), (700, 0)])
def test_what_is_counted_where_ones_own_goes_into_anothers_is_what_the_other_had(
    api: Api, look: Look, brought: int, had: int
) -> None:
    own, friend = (api.enrol(shop_id="shp_two")["member_id"] for _ in range(2))
    for member, points in ((own, brought), (friend, had)):
        assert not points or give(api, member, points, member).status == 201
    manager = Manager(api, member_id=own)
    assert merge(manager, own, friend).status == 201
    assert alerts(api, look) == ({"self_earning": [(manager.staff_id, had)]} if had else {})


def test_what_is_counted_where_anothers_goes_into_ones_own_is_what_it_brings(api: Api, look: Look) -> None:
    own, friend = (api.enrol(shop_id="shp_two")["member_id"] for _ in range(2))
    for member, points in ((own, 700), (friend, 3_000)):
        assert give(api, member, points, member).status == 201
    manager = Manager(api, member_id=own)
    assert merge(manager, friend, own).status == 201
    assert alerts(api, look) == {"self_earning": [(manager.staff_id, 3_000)]}


# ---------------------------------------------------------------- small gifts, and one's own


def test_many_small_gifts_of_one_person_wait_for_a_second_one(api: Api, look: Look) -> None:
    own = api.enrol(shop_id="shp_two", mobile=THIEF)["member_id"]
    manager = Manager(api, member_id=own)
    answers = []
    for number in range(8):
        made = manager.post("/v1/members", {"card_no": f"new-{number}", "shop_id": "shp_two"}).json["member_id"]
        answers.append(give(manager, made, 10_000, f"g{number}").status)
        assert merge(manager, made, own, key=f"m{number}").status == 201
    assert answers == [201] * 5 + [202] * 3
    raised = alerts(api, look)
    assert raised["self_earning"][0][0] == manager.staff_id
    dry = manager.post(
        f"/v1/members/{api.enrol()['member_id']}/point-adjustments",
        {"points": 1, "reason_code": "goodwill", "dry_run": True},
        key="dry",
    )
    assert (dry.code, dry.json["facts"]) == ("approval_needed", {"amount": 1, "used": 50_000, "limit": 50_000})
    bought = api.enrol()["member_id"]
    api.buy(bought)
    assert give(manager, bought, -1, "down").status == 201, "what is taken is no gift"
    api.clock.forward(hours=25)
    assert give(manager, api.enrol()["member_id"], 10_000, "later").status == 201


def test_what_merges_bring_to_a_member_in_a_day_is_noticed(api: Api, look: Look) -> None:
    kept = api.enrol()["member_id"]
    for number in range(6):
        gone = api.enrol()["member_id"]
        # Each of somebody else's, so that none of them gave too much.
        boss = Manager(api, f"boss{number}", "shp_main")
        assert give(boss, gone, 9_000, f"g{number}").status == 201
        assert merge(api, gone, kept, key=f"m{number}").status == 201
    assert alerts(api, look) == {"member_velocity": [(kept, 54_000)]}


def test_who_was_merged_into_another_member_still_earns_for_themselves(api: Api, look: Look) -> None:
    own, kept = (api.enrol(shop_id="shp_two")["member_id"] for _ in range(2))
    manager = Manager(api, member_id=own)
    assert merge(api, own, kept).status == 201
    body = {
        "channel": "pos", "order_no": "o", "member": {"member_id": kept}, "shop_id": "shp_two", "currency": "CNY",
        "occurred_at": "2026-03-15T12:00:00+08:00", "paid_minor": 5_000,
        "lines": [{"sku": "L1", "name": "拿铁", "category": "咖啡", "quantity": 1, "unit_price_minor": 5_000}],
    }  # fmt: skip
    assert manager.post("/v1/purchases", body).status == 201
    assert alerts(api, look) == {"self_earning": [(manager.staff_id, 50)]}


@pytest.mark.parametrize("merged", [False, True])
def test_who_takes_their_own_spending_back_is_noticed(api: Api, look: Look, merged: bool) -> None:
    own = member = api.enrol(shop_id="shp_two")["member_id"]
    if merged:
        member = api.enrol(shop_id="shp_two")["member_id"]
        assert merge(api, own, member).status == 201
    manager = Manager(api, member_id=own)
    give(api, member, 500, "gift")
    spent = api.post(f"/v1/members/{member}/point-spends", {"points": 400}, key="s").json["entry_id"]
    assert manager.post(f"/v1/point-entries/{spent}/reversals", {"reason_code": "mistake"}).status == 201
    assert alerts(api, look) == {"self_earning": [(manager.staff_id, 400)]}


def test_who_gives_money_back_on_their_own_card_is_noticed(api: Api, look: Look) -> None:
    own = api.enrol(shop_id="shp_two")["member_id"]
    manager = Manager(api, member_id=own)
    card = api.post(f"/v1/members/{own}/cards", {"kind": "stored_value"}, key="k").json["card_id"]
    paid = {"amount_minor": 300, "means": [{"kind": "cash", "amount_minor": 300}]}
    assert api.post(f"/v1/cards/{card}/top-ups", paid, key="t").status == 201
    spent = api.post(f"/v1/cards/{card}/spends", {"amount_minor": 200}, key="s").json["entry_id"]
    back = manager.post(f"/v1/cards/{card}/spend-refunds", {"spend_id": spent, "amount_minor": 200}, key="r")
    assert back.status == 201, back.text
    assert alerts(api, look) == {"self_earning": [(manager.staff_id, 200)]}
