"""Make a run's plan: who gets what, written down as parts before anything is sent (ADR 0054).

One plan is made at a time, so that each counts against the frequency cap what those before it have planned. A plan that
is cut off leaves files that nothing names; the next attempt has another run id and writes files of its own. The plan
counts from one transaction on, which writes the run and takes the campaign from planning to sending.
"""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from chalicelib.campaigns import store
from chalicelib.campaigns.errors import CampaignMoved, TurnMissed
from chalicelib.campaigns.models import Campaign, CampaignRun, CampaignState, PlannedPart
from chalicelib.campaigns.ports import Lake, Title, Works
from chalicelib.campaigns.rules import life, picking, timing
from chalicelib.campaigns.rules.filling import Filler, fillers
from chalicelib.campaigns.rules.picking import Terms
from chalicelib.campaigns.service import choosing
from chalicelib.campaigns.service.using import moved
from chalicelib.campaigns.store import Turn
from chalicelib.deliveries import rules as deliveries_rules
from chalicelib.deliveries import store as deliveries
from chalicelib.deliveries.models import RECIPIENTS_MAX, Gift, Part, Recipient, Run, RunStatus, Wording
from chalicelib.deliveries.service.neighbours import consented_as
from chalicelib.kernel.calendar import from_milliseconds, milliseconds
from chalicelib.kernel.ids import CampaignId, CampaignRunId
from chalicelib.programs.models import Program

LEASE = timedelta(minutes=5)
"""A turn is over when it was not renewed for so long; a plan renews it every few seconds."""

RENEWED_EVERY = 200
"""Parts."""

RECENT_FOR = timedelta(days=12)
"""No run sends for longer."""

CHANGES_SINCE = timedelta(hours=25)
"""The stream that the lake is made of may be a day behind: who changed since is looked at afresh before the call."""

PROBE = 10
"""So many are in the first part of a run that may not cost more than so much."""

ROSTER_ROWS = 50_000
WRITERS = 8


def plan(works: Works, campaign_id: CampaignId) -> CampaignRunId | None:
    """Plan the run of a campaign that is beginning; None when there is nothing to plan, or others are at it.

    Raises:
        TurnMissed: another plan is being made.
        StorageBusy: it is to be planned anew, later.
    """
    hold = _Hold(works, campaign_id)
    try:
        campaign = _claimed(works, campaign_id)
        if campaign is None:
            return None
        with works.open_lake(choosing.today(works), works.clock()) as lake:
            drafted = _Plan(works, campaign, lake, hold).drafted()
        _settle(works, campaign, drafted)
        return drafted.run_id
    except CampaignMoved:
        return None
    finally:
        hold.end()


def _claimed(works: Works, campaign_id: CampaignId) -> Campaign | None:
    """The campaign with one attempt more, which no other planner has.

    Raises:
        CampaignMoved: somebody changed it.
    """
    before = store.find_campaign(works.table, campaign_id)
    if before is None or before.beginning is None or before.state not in life.RUNNING:
        return None
    after = life.planning(before)
    works.table.commit([store.replace_campaign(before, after)])
    return after.model_copy(update={"version": before.version + 1})


def _settle(works: Works, campaign: Campaign, drafted: "_Drafted") -> None:
    """Write that the plan counts.

    Raises:
        CampaignMoved: the campaign was paused, cancelled or planned anew.
    """
    after = life.planned(campaign, drafted.run_id)
    run = replace(drafted.run, more=store.run_facts(campaign.campaign_id, drafted.kept))
    works.table.commit([store.replace_campaign(campaign, after), deliveries.add_run(run)], keyed=True)


# ---------------------------------------------------------------- the turn


class _Hold:
    """A turn that is ours.

    Raises:
        TurnMissed: another plan is being made.
    """

    def __init__(self, works: Works, campaign_id: CampaignId) -> None:
        self._works = works
        now, before = works.clock(), store.find_turn(works.ops)
        if before.until > now:
            raise TurnMissed
        recent = tuple((run, at) for run, at in before.recent if at > now - RECENT_FOR)
        self.turn = before
        self._write(Turn(campaign_id, now + LEASE, recent))

    def keep(self, planned: CampaignRunId | None = None) -> None:
        """Renew it; with a plan that is about to count, so that whoever is next counts it.

        Raises:
            TurnMissed: it was over, and somebody took it.
        """
        now = self._works.clock()
        recent = self.turn.recent if planned is None else (*self.turn.recent, (planned, now))
        self._write(replace(self.turn, until=now + LEASE, recent=recent))

    def end(self) -> None:
        """Let others have theirs."""
        with suppress(TurnMissed):
            self._write(replace(self.turn, owner="", until=from_milliseconds(0)))

    def _write(self, after: Turn) -> None:
        self._works.ops.commit([store.take_turn(self.turn, after)], keyed=True)
        self.turn = replace(after, version=self.turn.version + 1)


# ---------------------------------------------------------------- the plan


@dataclass(frozen=True, slots=True)
class _Drafted:
    """A plan that is written down and does not count yet."""

    run_id: CampaignRunId
    run: Run
    kept: CampaignRun


@dataclass
class _Plan:
    """The making of one plan."""

    works: Works
    campaign: Campaign
    lake: Lake
    hold: _Hold
    program: Program = field(init=False)
    run_id: CampaignRunId = field(init=False)

    def __post_init__(self) -> None:
        self.program = self.works.book.current(self.works.clock())
        self.run_id = life.run_id_of(self.campaign)

    def drafted(self) -> _Drafted:
        """Write the plan down."""
        terms = self._terms()
        planned = choosing.choose(self.works, self.lake, terms, self.campaign.segments)
        self.hold.keep()
        rosters = self._write_rosters()
        parts = self._write_parts(terms)
        self.hold.keep(self.run_id)
        now = from_milliseconds(milliseconds(self.works.clock()))
        beginning = self.campaign.beginning
        assert beginning is not None
        kept = CampaignRun(
            day=beginning.day, starts_at=beginning.starts_at, planned_at=now, planned=planned, rosters=rosters
        )
        return _Drafted(self.run_id, self._run(len(parts), planned.targeted), kept)

    def _terms(self) -> Terms:
        campaign, beginning = self.campaign, self.campaign.beginning
        assert beginning is not None
        recurs = beginning.which != "once"
        counts_others = recurs or campaign.definition.frequency_cap is not None
        return Terms(
            campaign_id=campaign.campaign_id,
            definition=campaign.definition,
            salt=campaign.salt,
            step=beginning.step,
            channels=tuple((each, consented_as(each).value) for each in life.channels_of(campaign.pinned)),
            starts_at=beginning.starts_at,
            time_zone=self.program.time_zone,
            month_days=timing.celebrated_between(beginning.since, beginning.day) if recurs else None,
            recent=choosing.take_rosters(self.works, self.lake, self.hold.turn) if counts_others else (),
        )

    def _write_rosters(self) -> int:
        answer, number = choosing.ask(self.lake, picking.ROSTER_OF_PLAN), 0
        beginning = self.campaign.beginning
        assert beginning is not None
        shared = {
            "campaign_id": self.campaign.campaign_id,
            "run_id": self.run_id,
            "at": milliseconds(beginning.starts_at),
        }
        while rows := answer.fetchmany(ROSTER_ROWS):
            told = [
                {
                    "row_id": f"{self.run_id}-{member_id}",
                    "member_id": member_id,
                    "variant": variant,
                    "held_out": held_out,
                    **shared,
                }
                for member_id, variant, held_out in rows
            ]
            store.put_roster(self.works.objects, self.run_id, number, told)
            number += 1
        return number

    def _write_parts(self, terms: Terms) -> list[PlannedPart]:
        """Write the parts, several at once, and the list of them."""
        listed: list[PlannedPart] = []
        waiting: deque[Future[None]] = deque()
        with ThreadPoolExecutor(WRITERS) as writers:
            for part, not_before in self._parts(terms):
                listed.append(PlannedPart(len(part.recipients), not_before))
                waiting.append(writers.submit(self._write_part, part))
                if len(waiting) > 4 * WRITERS:
                    waiting.popleft().result()
                if len(listed) % RENEWED_EVERY == 0:
                    self.hold.keep()
            while waiting:
                waiting.popleft().result()
        store.put_parts(self.works.objects, self.run_id, listed)
        return listed

    def _write_part(self, part: Part) -> None:
        key = deliveries_rules.part_key(part.run_id, part.number)
        self.works.objects.put(key, deliveries_rules.part_file(part), kind="application/gzip")

    def _parts(self, terms: Terms) -> Iterator[tuple[Part, int]]:
        """The parts in their order, each with the first hour of its members; those of a part share hour and channel.

        The language of each message is settled here, by what is known of the template and of the member.
        """
        instants, slots = self._slots(terms)
        fill = self._fillers()
        looked_up = next(iter(fill.values())).looked_up
        whole = min(RECIPIENTS_MAX, terms.definition.throttle_per_minute or RECIPIENTS_MAX)
        # Where money is short, the first part, which goes alone to learn the price, is small.
        most = min(whole, PROBE) if terms.definition.cost_max_minor is not None else whole
        answer = choosing.ask(self.lake, picking.recipients(slots, looked_up))
        some: list[Recipient] = []
        place: tuple[int, str] = (-1, "")
        number = 0
        while rows := answer.fetchmany(RECIPIENTS_MAX * 20):
            for slot, channel, variant, member_id, m, sealed, own, *values in rows:
                if some and ((slot, channel) != place or len(some) == most):
                    yield Part(self.run_id, number, place[1], tuple(some)), instants[place[0]]
                    number, some, most = number + 1, [], whole
                place = (slot, channel)
                said = fill[variant, channel, own]
                fields = said.fields(values)
                some.append(Recipient(member_id, m, said.language, variant, sealed or "", fields, instants[slot]))
        if some:
            yield Part(self.run_id, number, place[1], tuple(some)), instants[place[0]]

    def _slots(self, terms: Terms) -> tuple[list[int], list[int]]:
        """The instants at which members are written to, in order; and for each hour of the day, and for who has none,
        the place of its instant among them.
        """
        quiet = timing.quiet_of(terms.definition.quiet_hours)
        at_once = timing.when_loud(terms.starts_at, quiet, terms.time_zone)
        hours = timing.best_hours(terms.starts_at, quiet, terms.time_zone) if terms.definition.best_hour else ()
        wanted = [milliseconds(each) for each in (*(hours or [at_once] * 24), at_once)]
        instants = sorted(set(wanted))
        return instants, [instants.index(each) for each in wanted]

    def _fillers(self) -> dict[tuple[str, str, str | None], Filler]:
        titles: dict[tuple[str, str], Title] = {}
        for variant, templates in self.campaign.pinned.items():
            for each in templates:
                title = self.works.shelf.template(each.template_id, each.version)
                gone = Title(each.template_id, each.version, each.channel, "", frozenset())
                titles[variant, each.channel] = title or gone
        beginning = self.campaign.beginning
        assert beginning is not None
        return fillers(titles, self.program, self.campaign.definition.gift, beginning.day)

    def _run(self, parts: int, planned: int) -> Run:
        campaign, definition, beginning = self.campaign, self.campaign.definition, self.campaign.beginning
        assert beginning is not None
        gift = definition.gift
        return Run(
            run_id=self.run_id,
            source="campaign",
            source_id=campaign.campaign_id,
            step=beginning.step,
            status=RunStatus.SENDING,
            purpose=definition.purpose,
            wordings=tuple(
                Wording(name, each.channel, each.template_id, each.version)
                for name, templates in campaign.pinned.items()
                for each in templates
            ),
            changes_since=self.lake.built_at - CHANGES_SINCE,
            send_until=life.send_until(campaign, beginning.starts_at),
            zone=self.program.time_zone,
            parts=parts,
            planned=planned,
            quiet=timing.quiet_of(definition.quiet_hours),
            gift=Gift(gift.points, gift.expires_after_days, campaign.launched_by, campaign.launched_own)
            if gift is not None
            else None,
        )


def beginning_now(works: Works, campaign: Campaign, now: datetime) -> bool:
    """Write that a campaign's run begins, when its time has come, or that it is over; whether there is one to plan."""
    if campaign.state is CampaignState.PAUSED or campaign.state not in life.RUNNING:
        return False
    if campaign.beginning is not None:
        return True
    time_zone, stamp = works.book.current(now).time_zone, from_milliseconds(milliseconds(now))
    over = life.over_unbegun(campaign, time_zone, stamp)
    after = over or life.begun(campaign, time_zone, stamp)
    if after is None:
        return False
    try:
        works.table.commit(moved(campaign, after), keyed=True)
    except CampaignMoved:
        return False
    return over is None
