"""What an entry of a card moves between principal, bonus and means, as sums and as reasons. Pure."""

from collections.abc import Iterable, Mapping
from datetime import date

from chalicelib.cards.models import Paid
from chalicelib.cards.rules.holding import PRINCIPAL
from chalicelib.points.models import Lifetime, Sums, Why


def why_paid(means: Iterable[Paid]) -> tuple[Why, ...]:
    """By which means was paid, as reasons."""
    return tuple(Why(rule_id=f"paid.{each.kind}", points=0, args=(each.amount_minor,)) for each in means)


def sums_of(buckets: Mapping[date, int], *, earned: int = 0, spent: int = 0, taken: int = 0) -> Sums:
    """What an entry changes of the account: buckets, and what was earned, spent or taken in all."""
    life = Lifetime(earned=earned, spent=spent, taken=taken)
    return Sums(lifetime=life, earned={day: minor for day, minor in buckets.items() if minor})


def negative(taken: Mapping[date, int]) -> dict[date, int]:
    """The same buckets with the other sign."""
    return {day: -minor for day, minor in taken.items()}


def why_moved(buckets: Mapping[date, int]) -> tuple[Why, ...]:
    """Principal and bonus that buckets come to, as reasons."""
    principal = buckets.get(PRINCIPAL, 0)
    figures = (("principal", principal), ("bonus", sum(buckets.values()) - principal))
    return tuple(Why(rule_id=name, points=minor, args=()) for name, minor in figures if minor)
