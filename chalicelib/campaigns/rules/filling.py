"""What a campaign's message may say of a member, as of the plan. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from chalicelib.campaigns.models import Gift
from chalicelib.campaigns.rules.picking import COLUMNS
from chalicelib.kernel.languages import Language
from chalicelib.programs.models import Program
from chalicelib.templates.fields import birthday_shown, shown


@dataclass(frozen=True, slots=True)
class Filler:
    """Makes the fields of messages of a run.

    Attributes:
        looked_up: fields whose values the lake gives, in the order in which a row has them.
        same: fields that are the same for everybody.
        words: how a value is shown, for each of `looked_up`.
    """

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


def filler(wanted: Iterable[str], program: Program, gift: Gift | None, day: date) -> Filler:
    """What makes the fields that templates have.

    Args:
        day: of the run, in the program's time zone.
    """
    language, names = program.language, frozenset(wanted)
    same = {"program": program.name.in_(language), "today": shown(day, language)}
    if gift is not None:
        same["gift_points"] = shown(gift.points, language)
        if gift.expires_after_days is not None:
            same["gift_expires_on"] = shown(day + timedelta(days=gift.expires_after_days), language)
    looked_up = tuple(sorted(names & COLUMNS.keys()))
    return Filler(
        looked_up,
        {name: value for name, value in same.items() if name in names},
        tuple(_words(name, program, language) for name in looked_up),
    )


def _words(name: str, program: Program, language: Language) -> Callable[[Any], str]:
    if name == "tier":
        tiers = {each.tier_id: each.name.in_(language) for each in program.ladder.tiers}
        return lambda tier_id: tiers.get(tier_id, "")
    if name == "birthday":
        return lambda month_day: birthday_shown(month_day, language)
    return lambda value: shown(value, language)
