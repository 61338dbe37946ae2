"""Enrolling, editing, suspending, reinstating and closing: once, again, at once."""

import hashlib
import json
from datetime import date
from functools import partial
from typing import Any

import pytest

from chalicelib.kernel.errors import Refusal
from chalicelib.kernel.outcomes import Outcome
from chalicelib.members import service, store
from chalicelib.members.errors import (
    BalanceRemaining,
    BirthdayInFuture,
    CardTaken,
    CustomFieldUnknown,
    EmailTaken,
    EnrolmentDiffers,
    ExternalIdTaken,
    IdentifierNeeded,
    MemberMoved,
    MobileInvalid,
    MobileTaken,
)
from chalicelib.members.models import ExternalId, MemberView
from chalicelib.members.rules import external_identifier
from chalicelib.points.errors import MemberClosed, MemberUnknown
from chalicelib.points.models import AccountStatus, PointsSummary
from chalicelib.storage import keys
from chalicelib.storage.dynamo import Dynamo
from chalicelib.storage.table import DynamoTable
from tests.makers import a_purchase, an_enrolment, publish_texts
from tests.table.stand import Desk, at_once, scan

MOBILE, OTHER = "+8613800138000", "+8613900139000"
FULL: dict[str, Any] = {
    "name": "李四", "mobile": "138 0013 8000", "email": "Li.Si@Example.com", "card_no": "C#1%",
    "external_ids": [{"source": "wechat", "id": "o#1"}, {"source": "erp", "id": "9"}], "gender": "female",
    "language": "en", "birthday": "1990-02-28", "shop_id": "shp_main", "source": "till", "referral_code": "R1",
    "tags": ["vip", "vip"],
    "consents": [{"purpose": "sms", "granted": True, "text_version": "1"}],
}  # fmt: skip


@pytest.fixture(autouse=True)
def texts(table: DynamoTable) -> None:
    """Texts that members consented to."""
    publish_texts(table, "sms")


def kinds(desk: Desk, dynamo: Dynamo, table: DynamoTable) -> dict[str, int]:
    """How many items of each kind the table holds, beside texts of consents."""
    found: dict[str, int] = {}
    for key in (each for each in scan(dynamo, table.name) if not each.pk.startswith("CT#")):
        found[key.pk.partition("#")[0]] = found.get(key.pk.partition("#")[0], 0) + 1
    return found


# ---------------------------------------------------------------- enrolling


def test_an_enrolment_keeps_what_was_given_and_is_found_by_every_identifier(desk: Desk) -> None:
    member = desk.enrol(**FULL)
    assert (member.mobile, member.email, member.birthday, member.tags) == (
        MOBILE, "li.si@example.com", "1990-02-28", ("vip",),
    )  # fmt: skip
    assert (member.status, member.version, member.tier.tier_id) == (AccountStatus.ACTIVE, 1, "basic")
    assert member.points == PointsSummary(available=0)
    for identifier in (
        {"mobile": "13800138000"}, {"mobile": MOBILE}, {"email": "LI.SI@example.COM"}, {"card_no": "C#1%"},
        {"external_id": "wechat:o#1"}, {"external_id": "erp:9"}, {"member_number": str(member.member_number)},
    ):  # fmt: skip
        assert desk.look_up(**identifier) == (member,), identifier
    assert desk.member(member.member_id) == member


@pytest.mark.parametrize(
    ("field", "value", "refusal"),
    [
        ("mobile", "0086 138-0013-8000", MobileTaken),
        ("email", "LI.SI@EXAMPLE.COM", EmailTaken),
        ("card_no", "C#1%", CardTaken),
        ("external_ids", [{"source": "erp", "id": "9"}], ExternalIdTaken),
    ],
)
def test_an_identifier_that_another_member_has_is_refused(
    desk: Desk, dynamo: Dynamo, table: DynamoTable, field: str, value: object, refusal: type[Refusal]
) -> None:
    desk.enrol(**FULL)
    before = scan(dynamo, table.name)
    for dry_run in (True, False):
        with pytest.raises(refusal):
            desk.enrolled(an_enrolment(**{field: value, "dry_run": dry_run}))
    assert scan(dynamo, table.name) == before


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"card_no": None}, IdentifierNeeded),
        ({"mobile": "12345"}, MobileInvalid),
        ({"birthday": "2026-03-16"}, BirthdayInFuture),
        ({"custom": {"shoe_size": 42}}, CustomFieldUnknown),
    ],
)
def test_an_enrolment_that_cannot_be_is_refused_and_makes_nobody(
    desk: Desk, dynamo: Dynamo, table: DynamoTable, fields: dict[str, Any], refusal: type[Refusal]
) -> None:
    before = scan(dynamo, table.name)
    with pytest.raises(refusal):
        desk.enrol(**fields)
    assert scan(dynamo, table.name) == before


def test_identifiers_that_look_alike_when_joined_belong_to_different_members(desk: Desk) -> None:
    tricky = ["a#b", "a%23b", "a%2523b", "a", "#a", "a#", "%", "%25", "U", "a:b"]
    made = {card: desk.enrol(card_no=card).member_id for card in tricky}
    made |= {f"x:{card}": desk.enrol(card_no=None, external_ids=[{"source": "x", "id": card}]).member_id
             for card in tricky}  # fmt: skip
    assert len(set(made.values())) == len(made) == 20
    for card in tricky:
        assert [m.member_id for m in desk.look_up(card_no=card)] == [made[card]]
        assert [m.member_id for m in desk.look_up(external_id=f"x:{card}")] == [made[f"x:{card}"]]


def test_the_same_enrolment_again_with_its_key_answers_the_member_it_made(
    desk: Desk, dynamo: Dynamo, table: DynamoTable
) -> None:
    command = an_enrolment(**FULL)
    first = desk.enrolled(command, key="k1")
    before = scan(dynamo, table.name)
    assert desk.enrolled(command, key="k1") == Outcome(first.value, replayed=True)
    with pytest.raises(MobileTaken):
        desk.enrolled(command, key="k2")
    with pytest.raises(MobileTaken):
        desk.enrolled(command)
    with pytest.raises(EnrolmentDiffers) as refusal:
        desk.enrolled(command.model_copy(update={"name": "王五"}), key="k1")
    assert refusal.value.facts == {"key": "k1"}
    with pytest.raises(EnrolmentDiffers):
        desk.enrolled(an_enrolment(card_no="another"), key="k1")
    assert scan(dynamo, table.name) == before


def test_an_enrolment_with_a_key_is_answered_again_whatever_became_of_its_member(
    desk: Desk, dynamo: Dynamo, table: DynamoTable
) -> None:
    command = an_enrolment(mobile=MOBILE, card_no="C1")
    member = desk.enrolled(command, key="k1").value.member_id

    desk.edit(member, 1, mobile=OTHER, card_no=None)
    before = scan(dynamo, table.name)
    assert desk.enrolled(command, key="k1") == Outcome(desk.member(member), replayed=True)
    assert scan(dynamo, table.name) == before

    desk.close(member)
    before = scan(dynamo, table.name)
    again = desk.enrolled(command, key="k1")
    assert again == Outcome(desk.member(member), replayed=True)
    assert again.value.status is AccountStatus.CLOSED
    assert scan(dynamo, table.name) == before
    assert desk.enrolled(command, key="k2").value.member_id != member


def test_an_enrolment_is_answered_again_though_the_program_would_refuse_it_by_now(desk: Desk) -> None:
    command = an_enrolment(mobile="13800138000")
    first = desk.enrolled(command, key="k1")
    required = {"size": {"type": "text", "label": {"zh": "码", "en": "Size"}, "required": True}}
    desk.publish(1, country="HK", custom_fields=required)
    again = desk.enrolled(command, key="k1")
    assert (again.replayed, again.value.member_id) == (True, first.value.member_id)
    with pytest.raises(Refusal):
        desk.enrolled(command, key="k2")


def test_an_enrolment_tried_out_spends_no_key_and_tells_one_that_was_carried_out(
    desk: Desk, dynamo: Dynamo, table: DynamoTable
) -> None:
    command = an_enrolment(**FULL)
    dry = command.model_copy(update={"dry_run": True})
    desk.book.current(desk.clock())
    before = scan(dynamo, table.name)
    assert not desk.enrolled(dry, key="k1").stored
    assert scan(dynamo, table.name) == before
    first = desk.enrolled(command, key="k1")
    before = scan(dynamo, table.name)
    assert desk.enrolled(dry, key="k1") == Outcome(first.value, replayed=True)
    with pytest.raises(EnrolmentDiffers):
        desk.enrolled(dry.model_copy(update={"name": "王五"}), key="k1")
    assert scan(dynamo, table.name) == before


def test_an_enrolment_without_a_key_keeps_none_and_what_is_kept_of_one_with_a_key_tells_nobody_anything(
    desk: Desk, dynamo: Dynamo, table: DynamoTable
) -> None:
    desk.enrol()
    assert "K" not in kinds(desk, dynamo, table)
    member = desk.enrol(mobile=MOBILE, card_no=None, name=None, key="k#1")
    (item,) = (item for key, item in scan(dynamo, table.name).items() if key.pk == "K#enrol#k%231")
    assert set(item) == {"pk", "sk", "member_id", "content"}
    assert item["member_id"] == member.member_id
    plainly = hashlib.sha256(json.dumps({"mobile": MOBILE}, separators=(",", ":")).encode())
    assert item["content"] not in (plainly.digest(), plainly.hexdigest())


def test_two_enrolments_with_one_key_and_other_content_at_once_make_one_member(
    desk: Desk, dynamo: Dynamo, table: DynamoTable
) -> None:
    for n in range(5):
        commands = [an_enrolment(card_no=f"{n}-{side}") for side in "ab"]
        answers = at_once(dynamo, *(partial(desk.enrolled, each, key=f"k{n}") for each in commands))
        assert sorted(type(answer).__name__ for answer in answers) == ["EnrolmentDiffers", "Outcome"], answers
    assert kinds(desk, dynamo, table) == {"M": 10, "U": 5, "K": 5, "PROGRAM": 2}


def test_the_same_enrolment_twice_at_once_with_its_key_makes_one_member_and_tells_both(
    desk: Desk, dynamo: Dynamo, table: DynamoTable
) -> None:
    for n in range(5):
        command = an_enrolment(card_no=f"{n}")
        outcomes = at_once(dynamo, *(partial(desk.enrolled, command, key=f"k{n}") for _ in range(2)))
        made = [each for each in outcomes if isinstance(each, Outcome)]
        assert sorted(each.replayed for each in made) == [False, True], outcomes
        assert len({each.value.member_id for each in made}) == 1
    assert kinds(desk, dynamo, table) == {"M": 10, "U": 5, "K": 5, "PROGRAM": 2}


@pytest.mark.parametrize(
    ("first", "twin", "refusal"),
    [
        ({"card_no": "VIP12"}, {"card_no": "ＶＩＰ１２"}, CardTaken),
        ({"card_no": "caf\u00e9"}, {"card_no": "cafe\u0301"}, CardTaken),
        ({"email": "li1@x.cn"}, {"email": "ＬＩ１@x.cn"}, EmailTaken),
        ({"external_ids": [{"source": "x", "id": "\u00e9"}]}, {"external_ids": [{"source": "x", "id": "e\u0301"}]},
         ExternalIdTaken),
    ],
)  # fmt: skip
def test_no_second_member_is_made_with_what_looks_like_the_identifier_of_the_first(
    desk: Desk, first: dict[str, Any], twin: dict[str, Any], refusal: type[Refusal]
) -> None:
    member = desk.enrol(**first)
    with pytest.raises(refusal):
        desk.enrol(**{**({} if "card_no" in twin else {"card_no": "other"}), **twin})
    for field, value in twin.items():
        asked = {"external_id": f"x:{value[0]['id']}"} if field == "external_ids" else {field: value}
        assert desk.look_up(**asked) == (member,)


def test_an_external_id_of_before_its_spelling_was_fixed_is_read_and_freed(
    desk: Desk, dynamo: Dynamo, table: DynamoTable
) -> None:
    member = desk.enrol(card_no="C1").member_id
    old = ExternalId.model_construct(source="x", id="e\u0301 \u200b")
    profile = store.profile_from(scan(dynamo, table.name)[keys.profile(member)], desk.keyring)
    contact = profile.contact.model_copy(update={"external_ids": (old,)})
    table.commit([
        store.replace_profile(profile.model_copy(update={"contact": contact, "version": 2}), desk.keyring),
        *store.claim(member, *external_identifier(old), desk.keyring, lambda _: ExternalIdTaken(field="external_ids")),
    ])  # fmt: skip
    assert desk.member(member).external_ids == (old,)
    desk.close(member)
    assert "U" not in kinds(desk, dynamo, table)


def test_custom_values_come_in_one_order_and_consents_in_one_precision_wherever_they_are_read(desk: Desk) -> None:
    names = [f"f{n}" for n in (3, 1, 2, 10, 7)]
    desk.publish(1, custom_fields={name: {"type": "integer", "label": {"zh": "项", "en": "x"}} for name in names})
    desk.clock.forward(microseconds=123_456)
    member = desk.enrol(custom=dict.fromkeys(names, 1))
    assert list(member.custom) == list(desk.member(member.member_id).custom) == sorted(names)
    desk.clock.forward(seconds=1)
    edited = desk.edit(
        member.member_id, 1, consents=[{"purpose": "sms", "granted": True, "text_version": "1"}], custom={"f2": 5}
    )
    assert edited == desk.member(member.member_id)
    assert list(edited.custom) == sorted(names)
    assert edited.consents[0].at.microsecond == 123_000


def test_eight_enrolments_with_one_mobile_at_once_make_one_member(
    desk: Desk, dynamo: Dynamo, table: DynamoTable
) -> None:
    answers = at_once(
        dynamo, *(lambda n=n: desk.enrol(mobile=MOBILE, card_no=f"c{n}", email=f"{n}@x.cn") for n in range(8))
    )
    made = [answer for answer in answers if isinstance(answer, MemberView)]
    assert (len(made), len([a for a in answers if isinstance(a, MobileTaken)])) == (1, 7)
    assert kinds(desk, dynamo, table) == {"M": 2, "U": 3, "PROGRAM": 2}


def test_the_same_enrolment_eight_times_at_once_makes_one_member_and_tells_all_of_them(
    desk: Desk, dynamo: Dynamo, table: DynamoTable
) -> None:
    command = an_enrolment(**FULL)
    answers = at_once(dynamo, *(lambda: desk.enrolled(command, key="k1") for _ in range(8)))
    outcomes = [answer for answer in answers if isinstance(answer, Outcome)]
    assert len(outcomes) == 8, answers
    assert len({outcome.value.member_id for outcome in outcomes}) == 1
    assert sorted(outcome.replayed for outcome in outcomes) == [False] + [True] * 7
    assert kinds(desk, dynamo, table) == {"M": 2, "U": 5, "K": 1, "PROGRAM": 2, "CONSENT": 1}


def test_a_member_number_that_chance_gives_twice_is_drawn_again(desk: Desk, dynamo: Dynamo, table: DynamoTable) -> None:
    numbers = iter([5, 5, 5, 6])
    desk.draw = lambda: next(numbers)
    first, second = desk.enrol(), desk.enrol()
    assert first.member_number != second.member_number
    assert kinds(desk, dynamo, table) == {"M": 4, "U": 2, "PROGRAM": 2}


# ---------------------------------------------------------------- editing


def test_an_edit_moves_the_identifiers_it_changes(desk: Desk, dynamo: Dynamo, table: DynamoTable) -> None:
    member = desk.enrol(**FULL)
    edited = desk.edit(member.member_id, 1, mobile=OTHER, email=None, name="王五", birthday="--03-01")
    assert edited.contact_hold is not None
    assert edited.model_copy(update={"contact_hold": None}) == member.model_copy(
        update={"mobile": OTHER, "email": None, "name": "王五", "birthday": "--03-01", "version": 2}
    )
    assert desk.member(member.member_id) == edited
    assert (desk.look_up(mobile=MOBILE), desk.look_up(email="li.si@example.com")) == ((), ())
    assert desk.look_up(mobile=OTHER) == (edited,)
    assert kinds(desk, dynamo, table) == {"M": 2, "U": 4, "PROGRAM": 2, "H": 1, "CONSENT": 1, "RCH": 1}
    assert desk.enrol(mobile=MOBILE).mobile == MOBILE


def test_two_members_swap_their_mobiles_by_way_of_a_third_state(desk: Desk) -> None:
    first, second = desk.enrol(mobile=MOBILE), desk.enrol(mobile=OTHER)
    with pytest.raises(MobileTaken):
        desk.edit(first.member_id, 1, mobile=OTHER)
    assert desk.member(first.member_id) == first
    desk.edit(first.member_id, 1, mobile=None)
    desk.edit(second.member_id, 1, mobile=MOBILE)
    desk.edit(first.member_id, 2, mobile=OTHER)
    assert [m.member_id for m in desk.look_up(mobile=OTHER)] == [first.member_id]
    assert [m.member_id for m in desk.look_up(mobile=MOBILE)] == [second.member_id]


def test_an_edit_back_to_the_former_mobile_works(desk: Desk) -> None:
    member = desk.enrol(mobile=MOBILE)
    desk.edit(member.member_id, 1, mobile=OTHER)
    desk.edit(member.member_id, 2, mobile=MOBILE)
    assert [m.version for m in desk.look_up(mobile=MOBILE)] == [3]
    assert desk.look_up(mobile=OTHER) == ()


def test_the_same_edit_again_is_refused_because_the_version_moved(desk: Desk) -> None:
    member = desk.enrol(mobile=MOBILE)
    edited = desk.edit(member.member_id, 1, name="王五")
    with pytest.raises(MemberMoved) as refusal:
        desk.edit(member.member_id, 1, name="王五")
    assert refusal.value.facts == {"read": 1, "current": 2}
    assert desk.member(member.member_id) == edited


def test_of_eight_edits_at_once_one_wins_and_the_others_hear_that_the_member_moved(
    desk: Desk, dynamo: Dynamo, table: DynamoTable
) -> None:
    member = desk.enrol()
    answers = at_once(
        dynamo, *(lambda n=n: desk.edit(member.member_id, 1, mobile=f"+861380013800{n}") for n in range(8))
    )
    won = [answer for answer in answers if isinstance(answer, MemberView)]
    assert (len(won), len([a for a in answers if isinstance(a, MemberMoved)])) == (1, 7), answers
    assert desk.member(member.member_id) == won[0]
    assert kinds(desk, dynamo, table) == {"M": 2, "U": 2, "PROGRAM": 2, "H": 1, "RCH": 1}


def test_two_members_who_claim_one_mobile_at_once_do_not_both_get_it(desk: Desk, dynamo: Dynamo) -> None:
    members = [desk.enrol().member_id for _ in range(8)]
    answers = at_once(dynamo, *(lambda m=m: desk.edit(m, 1, mobile=MOBILE) for m in members))
    won = [answer for answer in answers if isinstance(answer, MemberView)]
    assert (len(won), len([a for a in answers if isinstance(a, MobileTaken)])) == (1, 7), answers
    assert desk.look_up(mobile=MOBILE) == (won[0],)
    assert sorted(desk.member(m).version for m in members) == [1] * 7 + [2]


def test_a_refused_edit_changes_nothing(desk: Desk, dynamo: Dynamo, table: DynamoTable) -> None:
    desk.enrol(mobile=OTHER)
    member, closed = desk.enrol(mobile=MOBILE, card_no=None), desk.enrol()
    desk.close(closed.member_id)
    before = scan(dynamo, table.name)
    for fields, refusal in (
        ({"mobile": OTHER}, MobileTaken),
        ({"mobile": OTHER, "dry_run": True}, MobileTaken),
        ({"mobile": None}, IdentifierNeeded),
        ({"mobile": "1"}, MobileInvalid),
        ({"birthday": "2026-03-16"}, BirthdayInFuture),
        ({"custom": {"x": "1"}}, CustomFieldUnknown),
    ):
        with pytest.raises(refusal):
            desk.edit(member.member_id, 1, **(fields if fields != {"mobile": "1"} else {"mobile": "12345"}))
    with pytest.raises(MemberMoved):
        desk.edit(member.member_id, 2, name="x")
    with pytest.raises(MemberClosed):
        desk.edit(closed.member_id, 2, name="x")
    with pytest.raises(MemberUnknown):
        desk.edit("mem_" + "a" * 16, 1, name="x")
    assert scan(dynamo, table.name) == before


def test_a_dry_run_of_an_edit_shows_the_result_and_writes_nothing(
    desk: Desk, dynamo: Dynamo, table: DynamoTable
) -> None:
    member = desk.enrol(mobile=MOBILE)
    before = scan(dynamo, table.name)
    assert desk.edit(member.member_id, 1, name="x", dry_run=True).name == "x"
    assert desk.edit(member.member_id, 1, mobile=MOBILE, dry_run=True).mobile == MOBILE
    assert scan(dynamo, table.name) == before


def test_an_edit_and_a_change_of_status_in_the_same_millisecond_do_not_meet(desk: Desk) -> None:
    member = desk.enrol().member_id
    desk.suspend(member)
    desk.edit(member, 1, name="x")
    desk.reinstate(member)
    desk.edit(member, 2, name="y")
    desk.close(member)
    happened = service.list_timeline(desk.table, desk.member(member).member_id, after=None, limit=50)
    assert sorted(each.type for each in happened.items) == [
        "closed", "edited", "edited", "enrolled", "reinstated", "suspended",
    ]  # fmt: skip


# ---------------------------------------------------------------- suspending, reinstating, closing


def test_suspending_again_changes_nothing_and_so_does_reinstating_again(
    desk: Desk, dynamo: Dynamo, table: DynamoTable
) -> None:
    member = desk.enrol().member_id
    first = desk.suspend(member)
    assert (first.replayed, first.value.status) == (False, AccountStatus.SUSPENDED)
    before = scan(dynamo, table.name)
    assert desk.suspend(member, "again") == Outcome(first.value, replayed=True)
    assert scan(dynamo, table.name) == before
    back = desk.reinstate(member)
    assert (back.replayed, back.value.status) == (False, AccountStatus.ACTIVE)
    before = scan(dynamo, table.name)
    assert desk.reinstate(member) == Outcome(back.value, replayed=True)
    assert scan(dynamo, table.name) == before


@pytest.mark.parametrize("verb", ["suspend", "reinstate", "close"])
def test_the_same_change_of_status_eight_times_at_once_happens_once(desk: Desk, dynamo: Dynamo, verb: str) -> None:
    member = desk.enrol(mobile=MOBILE).member_id
    if verb == "reinstate":
        desk.suspend(member)
    version = desk.account(member).version
    answers = at_once(dynamo, *(lambda: getattr(desk, verb)(member) for _ in range(8)))
    outcomes = [answer for answer in answers if isinstance(answer, Outcome)]
    assert len(outcomes) == 8, answers
    assert sorted(outcome.replayed for outcome in outcomes) == [False] + [True] * 7
    assert desk.account(member).version == version + 1


def test_a_forfeiting_closure_eight_times_at_once_takes_the_points_once(desk: Desk, dynamo: Dynamo) -> None:
    member = desk.enrol().member_id
    desk.adjust(member, 100, key="gift")
    answers = at_once(dynamo, *(lambda: desk.close(member, forfeit=True) for _ in range(8)))
    outcomes = [answer for answer in answers if isinstance(answer, Outcome)]
    assert len(outcomes) == 8, answers
    assert sorted(outcome.replayed for outcome in outcomes) == [False] + [True] * 7
    assert desk.sums(member) == (2, 0, 0)


def test_a_closure_frees_every_identifier_and_ends_the_membership(
    desk: Desk, dynamo: Dynamo, table: DynamoTable
) -> None:
    member = desk.enrol(**FULL)
    outcome = desk.close(member.member_id)
    assert (outcome.replayed, outcome.value.status, outcome.value.version) == (False, AccountStatus.CLOSED, 2)
    assert kinds(desk, dynamo, table) == {"M": 3, "PROGRAM": 2, "H": 1, "CONSENT": 1, "RCH": 1}
    again = desk.close(member.member_id)
    assert (again.replayed, again.value) == (True, outcome.value)
    second = desk.enrol(**FULL)
    assert second.member_id != member.member_id
    assert desk.look_up(mobile=MOBILE) == (second,)
    for act in (desk.suspend, desk.reinstate):
        with pytest.raises(MemberClosed):
            act(member.member_id)


def test_a_closure_with_points_left_is_refused_until_they_are_forfeited(
    desk: Desk, dynamo: Dynamo, table: DynamoTable
) -> None:
    for amount in (100, -40):
        member = desk.enrol().member_id
        desk.adjust(member, amount, key=f"g{amount}")
        before = scan(dynamo, table.name)
        with pytest.raises(BalanceRemaining) as refusal:
            desk.close(member)
        assert refusal.value.facts == {"balance": amount}
        assert scan(dynamo, table.name) == before
        assert desk.close(member, forfeit=True).value.points.owed == 0
        assert desk.sums(member) == (2, 0, 0)


def test_a_closure_on_which_a_tier_review_falls_too_is_carried_out(desk: Desk) -> None:
    member = desk.enrol().member_id
    desk.adjust(member, 10, key="q", qualifying_points=6_000, expires_on=date(2030, 1, 31))
    assert desk.member(member).tier.tier_id == "gold"
    desk.clock.at("2027-06-01")
    assert desk.close(member, forfeit=True).value.status is AccountStatus.CLOSED
    assert desk.sums(member) == (3, 0, 0)


def test_an_edit_and_a_closure_at_once_leave_no_identifier_behind(
    desk: Desk, dynamo: Dynamo, table: DynamoTable
) -> None:
    for n in range(5):
        member = desk.enrol(mobile=MOBILE, card_no=f"c{n}").member_id
        answers = at_once(dynamo, partial[Any](desk.edit, member, 1, mobile=OTHER), partial(desk.close, member))
        assert isinstance(answers[1], Outcome)
        assert isinstance(answers[0], MemberView | MemberMoved | MemberClosed)
        assert desk.member(member).status is AccountStatus.CLOSED
        assert "U" not in kinds(desk, dynamo, table)


def test_a_closure_and_a_purchase_at_once_leave_no_points_on_a_closed_account(desk: Desk, dynamo: Dynamo) -> None:
    for _ in range(5):
        member = desk.enrol().member_id
        answers = at_once(dynamo, partial[Any](desk.buy, a_purchase(member)), partial(desk.close, member, forfeit=True))
        assert isinstance(answers[1], Outcome)
        assert isinstance(answers[0], Outcome | MemberClosed)
        assert desk.sums(member)[1:] == (0, 0)


# ---------------------------------------------------------------- the timeline


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
def test_a_timeline_is_whole_in_pages_of_any_size_and_no_page_is_larger(desk: Desk, limit: int) -> None:
    member = desk.enrol(source="till").member_id
    desk.suspend(member)
    desk.reinstate(member)
    desk.clock.forward(seconds=1)
    desk.buy(a_purchase(member))
    desk.edit(member, 1, name="x")
    desk.clock.forward(seconds=1)
    desk.spend(member, 5, key="s")
    pages, after = [], None
    while True:
        part = service.list_timeline(desk.table, member, after=after, limit=limit)
        pages.append(part.items)
        if part.next_position is None:
            break
        after = part.next_position
    assert max(len(page) for page in pages) <= limit
    assert [each.type for page in pages for each in page] == [
        "spend", "edited", "earn", "reinstated", "suspended", "enrolled",
    ]  # fmt: skip
