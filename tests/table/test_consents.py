"""Consents by purpose and channel: the last word counts, its history stays, and what is sent is decided when it is."""

import contextlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chalicelib.consents.models import ContactChannel
from chalicelib.kernel.events import EventId
from chalicelib.kernel.ids import MemberId
from chalicelib.members import service as members
from chalicelib.members.models import (
    Consent,
    ConsentChange,
    ConsentGiven,
    ConsentSource,
    SayConsents,
    Witness,
)
from chalicelib.members.rules import may_contact, with_consents
from chalicelib.members.store import find_items, profile_from
from chalicelib.notices import service as notices
from chalicelib.notices.models import Notice
from chalicelib.notices.sender import Outbox
from chalicelib.points.errors import MemberClosed
from chalicelib.points.events import PointsReleased
from chalicelib.reach.links import PATH, OptOut, opt_out_of
from chalicelib.relay.models import Event
from chalicelib.storage.dynamo import Dynamo
from chalicelib.storage.table import DynamoTable
from tests.makers import publish_texts
from tests.memory import MemoryTable
from tests.table.stand import Crashed, CrashingTable, Desk, at_once, scan

TILL = Witness(ConsentSource.STAFF, "stf_ann")
THEMSELVES = Witness(ConsentSource.MEMBER, "mem_x", told=False)
SMS, EMAIL = ContactChannel.SMS, ContactChannel.EMAIL
NOW = datetime(2026, 3, 15, 4, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def texts(table: DynamoTable) -> None:
    """Texts that members consented to."""
    publish_texts(table, "offers", "notices", versions=("1", "2"))


def a_consent(**fields: Any) -> ConsentGiven:
    return ConsentGiven.model_validate(
        {"purpose": "offers", "granted": True, "text_version": "1", **fields}, strict=False
    )


def say(desk: Desk, member_id: str, *given: ConsentGiven, witness: Witness = TILL) -> Any:
    return members.say_consents(
        desk.table, desk.keyring, desk.book, MemberId(member_id), SayConsents(consents=given), now=desk.clock(),
        witness=witness,
    )  # fmt: skip


def changes(desk: Desk, member_id: str) -> list[ConsentChange]:
    return list(members.list_consent_changes(desk.table, MemberId(member_id), after=None, limit=50).items)


def may(desk: Desk, member_id: str, purpose: str, channel: ContactChannel) -> bool:
    item, _ = find_items(desk.table, member_id, consistent=True)
    assert item is not None
    return may_contact(profile_from(item, desk.keyring), purpose, channel)


def test_nothing_is_sent_without_a_consent_but_word_of_ones_own_account(desk: Desk) -> None:
    member = desk.enrol().member_id
    assert not may(desk, member, "offers", SMS)
    assert may(desk, member, "notices", SMS)


@pytest.mark.parametrize(
    ("said", "sms", "email"),
    [
        ([{}], True, True),
        ([{"channel": "sms"}], True, False),
        ([{}, {"channel": "sms", "granted": False}], False, True),
        ([{"channel": "sms"}, {"granted": False}], False, False),
        ([{"granted": False}, {"channel": "email"}], False, True),
        ([{}, {"channel": "sms", "granted": False}, {}], True, True),
        ([{"channel": "sms"}, {"channel": "sms", "granted": False}], False, False),
    ],
)
@pytest.mark.parametrize("at_once_", [True, False])
def test_the_last_word_on_a_channel_or_on_all_counts(
    desk: Desk, said: list[dict[str, Any]], sms: bool, email: bool, at_once_: bool
) -> None:
    member = desk.enrol().member_id
    given = [a_consent(**each) for each in said]
    for part in [given] if at_once_ else [[each] for each in given]:
        say(desk, member, *part)
        desk.clock.forward(seconds=1)
    assert (may(desk, member, "offers", SMS), may(desk, member, "offers", EMAIL)) == (sms, email)


def test_of_two_profiles_that_became_one_the_later_word_counts() -> None:
    def at(hours: int, **fields: Any) -> Consent:
        given = a_consent(**fields)
        return Consent(**given.model_dump(exclude={"source"}), at=NOW + timedelta(hours=hours))

    from tests.unit.test_members_rules import a_profile

    def both(*consents: Consent) -> tuple[bool, bool]:
        profile = a_profile().model_copy(update={"consents": consents})
        return may_contact(profile, "offers", SMS), may_contact(profile, "offers", EMAIL)

    assert both(at(0, channel=SMS), at(1, granted=False)) == (False, False)
    assert both(at(0, granted=False), at(1, channel=SMS)) == (True, False)
    later = NOW + timedelta(hours=2)
    again = with_consents((at(0, channel=SMS), at(1, granted=False)), [a_consent(channel=SMS)], TILL, now=later)
    assert len(again) == 2
    assert {each.about: each.at for each in again}["offers:sms"] == later, "said anew, it is the later word"


def test_who_said_what_when_stays_after_it_was_withdrawn(desk: Desk) -> None:
    member = desk.enrol(consents=[{"purpose": "offers", "granted": True, "text_version": "1"}]).member_id
    desk.clock.forward(days=1)
    say(desk, member, a_consent(channel=SMS, granted=False, text_version="2", source="phone"))
    desk.clock.forward(days=1)
    view = say(desk, member, a_consent(granted=False, source="till"), witness=THEMSELVES).value
    assert [(each.about, each.granted) for each in view.consents] == [("offers", False)]
    told = [(each.channel, each.granted, each.text_version, each.source, each.by) for each in changes(desk, member)]
    assert told == [
        (None, False, "1", ConsentSource.MEMBER, "mem_x"),
        (SMS, False, "2", ConsentSource.PHONE, "stf_ann"),
        (None, True, "1", ConsentSource.STAFF, None),
    ]


def test_the_same_again_changes_nothing(desk: Desk, dynamo: Dynamo, table: DynamoTable) -> None:
    member = desk.enrol().member_id
    first = say(desk, member, a_consent())
    before = scan(dynamo, table.name)
    desk.clock.forward(days=1)
    again = say(desk, member, a_consent())
    assert (again.replayed, again.value) == (True, first.value)
    assert scan(dynamo, table.name) == before


def test_two_at_once_are_both_kept(desk: Desk, dynamo: Dynamo) -> None:
    member = desk.enrol().member_id
    answers = at_once(
        dynamo,
        lambda: say(desk, member, a_consent(channel=SMS)),
        lambda: say(desk, member, a_consent(channel=EMAIL, granted=False)),
    )
    assert [isinstance(each, Exception) for each in answers] == [False, False], answers
    assert (may(desk, member, "offers", SMS), may(desk, member, "offers", EMAIL)) == (True, False)
    assert len(changes(desk, member)) == 2


def test_a_crash_leaves_all_or_nothing(desk: Desk) -> None:
    member = desk.enrol().member_id
    for after in (False, True):
        for at in range(1, 5):
            broken = CrashingTable(desk.table, at, after=after)
            with contextlib.suppress(Crashed):
                say(desk.over(broken), member, a_consent(text_version=f"{at}{after}"))
            item, _ = find_items(desk.table, member, consistent=True)
            assert item is not None
            known = profile_from(item, desk.keyring).consents
            assert [each.text_version for each in known] == [each.text_version for each in changes(desk, member)[:1]]


def test_a_closed_membership_says_nothing_more(desk: Desk) -> None:
    member = desk.enrol().member_id
    desk.close(member)
    with pytest.raises(MemberClosed):
        say(desk, member, a_consent())


def test_who_withdraws_between_the_choice_and_the_sending_is_not_written_to(desk: Desk) -> None:
    """The event was made, its words were chosen; the withdrawal is answered; then the message would go."""
    member = desk.enrol(mobile="13800138000", email="a@example.com").member_id
    at = desk.clock()
    event = Event(
        event_id=EventId.of("K#x", "O", "PointsReleased"), type="PointsReleased", version=1, member_id=member, seq=1,
        occurred_at=at, recorded_at=at, data=PointsReleased.model_construct(points=5),
    )  # fmt: skip
    sent: list[Notice] = []

    class Sender:
        def send(self, notice: Notice) -> None:
            sent.append(notice)

    def tell() -> Notice | None:
        return notices.tell(desk.table, MemoryTable(), desk.keyring, desk.book.current(at), Sender(), event)

    first = tell()
    assert first is not None
    assert first.channel.value == "sms"
    say(desk, member, a_consent(purpose="notices", channel=SMS, granted=False))
    second = tell()
    assert second is not None
    assert second.channel.value == "email", "another way that they left open"
    say(desk, member, a_consent(purpose="notices", granted=False))
    assert tell() is None
    assert len(sent) == 2


def test_the_view_names_channel_and_source(desk: Desk) -> None:
    member = desk.enrol(consents=[{"purpose": "offers", "channel": "sms", "granted": True, "text_version": "1"}])
    (consent,) = member.consents
    (shown,) = members.find_consents(desk.table, desk.keyring, member.member_id).consents
    assert shown.text is not None
    assert (shown.text.channel, shown.text.zh, shown.text.en) == (None, "同意", "I agree")
    assert shown.model_dump(exclude={"text"}) == consent.model_dump()
    assert (consent.channel, consent.source) == (SMS, ConsentSource.STAFF)


def test_a_notice_has_the_link_that_ends_its_kind(desk: Desk) -> None:
    """The outbox's file says it in the words of the two headers (RFC 8058)."""
    member = desk.enrol(mobile="13800138000").member_id
    at = desk.clock()
    event = Event(
        event_id=EventId.of("K#x", "O", "PointsReleased"), type="PointsReleased", version=1, member_id=member, seq=1,
        occurred_at=at, recorded_at=at, data=PointsReleased.model_construct(points=5),
    )  # fmt: skip
    program = desk.book.current(at)
    kept: dict[str, bytes] = {}

    class Files:
        def put(self, key: str, content: bytes, *, kind: str) -> None:
            kept[key] = content

    outbox = Outbox(Files())  # type: ignore[arg-type]  # all that an outbox asks for
    notice = notices.tell(desk.table, MemoryTable(), desk.keyring, program, outbox, event)
    assert notice is not None
    found = opt_out_of(notice.opt_out.removeprefix(PATH), desk.keyring)
    assert found == OptOut(MemberId(member), "notices", SMS, at.date())
    (content,) = kept.values()
    told = json.loads(content)
    assert (told["list_unsubscribe"], told["list_unsubscribe_post"]) == (
        notice.opt_out, "List-Unsubscribe=One-Click",
    )  # fmt: skip
    told = notices.tell(
        desk.table, MemoryTable(), desk.keyring, program, outbox, event, links_at="https://api.example.com"
    )
    assert told is not None
    assert told.opt_out == f"https://api.example.com{notice.opt_out}"
    keyless = notices.tell(desk.table, MemoryTable(), desk.keyring, program, outbox, event, links_at=None)
    assert keyless is not None
    assert keyless.opt_out == ""
