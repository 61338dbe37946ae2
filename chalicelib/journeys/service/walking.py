"""A test run: what would happen to a member, step by step with times, by a clock of its own. Nothing is written."""

from dataclasses import replace
from datetime import datetime, timedelta

from chalicelib.journeys.models import (
    Branch,
    Edition,
    Fits,
    GivePoints,
    HasPoints,
    HasTag,
    HoldsTier,
    Instance,
    Left,
    Retag,
    Send,
    Told,
    Wait,
    Walk,
    WalkedStep,
    WalkJourney,
)
from chalicelib.journeys.ports import Person, Works
from chalicelib.journeys.rules import moving
from chalicelib.journeys.service.managing import Bureau, require, require_edition, sentences
from chalicelib.journeys.service.stepping import GONE
from chalicelib.kernel.ids import JourneyId
from chalicelib.kernel.languages import Language
from chalicelib.points.errors import MemberUnknown
from chalicelib.segments.models import Definition as Condition


def walk_journey(bureau: Bureau, works: Works, journey_id: JourneyId, command: WalkJourney, language: Language) -> Walk:
    """What would happen to a member who came in at an instant and did nothing that the journey asks for.

    Branches go as the member is now, unless the command says how; a message is judged by what holds now, at the hour at
    which it would be sent.

    Args:
        language: of the texts of steps.

    Raises:
        JourneyUnknown: there is no such journey, or no such version.
        MemberUnknown: there is no such member.
        SegmentsSilent: nobody said whether the member fits; safe to try again.
    """
    head = require(bureau.table, journey_id)
    edition = require_edition(bureau.table, head, command.edition or head.edition)
    person = works.people.find([command.member_id], bureau.now)[command.member_id]
    if person.status == "unknown":
        raise MemberUnknown(member_id=command.member_id)
    at = command.at or bureau.now
    walker = _Walker(bureau, works, edition, person, command, language)
    why_not = walker.why_not()
    steps, ends, ends_at = ([], why_not, at) if why_not is not None else walker.steps(at)
    return Walk(
        journey_id=journey_id, member_id=command.member_id, edition=edition.edition, enters=why_not is None,
        why_not=why_not, steps=tuple(steps), ends=ends, ends_at=ends_at,
    )  # fmt: skip


class _Walker:
    def __init__(
        self, bureau: Bureau, works: Works, edition: Edition, person: Person, command: WalkJourney, language: Language
    ) -> None:
        self.works, self.edition, self.person, self.command = works, edition, person, command
        self.definition, self.program = edition.definition, bureau.program
        lines = sentences(bureau, self.definition)
        text = lines.zh if language is Language.ZH else lines.en
        numbered = [line for line in text.split("\n") if line[:1].isdigit()]
        self.texts = {step.step: line for step, line in zip(self.definition.steps, numbered, strict=True)}

    def why_not(self) -> str | None:
        """Why the member would not come in; None: they would."""
        if self.person.status != "active":
            return GONE[self.person.status].value
        return None if self.definition.who is None or self._fits(self.definition.who) else "does not fit"

    def _fits(self, condition: Condition) -> bool:
        member_id = self.person.member_id
        return member_id in self.works.judge.fitting(condition, [member_id], self.edition.segments)

    def steps(self, at: datetime) -> tuple[list[WalkedStep], str, datetime]:
        """Each step with when it would be done and what would come of it, why it ends and when."""
        told = Told("walk", "evt_walk", self.person.member_id, at, {})
        zone, month_day = self.program.time_zone, self.person.month_day
        way = moving.entered(self.edition, told, "walk", at, month_day, zone).after
        walked: list[WalkedStep] = []
        while way.left is None:
            assert way.due_at is not None
            now, outcome = self._outcome(way, way.due_at)
            step = moving.step_of(self.definition, way.step)
            walked.append(
                WalkedStep(step=step.step, kind=step.kind, at=now, outcome=outcome, text=self.texts[step.step])
            )
            way = moving.passed(self.definition, replace(way, due_at=now), outcome, now, month_day, zone).after
        assert way.left_at is not None
        ends = way.left
        return walked, (ends or Left.COMPLETED).value, way.left_at

    def _outcome(self, way: Instance, at: datetime) -> tuple[datetime, str]:
        """When a step would be done that comes due at an instant, and what would come of it."""
        step = moving.step_of(self.definition, way.step)
        match step:
            case Wait():
                return at, "waited"
            case GivePoints():
                return at, "given"
            case Retag():
                return at, "unchanged" if (step.tag in self.person.tags) is step.give else "changed"
            case Branch():
                return at, "yes" if self._holds(step) else "no"
            case Send():
                return self._send(step, way, at)

    def _send(self, step: Send, way: Instance, at: datetime) -> tuple[datetime, str]:
        until = way.since + timedelta(hours=step.send_within_hours)
        posted = self.works.post.would(self.person.member_id, step, self.edition.pinned[step.step], at)
        if posted.wait_until is not None:
            at = posted.wait_until
        return (at, moving.STALE) if at >= until else (at, posted.outcome)

    def _holds(self, step: Branch) -> bool:
        if step.step in self.command.fits:
            return self.command.fits[step.step]
        match step.on:
            case Fits(definition=definition):
                return self._fits(definition)
            case HoldsTier(tier_ids=tiers):
                return self.person.tier_id in tiers
            case HasPoints(at_least=points):
                return self.person.points >= points
            case HasTag(tag=tag):
                return tag in self.person.tags
            case _:
                return False
