"""Who a campaign is planned for, when parts are handed on, and that all of it happens once whatever crashes."""

import itertools
import shutil
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chalicelib.campaigns import store
from chalicelib.campaigns.errors import TurnMissed
from chalicelib.campaigns.models import CampaignState
from chalicelib.campaigns.ports import Title, Works
from chalicelib.campaigns.rules import assigning
from chalicelib.campaigns.service import planning, sending
from chalicelib.campaigns.service.commands import pause_campaign, resume_campaign
from chalicelib.campaigns.service.results import find_results
from chalicelib.deliveries import store as deliveries
from chalicelib.deliveries.models import Outcome, RunStatus
from chalicelib.kernel.calendar import from_milliseconds, milliseconds, zone
from chalicelib.kernel.ids import CampaignId
from chalicelib.kernel.languages import Language
from tests.fair import EMAIL, OTHER, SMS, Fair, a_person, a_sale, member
from tests.makers import Clock
from tests.table.stand import Crashed

TWO = [{"name": "a", "template_ids": [SMS], "weight": 3}, {"name": "b", "template_ids": [OTHER], "weight": 1}]


@pytest.fixture
def fair(tmp_path: Path, clock: Clock) -> Fair:
    """A fair with nobody there yet."""
    return Fair(tmp_path / "files", clock)


def left_out(fair: Fair, run_id: str) -> dict[str, int]:
    """Who was left out of a run."""
    (item,) = store.find_runs(fair.table, [run_id])  # type: ignore[list-item]
    return dict(store.kept_from(item).planned.left_out)


# ---------------------------------------------------------------- who


def test_who_is_left_out_is_counted_by_the_first_reason(fair: Fair) -> None:
    people: dict[int, dict[str, Any]] = {
        1: {},
        2: {"status": "suspended"},
        3: {"consents": ()},
        4: {"consents": ("marketing",), "withdrawn": ("marketing:sms",)},
        5: {"ways": ("email",)},
        6: {"suppressed": ("sms",)},
        7: {"consents": ("marketing:sms",)},
        8: {"consents": ("marketing:email",)},
        9: {"status": "closed", "consents": ()},
    }
    fair.pour(*(row for number, fields in people.items() for row in a_person(member(number), **fields)))
    _, run_id = fair.go()
    assert {each.member_id for each in fair.recipients(run_id)} == {member(1), member(7)}
    assert left_out(fair, run_id) == {"not_active": 2, "no_consent": 3, "no_address": 1, "suppressed": 1}


def test_a_member_gets_the_first_channel_that_may_be_used(fair: Fair) -> None:
    people: dict[int, dict[str, Any]] = {
        1: {"ways": ("sms", "email")},
        2: {"ways": ("email",)},
        3: {"ways": ("sms", "email"), "withdrawn": ("marketing:sms",)},
        4: {"ways": ("sms", "email"), "suppressed": ("sms",)},
        5: {"ways": ("sms", "email"), "suppressed": ("sms", "email")},
    }
    fair.pour(*(row for number, fields in people.items() for row in a_person(member(number), **fields)))
    _, run_id = fair.go(variants=[{"name": "a", "template_ids": [SMS, EMAIL]}])
    by_channel = {part.channel: {each.member_id for each in part.recipients} for part in fair.parts(run_id)}
    assert by_channel == {"sms": {member(1)}, "email": {member(2), member(3), member(4)}}
    assert left_out(fair, run_id) == {"suppressed": 1}


def test_a_plan_follows_the_rule_of_assignment_to_the_letter(fair: Fair) -> None:
    people = fair.people(900)
    campaign_id, run_id = fair.go(variants=TWO, holdout_percent=20)
    campaign = fair.campaign(campaign_id)
    wanted = {
        each: assigning.assigned(campaign.salt, "once", each, 20, campaign.definition.variants) for each in people
    }
    planned = {each.member_id: each.variant for each in fair.recipients(run_id)}
    assert planned == {each: variant for each, (held, variant) in wanted.items() if not held}
    roster = store.find_roster(fair.objects, run_id, 0)
    assert {row["member_id"]: (row["held_out"], row["variant"]) for row in roster} == wanted


def test_a_plan_made_again_is_the_same_to_the_byte(fair: Fair, tmp_path: Path) -> None:
    fair.people(700)
    campaign_id = fair.make(variants=TWO, holdout_percent=10, best_hour=True)
    fair.launch(campaign_id)
    before = fair.table.copy(), fair.ops.copy()  # type: ignore[attr-defined]
    first = fair.parts(fair.begin(campaign_id) or "")
    fair.table, fair.ops = before
    assert fair.parts(fair.begin(campaign_id) or "") == first
    assert sum(len(part.recipients) for part in first) > 550


def test_what_messages_say_of_members_is_in_the_parts(fair: Fair) -> None:
    fair.pour(*a_person(member(1), ways=("email",)))
    _, run_id = fair.go(variants=[{"name": "a", "template_ids": [EMAIL]}])
    (one,) = fair.recipients(run_id)
    assert (one.sealed, dict(one.fields)) == ("c2VhbGVk", {"tier": "普通会员"})


# ---------------------------------------------------------------- caps


def test_each_is_written_to_in_their_language_where_the_template_says_it(fair: Fair) -> None:
    people = {1: "zh", 2: "en", 3: None}
    fair.pour(
        *(row for number, own in people.items() for row in a_person(member(number), ways=("email",), language=own))
    )

    def planned(*languages: Language) -> dict[str, tuple[str, dict[str, str]]]:
        title = Title(EMAIL, 3, "email", "marketing", frozenset({"tier", "today"}), languages=languages)
        fair.shelf.titles[EMAIL] = title
        _, run_id = fair.go(f"k{len(languages)}", variants=[{"name": "a", "template_ids": [EMAIL]}])
        (part,) = fair.parts(run_id)
        return {each.member_id: (each.language, dict(each.fields)) for each in part.recipients}

    zh = ("zh", {"tier": "普通会员", "today": "2026年3月15日"})
    en = ("en", {"tier": "Basic", "today": "15 March 2026"})
    assert planned(Language.ZH, Language.EN) == {member(1): zh, member(2): en, member(3): zh}
    assert planned(Language.ZH) == {member(1): zh, member(2): zh, member(3): zh}


def test_a_cap_counts_what_was_sent_before_and_what_others_have_planned(fair: Fair) -> None:
    fair.people(60)
    first, _ = fair.go("k1")
    fair.work(lambda each: Outcome.SENT if each.m % 2 else Outcome.REFUSED)
    sending.advance(fair.works, first)
    fair.clock.forward(hours=1)
    fair.patch()
    sent = sum(1 for number in range(1, 61) if number % 2)
    second, run_id = fair.go("k2", frequency_cap={"sends": 1, "days": 7})
    assert left_out(fair, run_id) == {"capped": sent}
    assert len(fair.recipients(run_id)) == 60 - sent
    # The lake knows nothing of the second yet; its plan counts all the same.
    _, third = fair.go("k3", frequency_cap={"sends": 1, "days": 7})
    assert left_out(fair, third) == {"capped": 60}
    fair.clock.forward(days=8)
    fair.work()
    sending.advance(fair.works, second)
    fair.patch()


def test_of_two_campaigns_that_are_launched_at_once_one_counts_the_other(fair: Fair) -> None:
    fair.people(80)
    cap = {"sends": 1, "days": 3}
    first, second = fair.make("k1", frequency_cap=cap), fair.make("k2", frequency_cap=cap)
    fair.launch(first)
    fair.launch(second)
    for each in (first, second):
        assert planning.beginning_now(fair.works, fair.campaign(each), fair.clock())

    missed: list[bool] = []

    def opened(*args: Any) -> Any:
        with pytest.raises(TurnMissed):
            planning.plan(fair.works, second)
        missed.append(True)
        return fair.opened(*args)

    works = fair.works
    run = planning.plan(type(works)(**{**works.__dict__, "open_lake": opened}), first)
    other = planning.plan(fair.works, second)
    assert missed == [True]
    assert run is not None and other is not None
    assert (len(fair.recipients(run)), len(fair.recipients(other))) == (80, 0)
    assert left_out(fair, other) == {"capped": 80}


def test_a_planner_that_was_gone_for_long_does_not_count(fair: Fair) -> None:
    fair.people(30)
    campaign_id = fair.make()
    fair.launch(campaign_id)
    assert planning.beginning_now(fair.works, fair.campaign(campaign_id), fair.clock())
    others: list[str | None] = []

    def opened(*args: Any) -> Any:
        fair.clock.forward(minutes=6)
        others.append(planning.plan(fair.works, campaign_id))
        return fair.opened(*args)

    works = fair.works
    with pytest.raises(TurnMissed):
        planning.plan(type(works)(**{**works.__dict__, "open_lake": opened}), campaign_id)
    assert fair.campaign(campaign_id).open_runs == tuple(others)
    assert len(fair.recipients(others[0] or "")) == 30


def test_a_campaign_that_is_paused_while_it_is_planned_is_not_sent(fair: Fair) -> None:
    fair.people(10)
    campaign_id = fair.make()
    fair.launch(campaign_id)
    assert planning.beginning_now(fair.works, fair.campaign(campaign_id), fair.clock())

    def opened(*args: Any) -> Any:
        pause_campaign(fair.table, fair.book, campaign_id, now=fair.clock())
        return fair.opened(*args)

    works = fair.works
    assert planning.plan(type(works)(**{**works.__dict__, "open_lake": opened}), campaign_id) is None
    fair.round()
    assert fair.campaign(campaign_id).state is CampaignState.PAUSED
    assert fair.tray.bodies == []
    resume_campaign(fair.table, fair.book, campaign_id, now=fair.clock())
    fair.round()
    assert [len(fair.work())] == [1]


# ---------------------------------------------------------------- when


def test_members_are_written_to_at_the_hour_at_which_they_buy(fair: Fair) -> None:
    fair.book.current(fair.clock())
    shanghai = zone("Asia/Shanghai")
    rows: list[Any] = []
    for number, hour in enumerate((18, 10, 23)):
        rows += a_person(member(number))
        for sale in range(4):
            at = datetime(2026, 3, 1 + sale, hour, 30, tzinfo=shanghai).astimezone(UTC)
            rows.append(a_sale(member(number), at, 1000, sale))
    rows += a_person(member(9))
    rows.append(a_sale(member(9), datetime(2026, 3, 1, 7, tzinfo=UTC), 1000))
    fair.pour(*rows)
    # It is noon in Shanghai.
    _, run_id = fair.go(best_hour=True, quiet_hours={"starts": "21:00", "ends": "09:00"})
    found = {
        each.member_id: from_milliseconds(each.not_before).astimezone(shanghai).strftime("%d %H:%M")
        for each in fair.recipients(run_id)
    }
    assert found == {member(0): "15 18:00", member(1): "16 10:00", member(2): "16 09:00", member(9): "15 12:00"}
    assert len(fair.work()) == 1
    fair.clock.forward(hours=6)
    fair.round()
    assert len(fair.work()) == 1
    fair.clock.forward(hours=4)
    fair.round()  # 22:00
    assert len(fair.work()) == 0
    fair.clock.forward(hours=13)
    fair.round()
    assert len(fair.work()) == 2
    fair.round()


def test_nothing_is_handed_on_in_quiet_hours_and_what_is_stale_is_closed(fair: Fair, clock: Clock) -> None:
    fair.people(3)
    clock.now = datetime(2026, 3, 15, 14, tzinfo=UTC)  # 22:00 in Shanghai
    campaign_id, run_id = fair.go(quiet_hours={"starts": "21:00", "ends": "09:00"}, send_within_hours=2)
    assert fair.tray.bodies == []
    fair.round()
    assert fair.tray.bodies == []
    clock.forward(hours=2)
    fair.round()
    assert len(fair.tray.bodies) == 1  # so that its members are counted as expired
    run = deliveries.find_run(fair.table, run_id)
    assert run is not None
    assert run.send_until == clock()
    fair.work(lambda _: Outcome.EXPIRED)
    fair.round()
    assert fair.campaign(campaign_id).state is CampaignState.SENT


def test_a_throttle_is_kept_and_nothing_is_lost(fair: Fair) -> None:
    fair.people(95)
    campaign_id, _ = fair.go(throttle_per_minute=20)
    counts = []
    for _ in range(8):
        counts.append(len(fair.work()))
        fair.round()
        fair.round()
        fair.clock.forward(minutes=1)
        fair.round()
    assert counts == [1, 1, 1, 1, 1, 0, 0, 0]
    assert fair.campaign(campaign_id).state is CampaignState.SENT


def test_messages_that_are_lost_are_handed_on_again_after_half_an_hour(fair: Fair) -> None:
    fair.people(900)
    campaign_id, _ = fair.go()
    fair.tray.bodies = fair.tray.bodies[:1]
    fair.work()
    fair.round()
    fair.clock.forward(minutes=29)
    fair.round()
    assert fair.tray.bodies == []
    fair.clock.forward(minutes=2)
    fair.round()
    assert [each.part for each in fair.work()] == [1]
    fair.round()
    assert fair.campaign(campaign_id).state is CampaignState.SENT


def test_money_that_is_used_up_ends_a_campaign(fair: Fair) -> None:
    fair.people(100)
    # 0.05 a message, 2.00 in all: forty messages, in parts of ten.
    campaign_id, run_id = fair.go(throttle_per_minute=10, cost_max_minor=200)
    for _ in range(20):
        fair.work(cost_micro=50_000)
        fair.round()
        fair.clock.forward(minutes=1)
    campaign = fair.campaign(campaign_id)
    run = deliveries.find_run(fair.table, run_id)
    assert run is not None
    assert (campaign.state, campaign.ended_for, run.status) == (CampaignState.SENT, "cost", RunStatus.CANCELLED)
    assert campaign.cost_micro == 2_000_000


# ---------------------------------------------------------------- birthdays


def test_a_birthday_campaign_greets_each_once_a_year(fair: Fair, clock: Clock) -> None:
    days = ["03-15", "03-16", "02-28", "02-29", "03-01", "12-31"]
    for number, month_day in enumerate(days):
        fair.pour(*a_person(member(number), month_day=month_day))
    fair.pour(*a_person(member(99), month_day=None))
    campaign_id = fair.make(schedule={"kind": "birthday", "at": "12:00", "until_on": "2028-03-05"})
    fair.launch(campaign_id)
    greeted: Counter[tuple[str, int]] = Counter()
    names: dict[str, str] = {member(number): month_day for number, month_day in enumerate(days)}
    dates: dict[str, list[str]] = {}
    for number in itertools.count():
        today = (datetime(2026, 3, 15, 4, 30, tzinfo=UTC) + timedelta(days=number)).date()
        # Days on which nobody has a birthday are looked at now and then.
        if f"{today:%m-%d}" not in {"03-15", "03-16", "02-28", "02-29", "03-01", "12-31", "03-02", "01-01", "03-06"}:
            continue
        clock.now = datetime.combine(today, datetime.min.time(), tzinfo=UTC) + timedelta(hours=4, minutes=30)
        fair.round()
        fair.work(lambda each, year=today.year: greeted.update([(each.member_id, year)]) or Outcome.SENT)  # type: ignore[misc]
        for (who, year), count in greeted.items():
            assert count == 1, (names[who], year)
        for who, year in greeted:
            dates.setdefault(f"{names[who]} {year}", [f"{today:%m-%d}"])
        fair.patch()
        fair.round()
        if fair.campaign(campaign_id).state is CampaignState.SENT:
            break
    assert today.isoformat() == "2028-03-05" or today.isoformat() == "2028-03-06"
    assert sorted(dates) == sorted(
        f"{each} {year}"
        for each, years in (
            ("03-15", (2026, 2027)),
            ("03-16", (2026, 2027)),
            ("12-31", (2026, 2027)),
            ("02-28", (2027, 2028)),
            ("02-29", (2027, 2028)),
            ("03-01", (2027, 2028)),
        )
        for year in years
    )
    assert dates["02-29 2027"] == ["02-28"]
    assert dates["02-29 2028"] == ["02-29"]


def test_who_changes_their_birthday_is_not_greeted_twice(fair: Fair, clock: Clock) -> None:
    fair.pour(*a_person(member(1), month_day="03-15"))
    campaign_id = fair.make(schedule={"kind": "birthday", "at": "12:00"})
    fair.launch(campaign_id)
    fair.round()
    assert len(fair.work()) == 1
    fair.patch()
    fair.round()
    clock.forward(days=1)
    changed = a_person(member(1), month_day="03-16")
    changed[0]["member"]["v"] = 2
    fair.pour(*changed)
    fair.round()
    assert len(fair.work()) == 0
    (latest, _) = store.list_runs(fair.table, campaign_id, limit=5)
    assert store.kept_from(latest).planned.left_out == {"again": 1}


def test_a_campaign_that_was_paused_for_too_long_is_over(fair: Fair) -> None:
    fair.people(3)
    once = fair.make("k1", schedule={"kind": "once", "on": "2026-03-16", "at": "10:00"})
    birthdays = fair.make("k2", schedule={"kind": "birthday", "at": "12:00", "until_on": "2026-03-20"})
    for each in (once, birthdays):
        fair.launch(each)
        pause_campaign(fair.table, fair.book, each, now=fair.clock())
    fair.clock.forward(days=12)
    for each in (once, birthdays):
        resume_campaign(fair.table, fair.book, each, now=fair.clock())
    fair.round()
    assert fair.tray.bodies == []
    assert (fair.campaign(once).state, fair.campaign(once).ended_for) == (CampaignState.CANCELLED, "late")
    assert fair.campaign(birthdays).state is CampaignState.SENT
    assert store.list_at_work(fair.table) == []


# ---------------------------------------------------------------- crashes


class Crashing:
    """A port of which one call, counted over all such ports, never returns: the process died before it, or after."""

    def __init__(self, real: Any, fuse: "Fuse") -> None:
        self._real, self._fuse = real, fuse

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._real, name)
        return self._fuse.over(found) if callable(found) else found


class Fuse:
    """Burns at the nth call; whatever the process does after it is not done either."""

    def __init__(self, at: int, *, after: bool) -> None:
        self.at, self.after = at, after
        self.burnt = False
        self._numbers = itertools.count(1)

    def over(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """The same call, which may crash."""

        def burning(*args: Any, **kwargs: Any) -> Any:
            number = next(self._numbers)
            if self.burnt or (number == self.at and not self.after):
                self.burnt = True
                raise Crashed
            answer = call(*args, **kwargs)
            if number == self.at:
                self.burnt = True
                raise Crashed
            return answer

        return burning


@pytest.mark.parametrize("after", [False, True])
def test_a_crash_at_any_call_from_launch_to_the_end_sends_to_everybody_once(tmp_path: Path, after: bool) -> None:
    first = Fair(tmp_path / "first", Clock(datetime(2026, 3, 15, 4, tzinfo=UTC)))
    people = first.people(7)
    campaign_id = first.make(throttle_per_minute=5, holdout_percent=20)
    first.launch(campaign_id)
    campaign = first.campaign(campaign_id)
    held = {
        each for each in people
        if assigning.assigned(campaign.salt, "once", each, 20, campaign.definition.variants)[0]
    }  # fmt: skip
    for at in itertools.count(1):
        clock = Clock(datetime(2026, 3, 15, 4, tzinfo=UTC))
        shutil.copytree(tmp_path / "first", tmp_path / str(at))
        fair = Fair(tmp_path / str(at), clock, first.table.copy(), first.ops.copy())  # type: ignore[attr-defined]
        fuse = Fuse(at, after=after)
        works = fair.over(*(Crashing(each, fuse) for each in (fair.table, fair.ops, fair.objects, fair.tray)))
        sent = _sent_in_the_end(fair, campaign_id, works, fuse)
        assert sent == dict.fromkeys(set(people) - held, 1), at
        if at % 6 == 0:
            fair.patch()
            found = find_results(fair.works, campaign_id)
            assert (found.all_variants.planned, found.all_variants.sent) == (len(sent), len(sent)), at
            assert (found.held_out.planned if found.held_out else 0) == len(held), at
        if not fuse.burnt:
            assert at > 35
            return


def _sent_in_the_end(fair: Fair, campaign_id: CampaignId, works: Works, fuse: Fuse) -> Counter[str]:
    """Who was sent to how often, when the first process crashes and the next ones do not."""
    sent: Counter[str] = Counter()
    for _ in range(12):
        with suppress(Crashed):
            fair.round(fair.works if fuse.burnt else works)
        fair.work(lambda each: sent.update([each.member_id]) or Outcome.SENT)
        fair.clock.forward(minutes=6)
        if fair.campaign(campaign_id).state is CampaignState.SENT:
            return sent
    raise AssertionError("it never came to an end")


# ---------------------------------------------------------------- what it brought


def test_results_are_right_by_hand(fair: Fair, clock: Clock) -> None:
    people = fair.people(200)
    campaign_id, run_id = fair.go(variants=TWO, holdout_percent=40, attribution_days=7)
    treated = {each.member_id: each.variant for each in fair.recipients(run_id)}
    held = [each for each in people if each not in treated]
    a = sorted(each for each, variant in treated.items() if variant == "a")
    b = sorted(each for each, variant in treated.items() if variant == "b")

    def became(each: Any) -> Outcome:
        if each.member_id == a[0]:
            return Outcome.UNKNOWN
        return Outcome.NO_CONSENT if each.member_id == a[1] else Outcome.SENT

    fair.work(became, cost_micro=100_000)
    fair.patch()
    start = clock()
    clock.forward(days=3)
    inside, outside = start + timedelta(days=2), start + timedelta(days=8)
    fair.pour(
        a_sale(a[0], inside, 10_000), a_sale(a[0], inside, 5_000, 2), a_sale(a[2], inside, 1_000),
        a_sale(b[0], inside, 2_000, refunded_minor=500), a_sale(b[1], start - timedelta(seconds=1), 9_000),
        a_sale(b[2], inside, 9_000, returned=True),
        a_sale(held[0], inside, 3_000), a_sale(held[1], outside, 70_000),
    )  # fmt: skip
    sending.advance(fair.works, campaign_id)
    found = find_results(fair.works, campaign_id)
    of_a, of_b, of_held = found.variants["a"], found.variants["b"], found.held_out
    assert of_held is not None
    assert (of_a.planned, of_a.sent, of_a.unknown, of_a.skipped) == (len(a), len(a) - 2, 1, {"no_consent": 1})
    assert (of_a.buyers, of_a.purchases, of_a.sales_minor) == (2, 3, 16_000)
    assert (of_b.buyers, of_b.purchases, of_b.sales_minor) == (1, 1, 1_500)
    assert (of_held.planned, of_held.buyers, of_held.sales_minor, of_held.sent) == (len(held), 1, 3_000, 0)
    assert found.all_variants.sales_minor == 17_500
    assert found.cost_minor == (len(a) + len(b)) * 10
    assert (of_a.cost_minor, of_b.cost_minor) == (len(a) * 10, len(b) * 10)
    assert found.all_variants.cost_minor == found.cost_minor == of_a.cost_minor + of_b.cost_minor
    compared = found.all_variants.compared
    assert compared is not None and compared.sales_per_thousand_minor is not None
    n, k = len(treated), len(held)
    assert compared.sales_per_thousand_minor.value == round(1000 * (17_500 / n - 3_000 / k))
    assert compared.incremental_sales_minor is not None
    gain = round(n * (17_500 / n - 3_000 / k))
    assert compared.incremental_sales_minor.value == gain
    assert found.return_percent == round((gain - found.cost_minor) * 100 / found.cost_minor)
    assert found.window_open
    clock.forward(days=5)
    assert not find_results(fair.works, campaign_id).window_open
    assert milliseconds(found.as_of) <= milliseconds(clock())


def test_without_a_holdout_nothing_is_said_of_what_it_brought(fair: Fair) -> None:
    fair.people(40)
    campaign_id, _ = fair.go()
    fair.work()
    fair.patch()
    found = find_results(fair.works, campaign_id)
    assert found.held_out is None
    assert found.all_variants.compared is not None
    assert found.all_variants.compared.why_not == "no_holdout"
    assert found.return_percent is None


def test_results_of_a_draft_are_empty(fair: Fair) -> None:
    found = find_results(fair.works, fair.make())
    assert (found.variants, found.all_variants.planned, found.held_out) == ({}, 0, None)
    assert found.campaign_id == CampaignId.of("k1")
