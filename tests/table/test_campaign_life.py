"""A birthday campaign from members to results, with all neighbours as they are.

Nothing is made up but the provider, which writes into a list.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chalicelib.campaigns import store
from chalicelib.campaigns.errors import TestsTooMany
from chalicelib.campaigns.models import CampaignState, LaunchCampaign, SendTest
from chalicelib.campaigns.ports import Title, Works
from chalicelib.campaigns.service import commands, planning, sending, testing
from chalicelib.campaigns.service.neighbours import Filled, SingleTester, TableShelf, TestFields, appending, lake_of
from chalicelib.campaigns.service.results import find_results
from chalicelib.consents.models import ContactChannel
from chalicelib.deliveries import rules
from chalicelib.deliveries.errors import DeliveryClaimed
from chalicelib.deliveries.models import Outcome, PartMessage, Sent, Single
from chalicelib.deliveries.ports import Office
from chalicelib.deliveries.service import parts, singles
from chalicelib.deliveries.service.neighbours import MemberReach, PointsGiver, SignedLinks, TemplateWords
from chalicelib.deliveries.service.neighbours import appending as telling
from chalicelib.kernel.ids import CampaignId, MemberId, TemplateId
from chalicelib.kernel.languages import Language
from chalicelib.lake import folding
from chalicelib.lake import service as lake_service
from chalicelib.lake import store as lake_store
from chalicelib.members import service as members
from chalicelib.members.models import SayConsents
from chalicelib.providers.models import Outgoing, Result
from chalicelib.providers.pace import Pacer
from chalicelib.providers.port import Look, everyone
from chalicelib.reach import service as reach
from chalicelib.reach.models import LiftSuppression, Suppression, SuppressionReason, SuppressionSource
from chalicelib.segments.models import CreateSegment
from chalicelib.segments.service.asking import Asking
from chalicelib.segments.service.managing import create_segment
from chalicelib.storage.dynamo import Dynamo
from chalicelib.storage.functions import LocalFunctions
from chalicelib.storage.objects import FolderObjects
from chalicelib.storage.places import Place
from chalicelib.storage.table import DynamoTable
from chalicelib.templates import service as templates
from chalicelib.templates.models import CreateTemplate
from tests.fair import ADMIN, a_campaign
from tests.makers import NOON, Tray, a_purchase, publish_texts
from tests.table.stand import Desk, scan

CONSENT = {"purpose": "marketing", "granted": True, "text_version": "1"}
PRICE = 30_000


class Mailbox:
    """A provider that keeps what it got."""

    name, channel, batch_max, idempotent = "mailbox", "email", 20, False

    def __init__(self) -> None:
        self.got: list[Outgoing] = []

    def cost_micro(self, outgoing: Outgoing) -> int:
        """See `Provider.cost_micro`."""
        return PRICE

    def send(self, batch: Sequence[Outgoing], look: Look = everyone) -> tuple[Result, ...]:
        """See `Provider.send`."""
        self.got += batch
        return tuple(Result(each.delivery_id, "sent", cost_micro=PRICE) for each in batch)


class Town:
    """Tables, files, a lake and those who work there."""

    def __init__(self, folder: Path, desk: Desk, ops: DynamoTable, dynamo: Dynamo) -> None:
        self.desk, self.ops, self.dynamo = desk, ops, dynamo
        self.table, self.clock = desk.table, desk.clock
        self.objects, self.tray, self.mailbox = FolderObjects(folder), Tray(), Mailbox()
        self.place = Place(str(folder), scratch=str(folder / ".scratch"), memory_mb=256, threads=1)
        self.shelf = TableShelf(self.table, desk.book, self.clock)
        self.works = Works(
            self.table, ops, desk.book, self.objects, self.tray, "campaign-sends", lake_of(ops, self.place),
            appending(self.objects, lambda: None), self.shelf, self.clock, lambda name, facts: None,
        )  # fmt: skip
        self.office = Office(
            table=self.table, ops=ops, objects=self.objects, contacts=desk.keyring.contacts,
            words=TemplateWords(self.table), reach=MemberReach(self.table, desk.keyring),
            providers={"email": self.mailbox}, pace=Pacer(ops, {}, "Asia/Shanghai"),
            append=telling(self.objects, "delivery", lambda: None), worker="w", clock=self.clock, pause=self._pause,
            links=SignedLinks(desk.keyring, "https://members.example.com", "zh"), language="zh",
            giver=PointsGiver(self.table, desk.book),
        )  # fmt: skip

    def _pause(self, seconds: float) -> None:
        self.clock.forward(seconds=seconds)

    def fold(self) -> None:
        """Bring the lake up to what the table has."""
        assert isinstance(self.table, DynamoTable)
        items = scan(self.dynamo, self.table.name).values()
        wanted = [each for each in items if folding.is_wanted(each["pk"], each["sk"], each)]
        rows = [row for item in wanted for row in folding.rows_of_item(item)]
        lake_store.keep_batch(self.objects, [lake_store.line_of(row) for row in rows], now=self.clock())
        made = lake_service.Lake(self.ops, self.objects, self.place, lambda: int(self.clock().timestamp()))
        lake_service.patch(made, today=self.clock().date(), now=self.clock())

    def round(self) -> None:
        """The minute's round, and the worker after it."""
        for campaign_id in store.list_at_work(self.table):
            sending.advance(self.works, campaign_id)
            found = store.find_campaign(self.table, campaign_id)
            if found is not None and planning.beginning_now(self.works, found, self.clock()):
                planning.plan(self.works, campaign_id)
                sending.advance(self.works, campaign_id)
        for message in self.tray.taken():
            asked = PartMessage.model_validate_json(message["body"])
            ended = parts.work_part(self.office, asked, ends_at=self.clock() + timedelta(minutes=1))
            assert isinstance(ended, parts.Ended), ended

    def enrol(self, number: int, birthday: str | None, **fields: Any) -> MemberId:
        """Somebody with an e-mail address who agreed to offers."""
        more = {"birthday": birthday} if birthday else {}
        member = self.desk.enrol(
            email=f"m{number}@example.com", name=f"会员{number}", consents=[CONSENT], **more, **fields
        )
        return MemberId(member.member_id)

    def buy(self, member_id: str, paid_minor: int, at: datetime) -> None:
        """A purchase."""
        line = {"sku": "L1", "name": "拿铁", "category": "咖啡", "quantity": 1, "unit_price_minor": paid_minor}
        self.desk.buy(a_purchase(member_id, paid_minor=paid_minor, lines=[line], occurred_at=at.isoformat()))


@pytest.fixture
def town(tmp_path: Path, desk: Desk, ops: DynamoTable, dynamo: Dynamo) -> Town:
    """A town whose members can be asked for consents."""
    publish_texts(desk.table, "marketing")
    return Town(tmp_path / "files", desk, ops, dynamo)


def a_birthday_campaign(
    town: Town, variants: str = "a", english: dict[str, str] | None = None, **fields: Any
) -> CampaignId:
    """Make and launch a campaign that greets everybody who has points, or had none."""
    definition = {"kind": "field", "name": "points", "op": "at_least", "value": 0}
    segment = create_segment(
        town.table, town.ops, town.objects, town.desk.book, Asking(LocalFunctions({})), ADMIN,
        CreateSegment.model_validate({"name": "Everybody", "definition": definition}, strict=False),
        key="segment", now=town.clock(),
    )  # fmt: skip
    said = {"subject": "{{name}}，生日快乐", "html": "<p>送您 {{gift_points}} 分，{{gift_expires_on}}前有效</p>"}
    contents: dict[str, Any] = {"channel": "email", "zh": said, **({"en": english} if english else {})}
    template = templates.create_template(
        town.table, "template",
        CreateTemplate.model_validate(
            {"name": "Birthday", "purpose": "marketing", "contents": contents}, strict=False
        ),
        by="stf_admin", now=town.clock(),
    )  # fmt: skip
    command = a_campaign(
        segment_id=segment.value.segment_id,
        variants=[{"name": each, "template_ids": [template.value.template_id]} for each in variants],
        schedule={"kind": "birthday", "at": "12:00"},
        gift={"points": 100, "expires_after_days": 30},
        **fields,
    )
    made = commands.make_campaign(
        town.table, town.shelf, town.desk.book, "k1", command, by="stf_admin", draw=lambda: 3, now=town.clock()
    )
    campaign_id = made.value.campaign_id
    commands.launch_campaign(
        town.table, town.shelf, town.desk.book, campaign_id, LaunchCampaign(version=1), ADMIN, now=town.clock()
    )
    return campaign_id


def test_a_birthday_campaign_with_gifts_and_a_holdout_from_members_to_results(town: Town) -> None:
    born_today = [town.enrol(number, "1990-03-15") for number in range(90)]
    others = [town.enrol(100 + number, "1990-03-16") for number in range(5)]
    withdrawn = born_today.pop()
    town.fold()
    campaign_id = a_birthday_campaign(town, holdout_percent=40)
    # The lake does not know it yet: who withdraws after it was built is not written to.
    said = {"purpose": "marketing", "granted": False, "text_version": "1"}
    command = SayConsents.model_validate({"consents": [said]}, strict=False)
    town.clock.forward(minutes=1)
    members.say_consents(town.table, town.desk.keyring, town.desk.book, withdrawn, command, now=town.clock())
    start = town.clock()
    town.round()
    town.round()

    (item,) = store.list_runs(town.table, campaign_id, limit=5)
    planned = store.kept_from(item).planned
    assert (planned.in_segment, planned.targeted + planned.held_out) == (90, 90)
    written = {each.delivery_id.split("-")[1] for each in town.mailbox.got}
    treated = [each for each in born_today if each.removeprefix("mem_") in written]
    held = [each for each in born_today if each not in treated]
    assert len(written) == len(town.mailbox.got) == len(treated)
    assert withdrawn.removeprefix("mem_") not in written
    assert not written & {each.removeprefix("mem_") for each in others}
    first = town.mailbox.got[0]
    assert "生日快乐" in first.subject
    assert "100 分，2026年4月30日前有效" in first.text

    # The gift is in the ledger, once each; those held out have none.
    assert {town.desk.points(each).available for each in treated} == {100}
    assert {town.desk.points(each).available for each in (*held, *others, withdrawn)} == {0}

    # It can be taken back as any correction can.
    (gift,) = town.desk.entries(treated[0])[-1:]
    town.desk.take_back(gift)
    assert town.desk.points(treated[0]).available == 0

    # They buy: five of those written to for 100.00, two of those held out for 50.00; one too late.
    town.fold()
    town.clock.forward(hours=2)
    for each in treated[:5]:
        town.buy(each, 10_000, town.clock())
    for each in held[:2]:
        town.buy(each, 5_000, town.clock())
    town.fold()
    town.clock.forward(days=8)
    town.buy(treated[6], 70_000, town.clock())
    town.fold()

    found = find_results(town.works, campaign_id)
    a, of_held = found.variants["a"], found.held_out
    assert of_held is not None
    skipped = 1 if a.skipped else 0  # who withdrew is among either
    assert (a.planned, a.sent) == (len(treated) + skipped, len(treated))
    assert (a.buyers, a.sales_minor) == (5, 50_000)
    assert (of_held.buyers, of_held.sales_minor) == (2, 10_000)
    assert found.gift_points == 100 * len(treated)
    assert found.cost_minor == -(-len(treated) * PRICE // 10_000) + 100 * len(treated)
    messages, points = -(-len(treated) * PRICE // 10_000), 100 * len(treated)
    for group in (a, found.all_variants):
        assert (group.messages_cost_minor, group.points_cost_minor) == (messages, points)
        assert group.cost_minor == messages + points
    compared = found.all_variants.compared
    assert compared is not None and compared.incremental_sales_minor is not None
    gain = round(a.planned * (50_000 / a.planned - 10_000 / of_held.planned))
    assert compared.incremental_sales_minor.value == gain
    assert compared.incremental_sales_minor.low < gain < compared.incremental_sales_minor.high
    assert start < found.as_of


ENGLISH = {"subject": "Happy birthday, {{name}}", "html": "<p>{{gift_points}} points until {{gift_expires_on}}</p>"}


@pytest.mark.parametrize("english", [ENGLISH, None])
def test_members_are_written_to_in_their_language_where_the_template_says_it(
    town: Town, english: dict[str, str] | None
) -> None:
    languages = {"zh": town.enrol(1, "1990-03-15", language="zh"), "en": town.enrol(2, "1990-03-15", language="en")}
    languages[""] = town.enrol(3, "1990-03-15")
    town.fold()
    a_birthday_campaign(town, english=english)
    town.round()
    town.round()
    got = {each.to: each for each in town.mailbox.got}
    zh, en, none = (got[f"m{number}@example.com"] for number in (1, 2, 3))
    for each, name in ((zh, "会员1"), (none, "会员3")):
        assert (each.language, each.subject) == ("zh", f"{name}，生日快乐")
        assert "100 分，2026年4月30日前有效" in each.text and "退订" in each.text
        assert not each.opt_out_url.endswith("?language=en")
    if english is None:
        assert (en.language, en.subject) == ("zh", "会员2，生日快乐")
        assert "2026年4月30日前有效" in en.text and "?language" not in en.html
        return
    assert (en.language, en.subject) == ("en", "Happy birthday, 会员2")
    assert "100 points until 30 April 2026" in en.text and "Unsubscribe" in en.text
    assert en.opt_out_url.endswith("?language=en")
    assert en.opt_out_url in en.html and en.html.count("?language=en") == 2, "the page speaks as the message does"


def test_who_changes_their_language_after_the_plan_is_written_to_as_planned(town: Town) -> None:
    someone = town.enrol(1, "1990-03-15")
    town.fold()
    campaign_id = a_birthday_campaign(town, english=ENGLISH)
    town.clock.forward(minutes=1)
    town.desk.edit(someone, town.desk.member(someone).version, language="en")
    town.round()
    town.round()
    assert [(each.language, each.subject) for each in town.mailbox.got] == [("zh", "会员1，生日快乐")]
    assert town.desk.points(someone).available == 100 and campaign_id


def test_what_variants_cost_adds_up(town: Town) -> None:
    for number in range(20):
        town.enrol(number, "1990-03-15")
    town.fold()
    campaign_id = a_birthday_campaign(town, "ab")
    town.round()
    town.round()
    town.fold()
    found = find_results(town.works, campaign_id)
    assert set(found.variants) == {"a", "b"}
    for group in found.variants.values():
        assert 0 < group.sent < 20
        assert (group.messages_cost_minor, group.points_cost_minor) == (
            -(-group.sent * PRICE // 10_000),
            100 * group.sent,
        )
    for name in ("messages_cost_minor", "points_cost_minor", "cost_minor"):
        assert sum(getattr(each, name) for each in found.variants.values()) == getattr(found.all_variants, name), name
    assert found.cost_minor == found.all_variants.cost_minor
    assert found.gift_points == 2_000
    assert {name: each.why_not for name, each in found.beside_first.items()} == {"b": "too_few_members"}


def test_the_next_day_greets_others_and_nobody_twice(town: Town) -> None:
    today, tomorrow = town.enrol(1, "1990-03-15"), town.enrol(2, "1985-03-16")
    town.fold()
    campaign_id = a_birthday_campaign(town)
    greeted: list[str] = []
    for _ in range(3):
        town.round()
        town.round()
        town.round()
        greeted.append(",".join(each.delivery_id.split("-")[1] for each in town.mailbox.got))
        town.mailbox.got.clear()
        town.fold()
        town.clock.forward(days=1)
    assert greeted == [today.removeprefix("mem_"), tomorrow.removeprefix("mem_"), ""]
    campaign = store.find_campaign(town.table, campaign_id)
    assert campaign is not None
    assert (campaign.state, campaign.runs_count, campaign.open_runs) == (CampaignState.SCHEDULED, 3, ())
    assert {town.desk.points(each).available for each in (today, tomorrow)} == {100}


def test_an_address_that_was_suppressed_long_before_is_in_no_plan_until_it_is_lifted(town: Town) -> None:
    """The log of changes is asked about a day: what is older has to stand in the lake."""
    table, keyring = town.table, town.desk.keyring

    def suppress(number: int) -> Suppression:
        address, why = f"m{number}@example.com", SuppressionReason.BOUNCED
        return reach.suppress(
            table, keyring, ContactChannel.EMAIL, address, why, SuppressionSource.RECEIPT, by="ses", now=town.clock()
        ).value

    well, _, lifted, _ = (town.enrol(1 + number, f"1990-03-2{number // 2}") for number in range(4))
    made = [suppress(number) for number in (2, 3, 4, 5)][1]
    town.clock.forward(days=4)
    town.enrol(5, "1990-03-20")
    town.fold()
    town.clock.forward(days=1)
    campaign_id = a_birthday_campaign(town)
    town.round()
    town.round()

    def left_out() -> dict[str, int]:
        item = store.list_runs(table, campaign_id, limit=5)[0]
        return dict(store.kept_from(item).planned.left_out)

    assert [each.to for each in town.mailbox.got] == ["m1@example.com"]
    assert left_out() == {"suppressed": 2}, "whose address it was, and who was enrolled with one"
    assert town.desk.points(well).available == 100

    why = LiftSuppression(reason="it was full")
    reach.lift_suppression(table, keyring, made.suppression_id, why, by="stf_a", now=town.clock())
    town.clock.forward(days=1)
    town.fold()
    town.round()
    town.round()
    assert [each.to for each in town.mailbox.got[1:]] == ["m3@example.com"]
    assert left_out() == {"suppressed": 1}
    assert town.desk.points(lifted).available == 100


def test_a_test_that_is_being_sent_by_another_call_is_waited_for() -> None:
    tries = iter([DeliveryClaimed(), DeliveryClaimed(), None])

    def send_one(single: Single) -> Sent:
        fault = next(tries)
        if fault is not None:
            raise fault
        return Sent(rules.single_id(single), Outcome.SENT, NOON)

    waited: list[float] = []
    tester = SingleTester(send_one, lambda campaign_id, member_id, template: Filled(Language.ZH, {}), waited.append)
    title = Title(TemplateId("tpl_" + "a" * 16), 1, "email", "marketing", frozenset())
    sent = tester.send("cmp_" + "a" * 16, "test t", MemberId("mem_" + "a" * 16), title, NOON)
    assert (sent.outcome, len(waited)) == ("sent", 2)


def test_somebody_has_so_many_tests_a_day_sent_to_a_member(town: Town) -> None:
    def count(key: str, *numbers: int, by: str = "stf_a") -> None:
        members_ = [MemberId(f"mem_{'a' * 15}{'bcd'[each]}") for each in numbers]
        campaign_id = CampaignId("cmp_" + "a" * 16)
        testing.count_tests(town.ops, town.desk.book, campaign_id, key, members_, by=by, now=town.clock())

    for number in range(testing.TESTS_A_DAY):
        count(f"k{number}", 0)
        count(f"k{number}", 0)
    with pytest.raises(TestsTooMany):
        count("one more", 1, 0)
    count("k3", 0)
    count("by another", 0, by="stf_b")
    for number in range(testing.TESTS_A_DAY):
        count(f"k{number}", 1)
    town.clock.forward(days=1)
    count("one more", 1, 0)


def test_a_test_reaches_who_agreed_and_once(town: Town) -> None:
    someone = town.enrol(1, None)
    nobody = MemberId(town.desk.enrol(email="n@example.com").member_id)
    campaign_id = a_birthday_campaign(town)

    def send() -> Any:
        return commands.send_tests(
            town.table, town.shelf, town.desk.book,
            SingleTester(
                lambda single: singles.send_one(town.office, single),
                TestFields(town.table, town.desk.keyring, town.desk.book, town.clock),
            ),
            campaign_id, "t1", SendTest(member_ids=(someone, nobody)), now=town.clock(),
        )  # fmt: skip

    outcomes = [(each.outcome, each.reason) for each in send().items]
    assert outcomes == [("sent", None), ("skipped", "no_consent")], "gift, tier and days are filled in"
    assert "送您 100 分" in town.mailbox.got[0].html
    assert [(each.outcome, each.reason) for each in send().items] == outcomes
    assert len(town.mailbox.got) <= 1


@pytest.mark.parametrize(("english", "spoken"), [(ENGLISH, "en"), (None, "zh")])
def test_a_test_is_in_the_members_language_where_the_template_says_it(
    town: Town, english: dict[str, str] | None, spoken: str
) -> None:
    someone = town.enrol(1, None, language="en")
    campaign_id = a_birthday_campaign(town, english=english)
    commands.send_tests(
        town.table, town.shelf, town.desk.book,
        SingleTester(
            lambda single: singles.send_one(town.office, single),
            TestFields(town.table, town.desk.keyring, town.desk.book, town.clock),
        ),
        campaign_id, "t1", SendTest(member_ids=(someone,)), now=town.clock(),
    )  # fmt: skip
    (got,) = town.mailbox.got
    assert got.language == spoken
    assert ("100 points until 30 April 2026" if english else "送您 100 分，2026年4月30日前有效") in got.html
