"""What a journey's message may say beside what is known of every member. Pure."""

from collections.abc import Mapping
from datetime import date, timedelta

from chalicelib.journeys.models import GivePoints, Instance, JourneyDefinition
from chalicelib.kernel.calendar import NEVER, local_day
from chalicelib.kernel.languages import Language
from chalicelib.programs.models import Program
from chalicelib.programs.rules import expires_on, period_of
from chalicelib.templates.fields import shown


def fields_of(
    definition: JourneyDefinition, instance: Instance, program: Program, language: Language
) -> dict[str, str]:
    """Fields that follow from what let somebody in, and from points that they were given on the way."""
    found = _of_purchase(instance.facts, language)
    gives = {each.step: each for each in definition.steps if isinstance(each, GivePoints)}
    for passed in instance.path:
        gift = gives.get(passed.step)
        if gift is None or passed.outcome != "given":
            continue
        found["gift_points"] = shown(gift.points, language)
        last = _last_day(gift, program, local_day(passed.at, program.time_zone))
        if last != NEVER:
            found["gift_expires_on"] = shown(last, language)
    return found


def _of_purchase(facts: Mapping[str, object], language: Language) -> dict[str, str]:
    found: dict[str, str] = {}
    earned, paid = facts.get("points_earned"), facts.get("paid_minor")
    if isinstance(earned, int):
        found["points_earned"] = shown(earned, language)
    if isinstance(paid, int):
        found["amount"] = f"{facts.get('currency', '')} {paid / 100:,.2f}".strip()
    return found


def _last_day(gift: GivePoints, program: Program, day: date) -> date:
    """The last day of points that are given on a day, as the ledger has it."""
    if gift.expires_after_days is None:
        return expires_on(day, program.expiry)
    return period_of(day + timedelta(days=gift.expires_after_days), program.expiry)
