"""A part sent with the neighbours as they are: members, consents, suppressions, own keys, templates, points."""

import base64
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from chalicelib.consents.models import ContactChannel
from chalicelib.deliveries import rules, store
from chalicelib.deliveries.models import Gift, Outcome, Part, PartMessage, Recipient, Run, RunStatus, Wording
from chalicelib.deliveries.ports import Office
from chalicelib.deliveries.service import parts, reading
from chalicelib.deliveries.service.neighbours import (
    MemberReach,
    PointsGiver,
    SignedLinks,
    TemplateWords,
    appending,
)
from chalicelib.deliveries.service.receiving import receive
from chalicelib.kernel.ids import MemberId, TemplateId
from chalicelib.lake import duck
from chalicelib.lake import store as lake
from chalicelib.members import service as members
from chalicelib.members.models import SayConsents
from chalicelib.points import service as points
from chalicelib.programs.service import ProgramBook
from chalicelib.providers.models import Outgoing, Receipt, ReceiptKind, Result
from chalicelib.providers.pace import Pacer
from chalicelib.providers.port import Look, everyone
from chalicelib.reach import links
from chalicelib.reach import service as reach
from chalicelib.reach.models import SuppressionReason, SuppressionSource
from chalicelib.storage import keys
from chalicelib.storage.functions import LocalFunctions
from chalicelib.storage.keyring import Keyring, SealedContacts
from chalicelib.storage.objects import FolderObjects
from chalicelib.templates import store as templates
from chalicelib.templates.models import EmailContent, EmailContents, Template
from tests.faults.works import MemoryObjects
from tests.lakes import Shore
from tests.makers import NOON, Clock, contacts_in, publish_texts
from tests.memory import MemoryTable
from tests.table.stand import Desk

RUN, TEMPLATE, CHANNEL = "crn_aaaaaaaaaaaaaaaa_once", TemplateId("tpl_aaaaaaaaaaaaaaaa"), "email"
AT = "https://members.example.com"


class Mailbox:
    """A provider that keeps what it got, and has something happen before each call."""

    name, channel, batch_max, idempotent = "mailbox", CHANNEL, 2, False

    def __init__(self) -> None:
        self.got: list[Outgoing] = []

    def cost_micro(self, outgoing: Outgoing) -> int:
        """See `Provider.cost_micro`."""
        return 0

    def send(self, batch: Any, look: Look = everyone) -> tuple[Result, ...]:
        """See `Provider.send`."""
        self.got += batch
        return tuple(Result(each.delivery_id, "sent") for each in batch)


class Shop:
    """A desk with members who agreed to offers, and a run to them that was planned."""

    def __init__(self, count: int = 6, gift: Gift | None = None) -> None:
        self.core, self.ops, self.vault = MemoryTable(), MemoryTable(), MemoryTable()
        self.clock, self.objects, self.mailbox = Clock(NOON), MemoryObjects(), Mailbox()
        self.keyring = Keyring(b"i" * 32, b"c" * 32, contacts_in(self.vault))
        self.book = ProgramBook(self.core)
        self.desk = Desk(self.core, self.keyring, self.book, self.clock)
        publish_texts(self.core, "marketing")
        self.members = [self._enrolled(number) for number in range(count)]
        self.core.commit([templates.add_version(_template(), by="stf_test")])
        self.clock.now = NOON + timedelta(hours=2)
        self._planned(gift)

    def _enrolled(self, number: int) -> MemberId:
        consent = {"purpose": "marketing", "granted": True, "text_version": "1"}
        return MemberId(
            self.desk.enrol(name=f"会员{number}", email=f"m{number}@example.com", consents=[consent]).member_id
        )

    def _plan_file(self) -> int:
        """Write the plan's only part; how many are in it."""
        made = []
        for number, member in enumerate(self.members):
            item = self.core.items[keys.profile(member)]
            sealed = base64.b64encode(item["contact"]).decode()
            made.append(Recipient(member, number, "", "a", sealed, {"points": "5"}))
        content = rules.part_file(Part(RUN, 0, CHANNEL, tuple(made)))
        self.objects.put(rules.part_key(RUN, 0), content, kind="application/gzip")
        return len(made)

    def _planned(self, gift: Gift | None) -> None:
        count = self._plan_file()
        self.run = Run(
            RUN, "campaign", "cmp_aaaaaaaaaaaaaaaa", "once", RunStatus.SENDING, "marketing",
            (Wording("a", CHANNEL, TEMPLATE, 1),), self.clock() - timedelta(hours=1), NOON + timedelta(days=2),
            "Asia/Shanghai", parts=1, planned=count, gift=gift,
        )  # fmt: skip
        self.core.commit([store.add_run(self.run)])

    def office(self) -> Office:
        """The office of a worker."""
        return Office(
            table=self.core, ops=self.ops, objects=self.objects, contacts=self.keyring.contacts,
            words=TemplateWords(self.core), reach=MemberReach(self.core, self.keyring),
            providers={CHANNEL: self.mailbox}, pace=Pacer(self.ops, {}, "Asia/Shanghai"),
            append=appending(self.objects, "delivery", lambda: None), worker="w", clock=self.clock,
            pause=lambda seconds: None, links=SignedLinks(self.keyring, AT, "zh"), language="zh",
            giver=PointsGiver(self.core, self.book),
        )  # fmt: skip

    def send(self, office: Office | None = None) -> dict[Outcome, int]:
        """Send the part; how many have each outcome."""
        ended = parts.work_part(
            office or self.office(), PartMessage(run_id=RUN, part=0), ends_at=self.clock() + timedelta(minutes=5)
        )
        assert isinstance(ended, parts.Ended), ended
        return dict(reading.progress(self.ops, self.run).outcomes)

    def withdraw(self, member: MemberId) -> None:
        """A member opts out, by the code that every way to do so runs through."""
        said = {"purpose": "marketing", "granted": False, "text_version": "1"}
        command = SayConsents.model_validate({"consents": [said]}, strict=False)
        members.say_consents(self.core, self.keyring, self.book, member, command, now=self.clock())


def _template() -> Template:
    said = EmailContent(subject="{{name}}", html="<p>{{name}} {{points}} <a href='{{opt_out}}'>退订</a></p>")
    return Template(
        template_id=TEMPLATE, version=1, name="积分", purpose="marketing", created_at=NOON, changed_at=NOON,
        contents=EmailContents(channel="email", zh=said),
    )  # fmt: skip


@pytest.fixture
def shop() -> Iterator[Shop]:
    yield Shop()


def test_members_get_their_own_words_at_their_own_address_with_a_link_that_ends_it(shop: Shop) -> None:
    assert shop.send() == {Outcome.SENT: 6}
    assert [each.to for each in shop.mailbox.got] == [f"m{number}@example.com" for number in range(6)]
    first = shop.mailbox.got[0]
    assert (first.subject, "会员0" in first.text) == ("会员0", True)
    token = first.opt_out_url.removeprefix(AT + links.PATH)
    ends = links.opt_out_of(token, shop.keyring)
    assert ends is not None and (ends.member_id, ends.purpose) == (shop.members[0], "marketing")
    assert first.opt_out_url in first.html


def test_who_may_not_be_written_to_any_more_is_not(shop: Shop) -> None:
    out, suspended, _, closed, erased, kept = shop.members
    shop.withdraw(out)
    shop.desk.suspend(suspended)
    reach.suppress(
        shop.core, shop.keyring, ContactChannel.EMAIL, "m2@example.com", SuppressionReason.BOUNCED,
        SuppressionSource.RECEIPT, by="ses", now=shop.clock(),
    )  # fmt: skip
    assert shop.office().reach.suppressed(CHANNEL, "m2@example.com")
    assert not shop.office().reach.suppressed(CHANNEL, "m3@example.com")
    shop.desk.close(closed)
    shop.keyring.contacts.forget(erased)
    assert shop.send() == {
        Outcome.NO_CONSENT: 1, Outcome.NOT_A_MEMBER: 2, Outcome.SUPPRESSED: 1, Outcome.NO_KEY: 1, Outcome.SENT: 1,
    }  # fmt: skip
    assert [each.to for each in shop.mailbox.got] == ["m5@example.com"] and kept


def test_who_opts_out_between_two_calls_is_not_in_the_second(shop: Shop) -> None:
    send = shop.mailbox.send

    def withdrawing(batch: Any, look: Any = None) -> tuple[Result, ...]:
        shop.withdraw(shop.members[5])
        return send(batch)

    shop.mailbox.send = withdrawing  # type: ignore[method-assign]
    assert shop.send() == {Outcome.SENT: 5, Outcome.NO_CONSENT: 1}


def test_a_new_address_is_written_to_and_not_the_planned_one(shop: Shop) -> None:
    version = shop.desk.member(shop.members[0]).version
    shop.desk.edit(shop.members[0], version, email="new@example.com", reason="asked")
    assert shop.send() == {Outcome.SENT: 6}
    assert shop.mailbox.got[0].to == "new@example.com"


def test_a_warm_worker_sees_what_changed_since_it_asked_last() -> None:
    shop = Shop()
    office = shop.office()
    assert dict(office.reach.changed(shop.run.changes_since, shop.clock())) == {}
    shop.clock.now += timedelta(minutes=1)
    shop.withdraw(shop.members[1])
    shop.clock.now += timedelta(hours=20)
    assert set(office.reach.changed(shop.run.changes_since, shop.clock())) == {shop.members[1]}
    assert set(office.reach.changed(shop.run.changes_since, shop.clock())) == {shop.members[1]}
    assert shop.send(office) == {Outcome.SENT: 5, Outcome.NO_CONSENT: 1}


def test_gifts_are_given_once_however_often_the_part_is_begun() -> None:
    shop = Shop(gift=Gift(20, 30))
    busy = shop.mailbox.send

    def killed(batch: Any, look: Any = None) -> tuple[Result, ...]:
        raise KeyboardInterrupt

    shop.mailbox.send = killed  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        shop.send()
    shop.mailbox.send = busy  # type: ignore[method-assign]
    shop.clock.now += timedelta(days=1)
    assert shop.send() == {Outcome.UNKNOWN: 2, Outcome.SENT: 4}
    for member in shop.members:
        assert points.find_points(shop.core, shop.book, member, now=shop.clock()).available == 20


def test_rows_are_such_as_the_lake_takes(shop: Shop) -> None:
    shop.send()
    (name,) = (each for each in shop.objects.files if each.startswith("facts/"))
    assert "delivery-" in name


def test_a_key_that_was_replaced_is_no_erasure(shop: Shop) -> None:
    contacts = shop.keyring.contacts
    assert isinstance(contacts, SealedContacts)
    renewed = contacts.vault.renew(shop.members[0])
    assert renewed is not None
    item = shop.core.items[keys.profile(shop.members[0])]
    opened = contacts.open(shop.members[0], item["contact"])
    shop.core.items[keys.profile(shop.members[0])] = {**item, "contact": contacts.seal(shop.members[0], opened)}
    contacts.vault.settle(shop.members[0], renewed.number)
    assert shop.send() == {Outcome.SENT: 6}


def test_an_office_of_another_language_says_it_in_that_one(shop: Shop) -> None:
    office = replace(shop.office(), language="en")
    assert shop.send(office) == {Outcome.SENT: 6}


def test_what_was_sent_and_received_is_in_the_lake_and_found_by_its_member(shop: Shop, tmp_path: Path) -> None:
    shop.objects = FolderObjects(tmp_path)  # type: ignore[assignment]
    shore = Shore(tmp_path, objects=shop.objects)
    shop._plan_file()
    shop.withdraw(shop.members[5])
    shop.send()
    sent = shop.mailbox.got[0].delivery_id
    receipt = Receipt("r", "ses", CHANNEL, ReceiptKind.DELIVERED, shop.clock(), sent)
    receive(shop.core, shop.ops, appending(shop.objects, "receipt", lambda: None), [receipt], now=shop.clock())
    drawn = [
        {"row_id": f"{RUN} {member}", "member_id": member, "campaign_id": "cmp_held", "run_id": RUN, "variant": "a",
         "held_out": member == shop.members[0], "at": shop.clock()}
        for member in shop.members[:2]
    ]  # fmt: skip
    appending(shop.objects, "assignment", lambda: None)(f"{RUN}-00000", drawn, shop.clock())
    shore.pour(shop.core.records(), now=shop.clock())
    shore.patch(shop.clock())

    with duck.opened(shore.lake.place, lake.find_head(shore.ops), today=NOON.date(), now=shop.clock()) as connection:
        (first,) = reading.answer(connection, {"member_id": shop.members[0], "limit": 5})["items"]
        (out,) = reading.answer(connection, {"member_id": shop.members[5], "limit": 5})["items"]
        received = connection.execute("SELECT kind, source_id, step, channel FROM receipts").fetchall()
        functions = LocalFunctions({reading.ANSWER: lambda asked, _: reading.answer(connection, asked)})
        known, other = (reading.find_known(functions, member, limit=5) for member in shop.members[:2])
    assert (first["delivery_id"], first["outcome"], first["run_id"]) == (sent, "sent", RUN)
    assert first["at"] == int(shop.clock().timestamp() * 1000)
    assert (out["outcome"], out["reason"]) == ("skipped", "no_consent")
    assert received == [("delivered", "cmp_aaaaaaaaaaaaaaaa", "once", "email")]
    assert ([each.delivery_id for each in known.messages], known.heard) == (
        [sent],
        {sent: (("delivered", shop.clock()),)},
    )
    assert (known.held_out, other.held_out, other.heard) == ((("cmp_held", shop.clock()),), (), {})
