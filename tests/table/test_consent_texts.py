"""Texts of consents: published once for ever, the newest to ask by, and named by every consent."""

from datetime import timedelta
from typing import Any

import pytest

from chalicelib.consents import service
from chalicelib.consents.errors import ConsentTextDiffers, ConsentTextUnknown
from chalicelib.consents.models import ConsentText, PublishConsentText
from chalicelib.kernel.ids import MemberId
from chalicelib.kernel.outcomes import Outcome
from chalicelib.members import service as members
from chalicelib.members.models import ConsentGiven, ConsentsView, SayConsents
from chalicelib.storage.dynamo import Dynamo
from chalicelib.storage.table import DynamoTable, Table
from tests.table.stand import Crashed, CrashingTable, Desk, at_once, scan


def publish(desk: Desk, *, over: Table | None = None, **fields: Any) -> Outcome[ConsentText]:
    """Publish a text."""
    values = {"purpose": "offers", "text_version": "1", "zh": "同意接收优惠", "en": "I agree to offers", **fields}
    command = PublishConsentText.model_validate(values, strict=False)
    return service.publish_text(over or desk.table, command, by="stf_test", now=desk.clock())


def say(desk: Desk, member_id: str, **fields: Any) -> ConsentsView:
    """Give or withdraw a consent."""
    given = ConsentGiven.model_validate(
        {"purpose": "offers", "granted": True, "text_version": "1", **fields}, strict=False
    )
    command = SayConsents(consents=(given,))
    return members.say_consents(
        desk.table, desk.keyring, desk.book, MemberId(member_id), command, now=desk.clock()
    ).value


def test_the_same_again_is_answered_with_what_was_published(desk: Desk, dynamo: Dynamo, table: DynamoTable) -> None:
    first = publish(desk)
    before = scan(dynamo, table.name)
    desk.clock.forward(days=1)
    again = publish(desk)
    assert (again.replayed, again.value) == (True, first.value)
    assert scan(dynamo, table.name) == before


@pytest.mark.parametrize("fields", [{"zh": "别的"}, {"en": "Something else"}])
def test_a_version_is_never_changed(desk: Desk, dynamo: Dynamo, table: DynamoTable, fields: dict[str, Any]) -> None:
    publish(desk)
    before = scan(dynamo, table.name)
    with pytest.raises(ConsentTextDiffers):
        publish(desk, **fields)
    assert scan(dynamo, table.name) == before
    publish(desk, **fields, channel="sms")
    publish(desk, **fields, purpose="notices")


def test_two_at_once_are_one(desk: Desk, dynamo: Dynamo) -> None:
    made = at_once(dynamo, *(lambda: publish(desk) for _ in range(6)))
    assert sorted(each.replayed for each in made if isinstance(each, Outcome)) == [False] + [True] * 5
    others = at_once(dynamo, *(lambda n=n: publish(desk, text_version="2", en=f"text {n}") for n in range(6)))
    assert sum(isinstance(each, ConsentTextDiffers) for each in others) == 5


@pytest.mark.parametrize("after", [False, True])
def test_a_crash_leaves_all_or_nothing_and_the_same_again_completes_it(desk: Desk, after: bool) -> None:
    at = 1
    while True:
        version = f"{at}{after}"
        dying = CrashingTable(desk.table, at, after=after)
        try:
            publish(desk, over=dying, text_version=version)
        except Crashed:
            publish(desk, text_version=version)
            assert service.list_texts(desk.table, "offers")[0].text_version == version
            desk.clock.forward(seconds=1)
            at += 1
            continue
        break
    assert at > 1


def test_the_newest_of_each_purpose_and_channel_is_in_force_and_all_stay(desk: Desk) -> None:
    published: tuple[dict[str, Any], ...] = (
        {}, {"channel": "sms"}, {"text_version": "2"}, {"purpose": "notices"}, {"channel": "sms", "text_version": "0"},
    )  # fmt: skip
    for fields in published:
        publish(desk, **fields)
        desk.clock.forward(seconds=1)
    listed = service.list_texts(desk.table, None)
    assert [(each.purpose, each.channel, each.text_version, each.in_force) for each in listed] == [
        ("offers", "sms", "0", True), ("notices", None, "1", True), ("offers", None, "2", True),
        ("offers", "sms", "1", False), ("offers", None, "1", False),
    ]  # fmt: skip
    assert {each.purpose for each in service.list_texts(desk.table, "offers")} == {"offers"}


def test_a_consent_names_a_text_of_its_channel_or_of_all(desk: Desk) -> None:
    member = desk.enrol().member_id
    publish(desk)
    publish(desk, channel="sms", zh="短信", en="by text message")
    publish(desk, channel="email", text_version="mail")
    texts = {
        each.channel: each.text and each.text.en
        for channel in ("sms", "phone", None)
        for each in say(desk, member, channel=channel).consents
    }
    assert texts == {"sms": "by text message", "phone": "I agree to offers", None: "I agree to offers"}
    for fields in ({"text_version": "2"}, {"purpose": "notices"}, {"text_version": "mail"},
                   {"channel": "sms", "text_version": "mail"}):  # fmt: skip
        with pytest.raises(ConsentTextUnknown):
            say(desk, member, **fields)
        with pytest.raises(ConsentTextUnknown):
            desk.enrol(consents=[{"purpose": "offers", "granted": True, "text_version": "1", **fields}])
        with pytest.raises(ConsentTextUnknown):
            desk.edit(member, desk.member(member).version,
                      consents=[{"purpose": "offers", "granted": True, "text_version": "1", **fields}])  # fmt: skip
    assert say(desk, member, channel="email", text_version="mail").consents


def test_an_older_text_can_still_be_consented_to_and_a_withdrawal_needs_none(desk: Desk) -> None:
    member = desk.enrol().member_id
    publish(desk)
    desk.clock.forward(seconds=1)
    publish(desk, text_version="2")
    (given,) = say(desk, member).consents
    assert given.text is not None
    desk.clock.forward(seconds=1)
    (withdrawn,) = say(desk, member, granted=False, text_version="whatever").consents
    assert (withdrawn.granted, withdrawn.text) == (False, None)
    assert withdrawn.at == given.at + timedelta(seconds=1)


def test_what_was_consented_to_before_there_were_texts_can_be_sent_back(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(members, "_require_texts", lambda *_: None)
        member = desk.enrol(consents=[{"purpose": "offers", "granted": True, "text_version": "old"}])
    (shown,) = members.find_consents(desk.table, desk.keyring, member.member_id).consents
    assert (shown.text_version, shown.text) == ("old", None)
    assert say(desk, member.member_id, text_version="old").consents == (shown,)
