"""What a campaign's message may say of a member, as of the plan. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from chalicelib.campaigns.models import Gift
from chalicelib.campaigns.ports import Title
from chalicelib.campaigns.rules.picking import COLUMNS
from chalicelib.kernel.calendar import NEVER
from chalicelib.kernel.languages import Language
from chalicelib.programs.models import Program
from chalicelib.programs.rules import expires_on, period_of
from chalicelib.templates.fields import birthday_shown, shown
from chalicelib.templates.rules import language_for

FILLED = frozenset({"name", "program", "today", "opt_out", "preferences", *COLUMNS})
"""Fields that every campaign's message can have."""


def fillable(gift: Gift | None, program: Program, day: date) -> frozenset[str]:
    """The fields that a campaign's message can have."""
    if gift is None:
        return FILLED
    ends = _last_day(gift, program, day) != NEVER
    return FILLED | ({"gift_points", "gift_expires_on"} if ends else {"gift_points"})


@dataclass(frozen=True, slots=True)
class Filler:
    """Makes the fields of messages of a run.

    Attributes:
        language: in which they are; that of the message.
        looked_up: fields whose values the lake gives, in the order in which a row has them.
        same: fields that are the same for everybody.
        words: how a value is shown, for each of `looked_up`.
    """

    language: Language
    looked_up: tuple[str, ...]
    same: Mapping[str, str]
    words: tuple[Callable[[Any], str], ...]

    def fields(self, values: Sequence[Any]) -> dict[str, str]:
        """The fields of one message; what the lake does not know is left out."""
        found = dict(self.same)
        for name, value, words in zip(self.looked_up, values, self.words, strict=True):
            if value is not None:
                found[name] = words(value)
        return found


def filler(wanted: Iterable[str], program: Program, gift: Gift | None, day: date, language: Language) -> Filler:
    """What makes the fields that templates have.

    Args:
        day: of the run, in the program's time zone.
        language: of the message.
    """
    names = frozenset(wanted)
    same = {"program": program.name.in_(language), "today": shown(day, language)}
    if gift is not None:
        same["gift_points"] = shown(gift.points, language)
        last = _last_day(gift, program, day)
        if last != NEVER:
            same["gift_expires_on"] = shown(last, language)
    looked_up = tuple(sorted(names & COLUMNS.keys()))
    return Filler(
        language,
        looked_up,
        {name: value for name, value in same.items() if name in names},
        tuple(_words(name, program, language) for name in looked_up),
    )


def fillers(
    titles: Mapping[tuple[str, str], Title], program: Program, gift: Gift | None, day: date
) -> dict[tuple[str, str, str | None], Filler]:
    """What makes the fields of a message, by its variant, its channel and the language that the member has.

    Args:
        titles: the templates, by variant and channel.
        day: of the run, in the program's time zone.
    """
    wanted = frozenset(name for each in titles.values() for name in each.fields)
    by_language = {each: filler(wanted, program, gift, day, each) for each in Language}
    return {
        (*which, own): by_language[language_for(title.languages, own, program.language)]
        for which, title in titles.items()
        for own in (None, *Language)
    }


def _last_day(gift: Gift, program: Program, day: date) -> date:
    """The last day of points that are given on a day, as the ledger will have it."""
    if gift.expires_after_days is None:
        return expires_on(day, program.expiry)
    return period_of(day + timedelta(days=gift.expires_after_days), program.expiry)


def _words(name: str, program: Program, language: Language) -> Callable[[Any], str]:
    if name == "tier":
        tiers = {each.tier_id: each.name.in_(language) for each in program.ladder.tiers}
        return lambda tier_id: tiers.get(tier_id, "")
    if name == "birthday":
        return lambda month_day: birthday_shown(month_day, language)
    return lambda value: shown(value, language)
