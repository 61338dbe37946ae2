"""Segments over HTTP: who may do what, that nothing wrong is taken, and that hostile documents do nothing."""

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.identity.errors import PermissionMissing
from chalicelib.identity.models import Caller, Kind
from chalicelib.identity.permissions import Permission, Scope
from chalicelib.programs.service import book_of
from chalicelib.runtime import wiring
from chalicelib.runtime.wiring import House
from chalicelib.segments.models import ExportSegment
from chalicelib.segments.service import answering, asking
from chalicelib.storage.functions import LocalFunctions
from tests.http.conftest import CountingTable, Look
from tests.makers import Api, Tray, a_token
from tests.segmenting import TODAY, Documents, World, a_member, a_world, member_id, opening

LEAF: dict[str, Any] = {"kind": "field", "name": "points", "op": "at_least", "value": 500}
NEVER: dict[str, Any] = {"kind": "purchases", "measure": "count", "op": "is", "value": 0}


@pytest.fixture
def world() -> World:
    """Some members, as the lake shows them."""
    return a_world(5)


@pytest.fixture
def marketing(house: House, world: World, api: Api) -> Api:
    """The API, with the lake of the world."""

    def answer(question: dict[str, Any], _: object) -> dict[str, Any]:
        now = house.clock()
        book = book_of(house.table)
        archive = opening(world, house.objects._path, scored=world.scored)  # type: ignore[attr-defined]
        return answering.answer(house.table, book, house.objects, archive, question, now=now)

    wiring.use(replace(house, functions=LocalFunctions({"segments-answer": answer})))
    return api.as_("marketer")


def made(api: Api, definition: Any = LEAF, key: str = "k1", **more: Any) -> dict[str, Any]:
    """A live segment."""
    reply = api.post("/v1/segments", {"name": "甲", "definition": definition, **more}, key=key)
    assert reply.status == 201, reply.text
    found: dict[str, Any] = reply.json
    return found


def with_points(world: World, points: int) -> list[str]:
    """Members with so many points, by id."""
    return sorted(each["member_id"] for each in world.tables["members"] if each["points"] >= points)


def test_a_segment_is_made_read_listed_and_made_once(marketing: Api) -> None:
    first = made(marketing)
    assert first["sentence"] == {"zh": "积分不少于 500 的会员。", "en": "Members who have at least 500 points."}
    assert (first["kind"], first["version"], first["size"]) == ("live", 1, None)
    again = marketing.post("/v1/segments", {"name": "甲", "definition": LEAF}, key="k1")
    assert (again.json, again.headers["Idempotency-Replayed"]) == (first, "true")
    other = marketing.post("/v1/segments", {"name": "乙", "definition": LEAF}, key="k1")
    assert (other.status, other.code) == (409, "segment_differs")
    assert marketing.get(f"/v1/segments/{first['segment_id']}").json == first
    assert marketing.get("/v1/segments").json["items"] == [first]


def test_whoever_makes_or_changes_a_segment_has_it_looked_at(marketing: Api) -> None:
    tray, here = Tray(), wiring.house()
    wiring.use(replace(here, queues=tray, settings=replace(here.settings, segments_queue="refresh")))
    segment = made(marketing)
    assert made(marketing) == segment
    marketing.patch(f"/v1/segments/{segment['segment_id']}", {"version": 1, "name": "乙", "dry_run": True})
    marketing.patch(f"/v1/segments/{segment['segment_id']}", {"version": 1, "definition": NEVER})
    assert tray.bodies == ["refresh"] * 3, "one for each but the dry run"


def test_ready_segments_are_there_and_cannot_be_changed(marketing: Api) -> None:
    found = marketing.send("GET", "/v1/ready-segments", Accept_Language="en").json["items"]
    assert len(found) == 18
    assert found[0]["name"] == "Champions"
    path = f"/v1/segments/{found[0]['segment_id']}"
    assert marketing.get(path).json["ready"] is True
    assert marketing.patch(path, {"version": 1, "name": "x"}).code == "segment_ready"
    assert marketing.post(f"{path}/archivals", {}).code == "segment_ready"


def test_a_definition_is_counted_while_it_is_written(marketing: Api, world: World) -> None:
    document = {"kind": "all", "of": [LEAF, {"kind": "not", "of": NEVER}]}
    reply = marketing.post("/v1/segment-counts", {"definition": document})
    assert reply.status == 200, reply.text
    rich = [each for each in world.tables["members"] if each["points"] >= 500]
    assert reply.json["count"] == sum(each["purchases_count"] > 0 for each in rich)
    assert reply.json["of"] == len(world.tables["members"])
    assert [each["pointer"] for each in reply.json["branches"]] == ["/definition/of/0", "/definition/of/1"]
    assert reply.json["branches"][0]["count"] == len(rich)
    assert reply.json["branches"][1]["sentence"]["zh"] == "有过消费的会员。"


def test_members_come_in_pages_and_tell_nothing_of_who_they_are(marketing: Api, world: World) -> None:
    segment = made(marketing)
    path, seen = f"/v1/segments/{segment['segment_id']}/members", list[str]()
    cursor: dict[str, str] = {}
    while True:
        page = marketing.get(path, limit=5, **cursor).json
        seen += [each["member_id"] for each in page["items"]]
        assert all(not {"mobile", "email", "name", "contact"} & each.keys() for each in page["items"])
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert seen == with_points(world, 500)


def test_a_list_is_what_was_put_on_it_until_it_is_changed(marketing: Api, world: World) -> None:
    ids = [member_id(1), member_id(2), member_id(3), "mem_" + "z" * 16]
    reply = marketing.post("/v1/segments", {"name": "单", "member_ids": ids}, key="s")
    assert (reply.status, reply.json["kind"], reply.json["size"]) == (201, "static", 4), reply.text
    path = f"/v1/segments/{reply.json['segment_id']}"
    assert [each["member_id"] for each in marketing.get(f"{path}/members").json["items"]] == ids[:3]
    edit = {"version": 1, "add_member_ids": [member_id(9)], "remove_member_ids": [member_id(1)]}
    assert marketing.patch(path, edit).json["size"] == 4
    shown = [each["member_id"] for each in marketing.get(f"{path}/members").json["items"]]
    assert shown == [member_id(2), member_id(3), member_id(9)]
    assert marketing.patch(path, {"version": 2, "definition": LEAF}).code == "segment_kind_wrong"
    live = made(marketing, {"kind": "not", "of": {"kind": "segment", "segment_id": reply.json["segment_id"]}})
    counted = marketing.post("/v1/segment-counts", {"definition": live["definition"]}).json
    assert counted["count"] == len(world.tables["members"]) - 3


def test_a_definition_can_be_frozen_as_a_list(marketing: Api, world: World) -> None:
    segment = made(marketing, freeze=True)
    assert (segment["kind"], segment["size"], segment["definition"]) == ("static", len(with_points(world, 500)), None)
    world.tables["members"].append(a_member(99, points=10_000))
    shown = marketing.get(f"/v1/segments/{segment['segment_id']}/members", limit=100).json["items"]
    assert member_id(99) not in [each["member_id"] for each in shown]
    assert len(shown) == segment["size"]


def test_an_edit_names_the_version_that_it_follows(marketing: Api) -> None:
    path = f"/v1/segments/{made(marketing)['segment_id']}"
    edited = marketing.patch(path, {"version": 1, "definition": NEVER, "note": "注"})
    assert (edited.json["version"], edited.json["sentence"]["zh"], edited.json["note"]) == (2, "没有消费的会员。", "注")
    assert marketing.patch(path, {"version": 1, "name": "z"}).code == "segment_moved"
    assert marketing.patch(path, {"version": 2, "note": None}).json["note"] is None
    wrong = marketing.patch(path, {"version": 3, "add_member_ids": [member_id(1)]})
    assert wrong.code == "segment_kind_wrong"


def test_without_scores_nobody_is_told_a_number_that_asks_for_them(marketing: Api, world: World) -> None:
    recent = {"kind": "rfm", "recency": [5]}
    champions = {"kind": "segment", "segment_id": "seg_ready_champions"}
    world.scored = False
    for some in (recent, {"kind": "not", "of": recent}, {"kind": "any", "of": [LEAF, champions]}):
        refused = marketing.post("/v1/segment-counts", {"definition": some})
        assert (refused.status, refused.code) == (409, "rfm_not_ready"), some
    assert marketing.get("/v1/segments/seg_ready_champions/members").code == "rfm_not_ready"
    assert marketing.post("/v1/segment-counts", {"definition": LEAF}).status == 200
    world.scored = True
    assert marketing.post("/v1/segment-counts", {"definition": recent}).status == 200


def test_a_wrong_value_of_a_list_is_one_fault(marketing: Api) -> None:
    def pointers(*ids: str) -> list[str]:
        refused = marketing.post("/v1/segment-overlaps", {"segment_ids": ids})
        assert refused.status == 422
        return [each["pointer"] for each in refused.json["errors"]]

    assert pointers("seg_ready_gone", "x") == ["/segment_ids/1"]
    assert pointers("x") == ["/segment_ids/0", "/segment_ids"], "it is too short besides"


def test_segments_in_a_circle_are_refused_and_one_in_use_stays(marketing: Api) -> None:
    a = made(marketing, key="a")["segment_id"]
    b = made(marketing, {"kind": "all", "of": [NEVER, {"kind": "segment", "segment_id": a}]}, key="b")["segment_id"]
    around = {"kind": "any", "of": [NEVER, {"kind": "not", "of": {"kind": "segment", "segment_id": b}}]}
    refused = marketing.patch(f"/v1/segments/{a}", {"version": 1, "definition": around})
    assert (refused.status, refused.code) == (422, "definition_wrong")
    assert refused.json["errors"][0]["pointer"] == "/definition/of/1/of/segment_id"
    used = marketing.post(f"/v1/segments/{a}/archivals", {})
    assert (used.code, used.json["facts"]["used_by"]) == ("segment_in_use", [b])
    assert marketing.post(f"/v1/segments/{b}/archivals", {}).json["state"] == "archived"
    assert marketing.post(f"/v1/segments/{b}/archivals", {}).headers["Idempotency-Replayed"] == "true"
    assert marketing.post(f"/v1/segments/{a}/archivals", {}).status == 201
    assert marketing.get("/v1/segments").json["items"] == []
    assert len(marketing.get("/v1/segments", state="archived").json["items"]) == 2
    named = {"kind": "segment", "segment_id": a}
    gone = marketing.post("/v1/segments", {"name": "c", "definition": named}, key="c")
    assert gone.json["errors"] == [{"pointer": "/definition/segment_id", "detail": "This segment is archived"}]


def test_a_tag_cannot_decide_who_is_given_it(marketing: Api) -> None:
    tagged = {"kind": "tag", "op": "has_any", "tags": ["vip"]}
    body = {"name": "t", "definition": tagged, "tag_rule": {"tag": "vip"}}
    refused = marketing.post("/v1/segments", body, key="t")
    assert (refused.status, refused.json["errors"][0]["pointer"]) == (422, "/tag_rule/tag")


def test_overlaps_sum_up(marketing: Api, world: World) -> None:
    a, b = made(marketing, key="a")["segment_id"], made(marketing, NEVER, key="b")["segment_id"]
    found = marketing.post("/v1/segment-overlaps", {"segment_ids": [a, b]}).json
    in_a = {each["m"] for each in world.tables["members"] if each["points"] >= 500}
    in_b = {each["m"] for each in world.tables["members"] if not each["purchases_count"]}
    assert found["sizes"] == {a: len(in_a), b: len(in_b)}
    counts = {tuple(each["segment_ids"]): each["count"] for each in found["regions"]}
    assert counts == {(a, b): len(in_a & in_b), (a,): len(in_a - in_b), (b,): len(in_b - in_a)}
    assert marketing.post("/v1/segment-overlaps", {"segment_ids": [a, "seg_" + "q" * 16]}).code == "segment_unknown"


def test_an_export_has_no_contact_data_and_no_formula(marketing: Api, world: World) -> None:
    world.tables["members"].append(a_member(77, points=900, source="=cmd|' /C calc'!A0", tags=["+1", "@x"]))
    segment = made(marketing)
    path = f"/v1/segments/{segment['segment_id']}/exports"
    body = {"columns": ["member_id", "source", "tags", "points"]}
    export = marketing.post(path, body, key="e")
    assert (export.status, export.json["parts"]) == (201, 1), export.text
    assert export.json["rows"] == len(with_points(world, 500))
    sheet = marketing.get(f"{path}/{export.json['export_id']}")
    assert sheet.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert "'=cmd" in sheet.text
    assert "'+1; @x" in sheet.text
    assert len(sheet.text.splitlines()) == export.json["rows"] + 1
    assert marketing.post(path, body, key="e").headers["Idempotency-Replayed"] == "true"
    assert marketing.post(path, {}, key="e").code == "segment_differs"
    assert marketing.get(f"{path}/{export.json['export_id']}", part=2).code == "export_unknown"
    assert marketing.post(path, {"columns": ["mobile"]}, key="m").status == 422
    other = made(marketing, NEVER, key="o")["segment_id"]
    assert marketing.get(f"/v1/segments/{other}/exports/{export.json['export_id']}").code == "export_unknown"


def test_rows_about_members_are_for_who_may_read_members(marketing: Api, house: House) -> None:
    segment = made(marketing)["segment_id"]
    export = marketing.post(f"/v1/segments/{segment}/exports", {}, key="e").json["export_id"]
    analyst = marketing.as_("analyst")
    assert analyst.post("/v1/segments", {"name": "One", "member_ids": [member_id(1)]}, key="one").status == 201
    for refused in (
        analyst.post(f"/v1/segments/{segment}/exports", {"columns": ["gender"]}, key="x"),
        analyst.get(f"/v1/segments/{segment}/exports/{export}"),
    ):
        assert (refused.status, refused.code) == (403, "permission_missing")
    custom = Caller(Kind.STAFF, "stf_c", ("c",), {Permission.SEGMENTS_EXPORT: Scope.ALL})
    now = marketing.clock()
    with pytest.raises(PermissionMissing, match="members:read"):
        asking.export_segment(
            house.table, asking.Asking(house.functions), custom, segment, ExportSegment(), key="x", now=now
        )
    with pytest.raises(PermissionMissing, match="members:read"):
        asking.read_export(house.table, house.objects, custom, segment, export, 1)


def test_a_shop_manager_counts_members_of_their_shops_only(marketing: Api, house: House, world: World) -> None:
    segment = made(marketing)["segment_id"]
    token = a_token(
        marketing.token_key, marketing.issuer, marketing.audience, marketing.clock(), "shop_manager", shop_id="shp_b"
    )
    manager = marketing.with_(token)
    rich = [each for each in world.tables["members"] if each["points"] >= 500]
    own = [each["member_id"] for each in rich if each["shop_id"] == "shp_b"]
    counted = manager.post("/v1/segment-counts", {"definition": LEAF}).json
    assert counted["count"] == len(own)
    assert counted["of"] == sum(each["shop_id"] == "shp_b" for each in world.tables["members"])
    shown = manager.get(f"/v1/segments/{segment}/members", limit=100).json["items"]
    assert [each["member_id"] for each in shown] == sorted(own)
    both = manager.post("/v1/segment-overlaps", {"segment_ids": [segment, "seg_ready_never_bought"]}).json
    assert both["sizes"][segment] == len(own)
    assert manager.post("/v1/segments", {"name": "x", "definition": LEAF}, key="x").code == "permission_missing"
    assert manager.post(f"/v1/segments/{segment}/exports", {}, key="x").code == "permission_missing"
    # `not` must not reach the members of others either.
    denied = manager.post("/v1/segment-counts", {"definition": {"kind": "not", "of": LEAF}}).json
    assert denied["count"] == counted["of"] - len(own)


def test_who_counts_may_be_silent(marketing: Api, house: House) -> None:
    segment = made(marketing)["segment_id"]

    def broken(question: dict[str, Any], _: object) -> dict[str, Any]:
        raise RuntimeError("no lake")

    wiring.use(replace(house, functions=LocalFunctions({"segments-answer": broken})))
    for reply in (
        marketing.post("/v1/segment-counts", {"definition": LEAF}),
        marketing.get(f"/v1/segments/{segment}/members"),
        marketing.post(f"/v1/segments/{segment}/exports", {}, key="x"),
        marketing.post("/v1/segments", {"name": "x", "definition": LEAF, "freeze": True}, key="x"),
    ):
        assert (reply.status, reply.code) == (503, "segments_silent")
        assert reply.headers["Retry-After"] == "5"


def test_a_dry_run_writes_nothing(marketing: Api, look: Look) -> None:
    segment = made(marketing)["segment_id"]
    before = look()
    for reply in (
        marketing.post("/v1/segments", {"name": "x", "definition": LEAF, "dry_run": True}, key="x"),
        marketing.post("/v1/segments", {"name": "x", "definition": LEAF, "freeze": True, "dry_run": True}, key="y"),
        marketing.patch(f"/v1/segments/{segment}", {"version": 1, "name": "y", "dry_run": True}),
        marketing.post(f"/v1/segments/{segment}/archivals", {"dry_run": True}),
        marketing.post(f"/v1/segments/{segment}/exports", {"dry_run": True}, key="z"),
    ):
        assert reply.status == 200, reply.text
        assert reply.headers["Dry-Run"] == "true"
    assert look() == before


def test_an_empty_lake_counts_nobody(api: Api) -> None:
    reply = api.post("/v1/segment-counts", {"definition": {"kind": "any", "of": [LEAF, NEVER]}})
    assert (reply.status, reply.json["count"], reply.json["of"]) == (200, 0, 0), reply.text


# ---------------------------------------------------------------- hostile documents

STRINGS = (
    "'; DROP TABLE members; --", '" OR 1=1', "1) UNION SELECT member_id FROM members --", "$1", "?", "\\", "%", "_",
    "{{7*7}}", "${jndi:ldap://x}", "__import__('os')", "read_csv('/etc/passwd')", "../../etc/passwd", "a" * 300,
    "", " ", "\u0000", "\u202eevil", "\u200b", "ａ", "é", "e\u0301", "\ufeff", "\ud83d\ude00", "null", "true", "NaN",
    "=1+1", "<script>", "$.a", "a.b", "a[0]", "points", "m", "members.m", "seg_" + "a" * 16, "🏴" * 30,
)  # fmt: skip
ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 10**15 + 1, -(10**18), 2**63, 10**100, 1.5, 1e308, -0.0, [], {}, [[]], [None], [1.5],
    {"kind": "all"}, "5", ["x"] * 101,
)  # fmt: skip
RAW = (
    "NaN", "Infinity", "-Infinity", "1e400", "1" * 5000, "{", '{"kind":"all","kind":"any"}', "\x00", "[" * 100_000,
    '{"kind":"not","of":' * 5_000 + "1" + "}" * 5_000, '{"kind":"not","of":' * 180 + json.dumps(LEAF) + "}" * 180,
    '"\\ud800"', '{"kind":"tag","op":"has_any","tags":["\\udfff"]}', "'single'", "01", "+1", "0x10", "{kind:1}",
)  # fmt: skip


def valid() -> list[dict[str, Any]]:
    """A definition of every kind, with every field filled."""
    window = {"kind": "last_days", "days": 30, "skip": 3}
    span = {"kind": "from_to", "first": "2026-01-01", "last": "2026-02-01"}
    some = {"shop_ids": ["shp_a"], "window": window}
    return [
        {**LEAF, "op": "between", "to": 900},
        {"kind": "field", "name": "points_expiring", "days": 30, "op": "at_least", "value": 1},
        {"kind": "field", "name": "gender", "op": "is_any", "values": ["female"]},
        {"kind": "field", "name": "region", "op": "is_none", "values": ["CN"]},
        {"kind": "field", "name": "joined_on", "op": "between", "day": "2026-01-01", "to": "2026-02-01"},
        {"kind": "field", "name": "last_bought_on", "op": "in_last_days", "days": 30},
        {"kind": "field", "name": "birthday", "op": "in_next_days", "days": 7},
        {"kind": "field", "name": "birthday", "op": "in_months", "months": [2]},
        {"kind": "field", "name": "consents", "op": "has_any", "values": ["marketing"]},
        {"kind": "purchases", "measure": "sum", "op": "above", "value": 1, "channels": ["pos"], **some},
        {"kind": "purchases", "measure": "last", "op": "more_than_days_ago", "days": 3, **some, "window": span},
        {"kind": "bought", "skus": ["L1"], "categories": ["茶"], "measure": "quantity", "at_least": 2, **some},
        {"kind": "campaign", "did": "not_opened", "source_ids": ["cmp_a"], "channels": ["sms"], "window": span},
        {"kind": "segment", "segment_id": "seg_ready_champions"},
        {"kind": "rfm", "recency": [1], "frequency": [2], "monetary": [3]},
        {"kind": "stage", "stages": ["new"]},
        {"kind": "tag", "op": "has_all", "tags": ["vip"]},
        {"kind": "all", "of": [LEAF]},
        {"kind": "any", "of": [LEAF, NEVER]},
        {"kind": "not", "of": LEAF},
    ]  # fmt: skip


def places(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a document."""
    yield path
    listed = enumerate(document if isinstance(document, list) else ())
    for name, each in document.items() if isinstance(document, dict) else listed:
        yield from places(each, (*path, name))


def put(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A document with another value in a place."""
    if not path:
        return value
    copy = json.loads(json.dumps(document))
    here = copy
    for part in path[:-1]:
        here = here[part]
    here[path[-1]] = value
    return copy


def hostile() -> list[bytes]:
    """Bodies with a definition that somebody should not send: made by hand, and from every place of every kind."""
    chance = random.Random(1)
    documents: list[Any] = list(ODD) + list(STRINGS)
    for each in valid():
        for path in places(each):
            documents += [put(each, path, value) for value in chance.sample(ODD, 4)]
            documents += [put(each, path, text) for text in chance.sample(STRINGS, 4)]
        extras: tuple[dict[str, Any], ...] = ({"sql": "1=1"}, {"__proto__": {}}, {"kind": "exec"}, {"op": ";"})
        documents += [{**each, **more} for more in extras]
    nested: Any = LEAF
    for depth in range(1, 90):
        nested = {"kind": ("all", "any")[depth % 2], "of": [nested]}
        documents.append(nested)
    heavy = {"kind": "purchases", "measure": "sum", "op": "above", "value": 1}
    documents += [{"kind": "any", "of": [heavy] * 25}, {"kind": "all", "of": [{"kind": "any", "of": [LEAF] * 50}] * 50}]
    documents += [{"kind": "all", "of": [LEAF] * 51}, {"kind": "segment", "segment_id": "seg_" + "a" * 16}]
    written = [json.dumps({"definition": each, "branches": False}).encode() for each in documents]
    return written + [b'{"definition": %s}' % each.encode("utf-8", "surrogatepass") for each in RAW]


def test_hostile_documents_are_refused_with_a_pointer_or_counted_harmlessly(
    marketing: Api, world: World, counting: CountingTable
) -> None:
    def answer(question: dict[str, Any], _: object) -> dict[str, Any]:
        home = wiring.house()
        with lake as engine:
            return answering.answer(
                home.table, book_of(home.table), home.objects, lambda *_: Kept(engine), question, now=home.clock()
            )

    class Kept:
        """A connection that stays open, because opening it is what takes long."""

        def __init__(self, engine: Any) -> None:
            self.engine = engine

        def __enter__(self) -> Any:
            return self.engine

        def __exit__(self, *_: object) -> None:
            pass

    with opening(world)(TODAY, marketing.clock()) as engine:
        lake = Kept(engine)
        wiring.use(replace(wiring.house(), functions=LocalFunctions({"segments-answer": answer})))
        book_of(wiring.house().table).current(marketing.clock())
        commits = counting.commits
        whole = engine.connection.execute("FROM members").fetchall()
        counted = refused = 0
        bodies = hostile()
        for body in bodies:
            reply = marketing.send("POST", "/v1/segment-counts", body)
            assert reply.status in (200, 400, 413, 422), (body[:300], reply.text)
            if reply.status == 200:
                counted += 1
                assert 0 <= reply.json["count"] <= reply.json["of"] == len(world.tables["members"])
            elif reply.status == 422:
                refused += 1
                assert reply.json["errors"], body
                assert all(each["pointer"].startswith("/definition") for each in reply.json["errors"]), reply.text
        assert engine.connection.execute("FROM members").fetchall() == whole
        assert counting.commits == commits
    assert len(bodies) > 1_400
    assert counted > 30, "some are harmless, and show that the others are not refused for another reason"
    assert refused > 1_000


def test_valid_documents_by_chance_are_kept_and_come_back_as_they_were(marketing: Api) -> None:
    documents = Documents(11)
    for number in range(40):
        document = documents.definition()
        if any(word in json.dumps(document) for word in ("custom_field", "tier_id", "source_ids")):
            continue  # the test has neither those fields nor those tiers nor those campaigns
        assert made(marketing, document, key=f"d{number}")["definition"] == filled(document)


def filled(document: Any) -> Any:
    """A document as it is shown: what was left out is null or what it means."""
    from chalicelib.segments.models import DEFINITION

    return json.loads(DEFINITION.dump_json(DEFINITION.validate_json(json.dumps(document))))
