"""The fields that a template may have. There are no others: a name is looked up here and nowhere else."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from chalicelib.kernel.languages import Language


class Sort(StrEnum):
    """What sort of value a field has."""

    TEXT = "text"
    NUMBER = "number"
    DAY = "day"
    LINK = "link"
    """An address of ours, as a whole."""


Both = Mapping[Language, str]


@dataclass(frozen=True, slots=True)
class Field:
    """What may be filled in.

    Attributes:
        contact: whether it is personal, so that the member's contact data have to be opened for it.
        sample: of somebody made up.
        instead: what stands there for who has none; None: without it nothing is sent.
    """

    sort: Sort
    sample: Both
    contact: bool = False
    instead: Both | None = None


def _both(zh: str, en: str) -> Both:
    return {Language.ZH: zh, Language.EN: en}


_NONE = _both("0", "0")

_TOKEN = "sample0" * 16
"""As long as real ones are: what a text message costs goes by its length."""

FIELDS: Mapping[str, Field] = {
    "name": Field(Sort.TEXT, _both("李小明", "Anna Smith"), contact=True, instead=_both("顾客", "customer")),
    "member_number": Field(Sort.TEXT, _both("100000000017", "100000000017")),
    "program": Field(Sort.TEXT, _both("常客", "Regulars")),
    "tier": Field(Sort.TEXT, _both("金卡会员", "Gold")),
    "points": Field(Sort.NUMBER, _both("1,280", "1,280"), instead=_NONE),
    "points_pending": Field(Sort.NUMBER, _both("60", "60"), instead=_NONE),
    "points_expiring": Field(Sort.NUMBER, _both("300", "300"), instead=_NONE),
    "points_expire_on": Field(Sort.DAY, _both("2030年6月30日", "30 June 2030")),
    "joined_on": Field(Sort.DAY, _both("2028年3月1日", "1 March 2028")),
    "birthday": Field(Sort.DAY, _both("3月15日", "15 March")),
    "last_bought_on": Field(Sort.DAY, _both("2030年1月12日", "12 January 2030")),
    "purchases_count": Field(Sort.NUMBER, _both("8", "8"), instead=_NONE),
    "today": Field(Sort.DAY, _both("2030年5月1日", "1 May 2030")),
    "gift_points": Field(Sort.NUMBER, _both("100", "100")),
    "gift_expires_on": Field(Sort.DAY, _both("2030年12月31日", "31 December 2030")),
    "points_earned": Field(Sort.NUMBER, _both("56", "56")),
    "amount": Field(Sort.TEXT, _both("¥560.00", "£56.00")),
    "opt_out": Field(Sort.LINK, _both(*[f"https://shop.example.com/o/{_TOKEN}"] * 2)),
    "preferences": Field(Sort.LINK, _both(*[f"https://shop.example.com/p/{_TOKEN}"] * 2)),
}
"""By name. `gift_…` are there when a campaign or a journey gives points; `points_earned` and `amount` when a purchase
led to the message; `opt_out` and `preferences` always: who sends makes them for each member."""

PERSONAL = frozenset(name for name, field in FIELDS.items() if field.contact)

_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip


def shown(value: str | int | date, language: Language) -> str:
    """A value as people read it: numbers in threes, days in words."""
    if isinstance(value, date):
        return day_shown(value, language)
    return f"{value:,}" if isinstance(value, int) else value


def day_shown(day: date, language: Language) -> str:
    """A day as people write it."""
    if language is Language.ZH:
        return f"{day.year}年{day.month}月{day.day}日"
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"


def birthday_shown(month_day: str, language: Language) -> str:
    """A birthday without its year, of `MM-DD`, as people write it."""
    month, day = int(month_day[:2]), int(month_day[3:])
    return f"{month}月{day}日" if language is Language.ZH else f"{day} {_MONTHS[month - 1]}"


def samples(language: Language) -> dict[str, str]:
    """The values of somebody made up."""
    return {name: field.sample[language] for name, field in FIELDS.items()}
