"""Who may be written to: the log of changes, suppressions, replies; what is acknowledged is found by who sends."""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, cast

import pytest

from chalicelib.consents.models import ContactChannel
from chalicelib.kernel.ids import MemberId
from chalicelib.kernel.outcomes import Outcome
from chalicelib.members import service as members
from chalicelib.members import store as members_store
from chalicelib.members.models import ConsentGiven, ReachWhy, SayConsents
from chalicelib.privacy import rotation
from chalicelib.privacy.models import EraseMember, ErasureReason
from chalicelib.privacy.service import erasing, retaining
from chalicelib.privacy.service.erasing import Places
from chalicelib.reach import service
from chalicelib.reach.errors import AddressInvalid, SuppressionUnknown
from chalicelib.reach.models import (
    Barred,
    LiftSuppression,
    ReplyDone,
    SuppressAddress,
    SuppressedChannel,
    Suppression,
    SuppressionReason,
    SuppressionSource,
)
from chalicelib.storage import keys
from chalicelib.storage.dynamo import Dynamo
from chalicelib.storage.keyring import SealedContacts
from chalicelib.storage.table import DynamoTable
from chalicelib.storage.writes import Put, Unchanged
from tests.faults.works import MemoryObjects
from tests.makers import publish_texts
from tests.memory import MemoryTable
from tests.table.stand import Crashed, CrashingTable, Desk, at_once, scan
from tests.table.test_costs import metered

SMS, EMAIL, WECHAT, APP = ContactChannel.SMS, ContactChannel.EMAIL, ContactChannel.WECHAT, ContactChannel.APP
MOBILE = "+8613800138000"
MARKETING: dict[str, Any] = {"purpose": "marketing", "granted": True, "text_version": "1"}


@pytest.fixture(autouse=True)
def texts(table: DynamoTable) -> None:
    """Texts that members consented to."""
    publish_texts(table, "marketing", "marketing_news", "marketing_events", "offers", "notices")


@pytest.fixture
def member(desk: Desk) -> MemberId:
    """A member who wants to hear of us, and can be reached in every way."""
    made = desk.enrol(
        mobile=MOBILE,
        email="a@example.com",
        external_ids=[{"source": "wechat", "id": "oA1"}],
        consents=[MARKETING],
        birthday="1987-05-01",
    )
    desk.clock.forward(minutes=1)
    return made.member_id


def log(desk: Desk, since: datetime | None = None) -> list[tuple[MemberId, ReachWhy]]:
    now = desk.clock()
    found = members_store.list_reach_changes(desk.table, since or now - timedelta(days=2), through=now)
    return [(each.member_id, each.why) for each in found]


def barred(desk: Desk, member_id: MemberId, channel: ContactChannel = SMS, purpose: str = "marketing") -> Barred | None:
    found = service.find_reach(desk.table, desk.keyring, member_id, purpose, channel)
    assert found.allowed is (found.barred is None) is (found.address is not None)
    return found.barred


def say(desk: Desk, member_id: MemberId, purpose: str = "marketing", **fields: Any) -> None:
    given = ConsentGiven.model_validate(
        {"purpose": purpose, "granted": False, "text_version": "1", **fields}, strict=False
    )
    members.say_consents(
        desk.table, desk.keyring, desk.book, member_id, SayConsents(consents=(given,)), now=desk.clock()
    )


def suppress(desk: Desk, address: str = MOBILE, channel: str = "sms", **fields: Any) -> Outcome[Suppression]:
    command = SuppressAddress.model_validate(
        {"channel": channel, "address": address, "reason": "asked at the till", **fields}, strict=False
    )
    return service.suppress_address(desk.table, desk.keyring, desk.book, command, by="stf_ann", now=desk.clock())


def lift(desk: Desk, suppression: Suppression, **fields: Any) -> Outcome[Suppression]:
    command = LiftSuppression(reason="asked to hear of us", **fields)
    return service.lift_suppression(
        desk.table, desk.keyring, suppression.suppression_id, command, by="stf_ann", now=desk.clock()
    )


def reply(desk: Desk, words: str, number: str = "13800138000", **fields: Any) -> ReplyDone:
    return service.opted_out_by_reply(
        desk.table, desk.keyring, desk.book, number, words, now=desk.clock(), **fields
    ).done


def replayed(answers: Sequence[Any]) -> list[bool]:
    return sorted(each.replayed for each in answers)


# ---------------------------------------------------------------- the log of changes


def test_what_changes_whether_or_where_a_member_is_written_to_stands_in_the_log(desk: Desk, member: MemberId) -> None:
    assert log(desk) == [], "who is new is in no plan yet"
    steps: list[tuple[Callable[[], Any], ReachWhy | None]] = [
        (lambda: say(desk, member, channel=SMS), ReachWhy.CONSENT),
        (lambda: say(desk, member, channel=SMS), None),
        (lambda: desk.edit(member, 2, name="王五", tags=["vip"], birthday="1990-01-01"), None),
        (lambda: desk.edit(member, 3, mobile="+8613900139000"), ReachWhy.CONTACT),
        (lambda: desk.edit(member, 4, email=None), ReachWhy.CONTACT),
        (lambda: suppress(desk, "+8613900139000"), ReachWhy.SUPPRESSION),
        (lambda: desk.suspend(member), ReachWhy.STATUS),
        (lambda: desk.suspend(member), None),
        (lambda: desk.reinstate(member), ReachWhy.STATUS),
        (lambda: desk.adjust(member, 100, key="a"), None),
        (lambda: desk.close(member, forfeit=True), ReachWhy.STATUS),
    ]
    for act, why in steps:
        before = desk.clock()
        act()
        assert log(desk, before) == ([(member, why)] if why else []), why
        desk.clock.forward(minutes=3)


def test_merging_undoing_and_erasing_stand_in_the_log(desk: Desk, member: MemberId) -> None:
    other = desk.enrol(email="b@example.com").member_id
    merged = desk.merge(member, other, key="m").value
    assert sorted(log(desk)) == sorted([(member, ReachWhy.MERGE), (other, ReachWhy.MERGE)])
    assert (barred(desk, member), barred(desk, other)) == (Barred.GONE, None), "who stays is reached for both"
    desk.clock.forward(minutes=3)
    desk.undo_merge(merged.merge_id)
    assert len(log(desk)) == 4
    assert (barred(desk, member), barred(desk, other)) == (None, Barred.NO_CONSENT)
    desk.clock.forward(minutes=3)
    before = desk.clock()
    erase(desk, member)
    assert (member, ReachWhy.ERASED) in log(desk, before)
    assert barred(desk, member) is Barred.GONE


def erase(desk: Desk, member_id: MemberId) -> None:
    places = Places(desk.table, MemoryTable(), desk.keyring, MemoryObjects(), desk.book)
    erasing.erase_member(places, member_id, EraseMember(reason=ErasureReason.ASKED), by="stf_ann", now=desk.clock())


def test_the_log_is_read_across_days_from_an_instant_on(desk: Desk, member: MemberId) -> None:
    desk.clock.now = desk.clock().replace(hour=23, minute=58)
    first = desk.clock()
    say(desk, member)
    desk.clock.forward(minutes=4)
    second = desk.clock()
    say(desk, member, granted=True)
    assert len(log(desk, first)) == 2
    assert len(log(desk, first + timedelta(milliseconds=1))) == 1
    assert log(desk, second + timedelta(milliseconds=1)) == []
    early = list(members_store.list_reach_changes(desk.table, first, through=first))
    assert len(early) == 2, "clocks differ: what is stamped a little later is found, also in the next day"
    assert [each.at for each in early] == [first, second]


def test_a_crash_leaves_the_change_and_its_line_or_neither(desk: Desk, member: MemberId) -> None:
    for number, after in enumerate((False, True)):
        for at in range(1, 6):
            desk.clock.forward(minutes=3)
            before, channel = desk.clock(), (SMS, EMAIL)[number]
            broken = CrashingTable(desk.table, at, after=after)
            with contextlib.suppress(Crashed):
                say(desk.over(broken), member, channel=channel, text_version=f"{at}{after}", granted=False)
            item, _ = members_store.find_items(desk.table, member, consistent=True)
            assert item is not None
            said = members_store.profile_from(item, desk.keyring).consents
            changed = any(each.text_version == f"{at}{after}" for each in said)
            assert len(log(desk, before)) == changed


# ---------------------------------------------------------------- clear attributes


def test_a_profile_tells_ways_cohort_and_region_and_nothing_more(
    desk: Desk, dynamo: Dynamo, table: DynamoTable, member: MemberId
) -> None:
    def clear() -> dict[str, Any]:
        item, _ = members_store.find_items(table, member, consistent=True)
        assert item is not None
        return {name: item.get(name) for name in ("ways", "cohort", "region")}

    assert clear() == {"ways": ["sms", "email", "wechat", "app"], "cohort": 1985, "region": "CN"}
    desk.edit(member, 1, mobile="+447400123456", birthday="--05-02", email=None)
    assert clear() == {"ways": ["sms", "wechat", "app"], "cohort": None, "region": "GB"}
    desk.edit(member, 2, mobile=None)
    assert clear() == {"ways": ["wechat", "app"], "cohort": None, "region": None}
    erase(desk, member)
    assert clear() == {"ways": None, "cohort": None, "region": None}


def test_region_and_ways_go_with_the_number_in_a_merge_and_come_back(desk: Desk, table: DynamoTable) -> None:
    one, other = desk.enrol(mobile=MOBILE).member_id, desk.enrol(email="b@example.com").member_id

    def clear(member_id: MemberId) -> tuple[Any, Any]:
        item, _ = members_store.find_items(table, member_id, consistent=True)
        assert item is not None
        return item.get("ways"), item.get("region")

    merge = desk.merge(one, other, key="m").value
    assert (clear(one), clear(other)) == ((None, "CN"), (["sms", "email", "app"], "CN"))
    desk.undo_merge(merge.merge_id)
    assert (clear(one), clear(other)) == ((["sms", "app"], "CN"), (["email", "app"], None))


# ---------------------------------------------------------------- the question


def test_a_member_is_written_to_who_consents_and_has_an_address(desk: Desk, member: MemberId) -> None:
    found = service.find_reach(desk.table, desk.keyring, member, "marketing", SMS)
    assert (found.allowed, found.address) == (True, MOBILE)
    assert [
        service.find_reach(desk.table, desk.keyring, member, "marketing", each).address for each in (EMAIL, WECHAT, APP)
    ] == [
        "a@example.com",
        "oA1",
        member,
    ]
    bare = desk.enrol(consents=[MARKETING]).member_id
    assert barred(desk, bare) is Barred.NO_ADDRESS
    assert barred(desk, desk.enrol(mobile="+8613900139001").member_id) is Barred.NO_CONSENT
    assert barred(desk, MemberId("mem_aaaaaaaaaaaaaaaa")) is Barred.GONE


@pytest.mark.parametrize(
    ("act", "why"),
    [
        (say, Barred.NO_CONSENT),
        (lambda desk, member: say(desk, member, channel=SMS), Barred.NO_CONSENT),
        (lambda desk, member: desk.edit(member, 1, mobile=None), Barred.NO_ADDRESS),
        (lambda desk, member: suppress(desk), Barred.SUPPRESSED),
        (lambda desk, member: desk.suspend(member), Barred.SUSPENDED),
        (lambda desk, member: desk.close(member), Barred.GONE),
        (erase, Barred.GONE),
        (lambda desk, member: reply(desk, "TD"), Barred.NO_CONSENT),
        (lambda desk, member: reply(desk, "STOP"), Barred.NO_CONSENT),
    ],
)
def test_what_is_acknowledged_is_found_by_whoever_asks_next_and_stands_in_the_log(
    desk: Desk, member: MemberId, act: Callable[[Desk, MemberId], Any], why: Barred
) -> None:
    assert barred(desk, member) is None
    act(desk, member)
    assert barred(desk, member) is why
    assert member in {each for each, _ in log(desk)}


def test_a_suspended_member_is_told_of_the_account(desk: Desk, member: MemberId) -> None:
    desk.suspend(member)
    assert barred(desk, member, purpose="notices") is None


def test_many_are_asked_about_in_two_reads(desk: Desk, member: MemberId) -> None:
    others = [desk.enrol(mobile=f"+861390013900{n}", consents=[MARKETING]).member_id for n in range(5)]
    suppress(desk, "+8613900139003")
    found = service.find_reaches(desk.table, desk.keyring, [member, *others], "marketing", SMS)
    assert [each.barred for each in found.values()] == [None, None, None, None, Barred.SUPPRESSED, None]


@pytest.mark.parametrize(
    ("said", "news", "events", "all_"),
    [
        ([], False, False, False),
        ([("marketing", True)], True, True, True),
        ([("marketing_news", True)], True, False, False),
        ([("marketing", True), ("marketing_news", False)], False, True, True),
        (
            [("marketing", True), ("marketing_news", False), ("marketing", False), ("marketing", True)],
            False,
            True,
            True,
        ),
        ([("marketing_news", True), ("marketing", False)], False, False, False),
        ([("marketing", False), ("marketing_news", True)], True, False, False),
    ],
)
def test_a_topic_is_left_alone_and_with_all_of_marketing(
    desk: Desk, said: list[tuple[str, bool]], news: bool, events: bool, all_: bool
) -> None:
    member = desk.enrol(mobile=MOBILE).member_id
    for purpose, granted in said:
        desk.clock.forward(seconds=1)
        say(desk, member, purpose, granted=granted)
    asked = ("marketing_news", "marketing_events", "marketing")
    assert [barred(desk, member, purpose=each) is None for each in asked] == [news, events, all_]


# ---------------------------------------------------------------- suppressions


def test_the_same_again_changes_nothing_and_so_does_lifting_twice(
    desk: Desk, dynamo: Dynamo, table: DynamoTable, member: MemberId
) -> None:
    first = suppress(desk)
    before = scan(dynamo, table.name)
    desk.clock.forward(days=1)
    again = suppress(desk, "138 0013 8000", reason_code="bounced")
    assert (again.replayed, again.value) == (True, first.value)
    assert scan(dynamo, table.name) == before
    assert service.list_suppressions(table, after=None, limit=10).items == (first.value,)
    lifted = lift(desk, first.value)
    assert (lifted.replayed, barred(desk, member)) == (False, None)
    assert service.list_suppressions(table, after=None, limit=10).items == ()
    assert lift(desk, first.value).replayed
    desk.clock.forward(days=1)
    assert not suppress(desk).replayed, "it is another one"
    assert barred(desk, member) is Barred.SUPPRESSED


def test_of_several_at_once_one_is_kept(desk: Desk, dynamo: Dynamo, member: MemberId) -> None:
    answers = at_once(dynamo, *(lambda: suppress(desk) for _ in range(4)))
    assert replayed(answers) == [False, True, True, True], answers
    made = suppress(desk).value
    lifts = at_once(dynamo, *(lambda: lift(desk, made) for _ in range(4)))
    assert replayed(lifts) == [False, True, True, True], lifts


def test_a_crash_at_any_call_is_whole_or_nothing_and_a_retry_completes(desk: Desk, member: MemberId) -> None:
    for after in (False, True):
        for at in range(1, 8):
            desk.clock.forward(minutes=3)
            before = desk.clock()
            with contextlib.suppress(Crashed):
                suppress(desk.over(CrashingTable(desk.table, at, after=after)))
            assert (barred(desk, member) is Barred.SUPPRESSED) == bool(log(desk, before)) == (says(desk, member) != [])
            made = suppress(desk).value
            assert barred(desk, member) is Barred.SUPPRESSED
            desk.clock.forward(minutes=3)
            before = desk.clock()
            with contextlib.suppress(Crashed):
                lift(desk.over(CrashingTable(desk.table, at, after=after)), made)
            assert (barred(desk, member) is None) == bool(log(desk, before)) == (says(desk, member) == [])
            lift(desk, made)
            assert barred(desk, member) is None


def test_who_takes_a_suppressed_address_is_not_written_to(desk: Desk, member: MemberId) -> None:
    suppress(desk, "b@example.com", "email")
    desk.edit(member, 1, email="B@Example.com")
    assert barred(desk, member, EMAIL) is Barred.SUPPRESSED
    assert barred(desk, member, SMS) is None


def test_who_takes_the_address_while_it_is_suppressed_stands_in_the_log(desk: Desk) -> None:
    """The holder is looked for before and after: whoever is enrolled in between is planned for by nobody who asks."""
    taken: list[MemberId] = []

    class Taking(CrashingTable):
        def commit(self, writes: Any, *, keyed: bool = False) -> None:
            if not taken:
                taken.append(desk.enrol(mobile=MOBILE, consents=[MARKETING]).member_id)
            desk.table.commit(writes, keyed=keyed)

    suppress(desk.over(Taking(desk.table, 99, after=False)))
    assert log(desk) == [(taken[0], ReachWhy.SUPPRESSION)]


# ---------------------------------------------------------------- what profiles say of it


def says(desk: Desk, member_id: MemberId) -> list[str]:
    """Channels whose address is not written to, as the member's profile says in clear."""
    item, _ = members_store.find_items(desk.table, member_id, consistent=True)
    assert item is not None
    assert item.get("suppressed") != [], "what is empty is not stored"
    return list(item.get("suppressed", ()))


def test_a_profile_says_which_of_its_addresses_are_not_written_to(desk: Desk, member: MemberId) -> None:
    assert says(desk, member) == []
    by_sms = suppress(desk).value
    assert says(desk, member) == ["sms"]
    suppress(desk, "oA1", "wechat")
    by_mail = suppress(desk, "a@example.com", "email").value
    assert says(desk, member) == ["email", "sms", "wechat"]
    say(desk, member)
    desk.edit(member, desk.member(member).version, name="王五", birthday="1990-01-01")
    desk.suspend(member)
    desk.reinstate(member)
    rotation.reseal(desk.table, cast(SealedContacts, desk.keyring.contacts), member, None, beneath=2)
    assert says(desk, member) == ["email", "sms", "wechat"], "whatever else is written"
    lift(desk, by_sms)
    assert says(desk, member) == ["email", "wechat"]
    lift(desk, by_mail)
    assert says(desk, member) == ["wechat"]


def test_it_goes_with_the_address_and_comes_with_it(desk: Desk, member: MemberId) -> None:
    suppress(desk)
    suppress(desk, "+8613900139000")
    desk.edit(member, desk.member(member).version, mobile="+8613900139000")
    assert says(desk, member) == ["sms"], "another one, not written to either"
    desk.edit(member, desk.member(member).version, mobile="+8613900139001")
    assert says(desk, member) == []
    desk.edit(member, desk.member(member).version, mobile=MOBILE)
    assert says(desk, member) == ["sms"]
    desk.edit(member, desk.member(member).version, mobile=None)
    assert says(desk, member) == []


def test_who_is_enrolled_with_a_suppressed_address_says_so_and_no_longer_when_it_is_lifted(desk: Desk) -> None:
    made = suppress(desk).value
    suppress(desk, "b@example.com", "email")
    desk.clock.forward(days=3)
    one = desk.enrol(mobile=MOBILE, email="c@example.com", key="k").member_id
    assert says(desk, one) == ["sms"]
    other = desk.enrol(email="B@example.com").member_id
    assert says(desk, other) == ["email"]
    lift(desk, made)
    assert (says(desk, one), says(desk, other)) == ([], ["email"])
    desk.close(other)
    assert says(desk, other) == [], "who is closed is not written to at all"


def test_only_addresses_that_come_are_asked_about(desk: Desk, dynamo: Dynamo, table: DynamoTable) -> None:
    other, meter = metered(desk, dynamo, table)
    member = other.enrol(card_no="c-1").member_id
    assert meter.read()[:2] == (1, 0), "no address"
    both = other.enrol(mobile=MOBILE, email="a@example.com", external_ids=[{"source": "pos", "id": "1"}]).member_id
    assert meter.read()[:2] == (2, 2.0), "two, in one read"
    other.edit(both, 1, name="王五", tags=["vip"])
    assert meter.read()[:2] == (2, 1.0)
    other.edit(member, 1, mobile="+8613900139000")
    assert meter.read()[:2] == (3, 2.0)


def test_in_a_merge_it_goes_to_who_stays_and_comes_back(desk: Desk, member: MemberId) -> None:
    suppress(desk)
    into = desk.enrol(email="b@example.com").member_id
    merge = desk.merge(member, into, key="m").value
    assert (says(desk, member), says(desk, into)) == ([], ["sms"])
    suppress(desk, "oA1", "wechat")
    assert says(desk, into) == ["sms", "wechat"]
    suppress(desk, "a@example.com", "email")
    assert says(desk, into) == ["sms", "wechat"], "they are found by it, and written to elsewhere"
    desk.undo_merge(merge.merge_id)
    assert (says(desk, member), says(desk, into)) == (["email", "sms", "wechat"], [])


def test_an_erasure_leaves_none(desk: Desk, member: MemberId) -> None:
    suppress(desk)
    erase(desk, member)
    assert says(desk, member) == []
    assert suppress(desk).replayed


def test_who_takes_the_address_while_it_is_suppressed_or_lifted_says_what_is_so(desk: Desk) -> None:
    taken: list[MemberId] = []

    class Taking(CrashingTable):
        def commit(self, writes: Any, *, keyed: bool = False) -> None:
            if not taken:
                taken.append(desk.enrol(mobile=MOBILE, consents=[MARKETING]).member_id)
            desk.table.commit(writes, keyed=keyed)

    made = suppress(desk.over(Taking(desk.table, 99, after=False))).value
    assert says(desk, taken[0]) == ["sms"]
    desk.close(taken.pop())
    command = LiftSuppression(reason="asked to hear of us")
    table = Taking(desk.table, 99, after=False)
    service.lift_suppression(table, desk.keyring, made.suppression_id, command, by="stf_ann", now=desk.clock())
    assert says(desk, taken[0]) == []


@pytest.mark.parametrize("after", [False, True])
def test_a_crash_before_the_last_look_is_mended_by_the_same_again(desk: Desk, after: bool) -> None:
    """Whoever enrols in between had asked before: the receipt that comes again finds them."""
    taken: list[MemberId] = []

    class Dying(CrashingTable):
        def commit(self, writes: Any, *, keyed: bool = False) -> None:
            taken.append(desk.enrol(mobile=MOBILE).member_id)
            desk.table.commit(writes, keyed=keyed)
            raise Crashed

    with contextlib.suppress(Crashed):
        suppress(desk.over(Dying(desk.table, 99, after=after)))
    assert says(desk, taken[0]) == []
    assert suppress(desk, dry_run=True).replayed
    assert says(desk, taken[0]) == [], "a dry run writes nothing"
    assert suppress(desk).replayed
    assert says(desk, taken[0]) == ["sms"]


def test_an_edit_and_a_suppression_at_once_are_both_kept(desk: Desk, dynamo: Dynamo, member: MemberId) -> None:
    def edit() -> Any:
        say(desk, member, channel=EMAIL)

    answers = at_once(dynamo, lambda: suppress(desk), edit, lambda: suppress(desk, "oA1", "wechat"))
    assert not [each for each in answers if isinstance(each, Exception)], answers
    assert says(desk, member) == ["sms", "wechat"]
    assert barred(desk, member, EMAIL) is Barred.NO_CONSENT


def test_a_late_receipt_of_before_does_not_undo_a_lift(desk: Desk, member: MemberId) -> None:
    bounced_at = desk.clock()

    def receipt(at: datetime) -> Outcome[Suppression]:
        return service.suppress(
            desk.table,
            desk.keyring,
            EMAIL,
            "a@example.com",
            SuppressionReason.BOUNCED,
            SuppressionSource.RECEIPT,
            by="ses",
            now=desk.clock(),
            happened_at=at,
        )

    made = receipt(bounced_at).value
    desk.clock.forward(hours=1)
    lift(desk, made)
    assert receipt(bounced_at).replayed
    assert barred(desk, member, EMAIL) is None
    desk.clock.forward(hours=1)
    receipt(desk.clock())
    assert barred(desk, member, EMAIL) is Barred.SUPPRESSED


@pytest.mark.parametrize(
    ("channel", "address"), [("sms", "12"), ("sms", "nobody"), ("email", "nobody"), ("email", "a@"), ("email", "@b")]
)
def test_what_is_no_address_is_refused(desk: Desk, channel: str, address: str) -> None:
    with pytest.raises(AddressInvalid):
        suppress(desk, address.ljust(3), channel)


def test_an_unknown_suppression_is_refused(desk: Desk, member: MemberId) -> None:
    from chalicelib.kernel.ids import SuppressionId

    for unknown in ("sup_AAAA", "sup_U1VQI3NtcyN4"):
        with pytest.raises(SuppressionUnknown):
            service.lift_suppression(
                desk.table, desk.keyring, SuppressionId(unknown), LiftSuppression(reason="mistaken"), by="x",
                now=desk.clock(),
            )  # fmt: skip


# ---------------------------------------------------------------- replies


@pytest.mark.parametrize(
    "words",
    [
        "T",
        "t",
        "TD",
        "td.",
        " TD ",
        "Ｔ",
        "ＴＤ",
        "R",
        "r",
        "n",
        "退订",
        "退订！",
        "我要退订，谢谢",
        "“退订”",
        "拒收",
        "T退订",
        "TD退订",
        "取消订阅",
        "不要再发了",
        "0000",
        "退",
    ],
)
def test_the_answer_that_our_messages_ask_for_ends_offers_and_no_notices(
    desk: Desk, member: MemberId, words: str
) -> None:
    assert reply(desk, words) is ReplyDone.WITHDRAWN
    assert (barred(desk, member), barred(desk, member, purpose="notices")) == (Barred.NO_CONSENT, None)
    assert barred(desk, member, EMAIL) is None
    (change, *_) = members.list_consent_changes(desk.table, member, after=None, limit=5).items
    assert (change.source, change.by, change.granted) == ("reply", "reply", False)


@pytest.mark.parametrize(
    "words",
    [
        "STOP",
        "stop",
        "Stop.",
        "STOP ALL",
        "stopall",
        "unsubscribe",
        "UNSUBSCRIBE me",
        "End",
        "Cancel",
        "QUIT",
        "opt-out",
        "Opt out please",
        "revoke",
    ],
)
def test_what_carriers_take_for_all_ends_all_from_the_number(desk: Desk, member: MemberId, words: str) -> None:
    assert reply(desk, words) is ReplyDone.WITHDRAWN
    assert barred(desk, member) is barred(desk, member, purpose="notices") is Barred.NO_CONSENT


@pytest.mark.parametrize(
    "words", ["", "hello", "谢谢", "Thank you", "TT", "what is R?", "a stopover", "不好意思 收到", "Rita", "y", "1"]
)
def test_what_says_nothing_of_the_sort_changes_nothing(
    desk: Desk, dynamo: Dynamo, table: DynamoTable, member: MemberId, words: str
) -> None:
    before = scan(dynamo, table.name)
    assert reply(desk, words) is ReplyDone.NOT_UNDERSTOOD
    assert scan(dynamo, table.name) == before


@pytest.mark.parametrize(
    "number", ["13800138000", "8613800138000", "+8613800138000", "008613800138000", "86 138 0013 8000"]
)
def test_a_number_is_found_however_the_provider_spells_it(desk: Desk, member: MemberId, number: str) -> None:
    assert reply(desk, "TD", number) is ReplyDone.WITHDRAWN
    assert barred(desk, member) is Barred.NO_CONSENT


def test_a_reply_again_changes_nothing_and_of_two_at_once_both_are_answered(
    desk: Desk, dynamo: Dynamo, table: DynamoTable, member: MemberId
) -> None:
    answers = at_once(dynamo, lambda: reply(desk, "TD"), lambda: reply(desk, "退订"))
    assert answers == [ReplyDone.WITHDRAWN, ReplyDone.WITHDRAWN]
    before = scan(dynamo, table.name)
    assert reply(desk, "TD") is ReplyDone.WITHDRAWN
    assert scan(dynamo, table.name) == before


def test_a_topic_that_was_agreed_to_ends_with_a_reply(desk: Desk, member: MemberId) -> None:
    say(desk, member, "marketing_news", granted=True)
    say(desk, member, "offers", granted=True)
    desk.clock.forward(seconds=1)
    reply(desk, "R")
    assert [barred(desk, member, purpose=each) for each in ("marketing", "marketing_news", "offers")] == [
        Barred.NO_CONSENT
    ] * 3


def test_a_reply_ends_more_purposes_than_one_command_takes(desk: Desk, table: DynamoTable, member: MemberId) -> None:
    purposes = [f"purpose_{n}" for n in range(25)]
    publish_texts(table, *purposes)
    for purpose in purposes:
        say(desk, member, purpose, granted=True)
    desk.clock.forward(seconds=1)
    assert reply(desk, "STOP") is ReplyDone.WITHDRAWN
    assert {barred(desk, member, purpose=each) for each in (*purposes, "marketing", "notices")} == {Barred.NO_CONSENT}


def test_a_number_that_no_member_has_is_not_written_to_any_more(desk: Desk) -> None:
    assert reply(desk, "TD", "13900139000") is ReplyDone.SUPPRESSED
    assert reply(desk, "TD", "13900139000") is ReplyDone.SUPPRESSED
    later = desk.enrol(mobile="+8613900139000", consents=[MARKETING]).member_id
    assert barred(desk, later) is Barred.SUPPRESSED


def test_a_reply_in_wechat_ends_what_comes_there(desk: Desk, member: MemberId) -> None:
    assert reply(desk, "TD", "oA1", channel=WECHAT) is ReplyDone.WITHDRAWN
    assert (barred(desk, member, WECHAT), barred(desk, member, SMS)) == (Barred.NO_CONSENT, None)


# ---------------------------------------------------------------- upkeep


def test_the_log_is_kept_for_forty_days(desk: Desk, table: DynamoTable, member: MemberId) -> None:
    say(desk, member)
    day = desk.clock()
    for days, gone in ((40, 0), (1, 1), (1, 0)):
        desk.clock.forward(days=days)
        assert retaining.retain_reach_changes(table, dry_run=False, now=desk.clock()) == gone, days
    assert log(desk, day) == []


def test_what_is_not_written_to_stays_so_while_the_index_key_is_replaced(
    desk: Desk, table: DynamoTable, member: MemberId
) -> None:
    suppress(desk)
    suppress(desk, "oA1", "wechat")
    before = desk.keyring
    both = replace(before, other_index_key=b"n" * 32)
    assert rotation.copy_identifiers(table, both, member) == 4
    after = replace(before, index_key=b"n" * 32)
    for keyring in (both, replace(after, other_index_key=before.index_key), after):
        for channel, why in ((SMS, Barred.SUPPRESSED), (WECHAT, Barred.SUPPRESSED), (EMAIL, None)):
            assert service.find_reach(table, keyring, member, "marketing", channel).barred is why
    suppress_new = service.suppress_address(
        table,
        both,
        desk.book,
        SuppressAddress(channel=SuppressedChannel.EMAIL, address="a@example.com", reason="asked"),
        by="stf_ann",
        now=desk.clock(),
    )
    assert suppress_new.stored
    assert service.find_reach(table, after, member, "marketing", EMAIL).barred is Barred.SUPPRESSED


def test_a_profile_of_before_tells_its_ways_when_it_is_sealed_anew(
    desk: Desk, table: DynamoTable, member: MemberId
) -> None:
    item, _ = members_store.find_items(table, member, consistent=True)
    assert item is not None
    told = {name: item.pop(name) for name in ("ways", "cohort", "region")}
    table.commit([Put(keys.profile(member), item, Unchanged(1), lambda _: RuntimeError())])
    contacts = cast(SealedContacts, desk.keyring.contacts)
    for _ in range(2):
        assert rotation.reseal(table, contacts, member, None)
        again, _ = members_store.find_items(table, member, consistent=True)
        assert again is not None
        assert {name: again[name] for name in told} == told
        assert again["version"] == 2, "and once is enough"
