"""What the members did: a year of purchases, spends and corrections, the same for the same last day.

The whole history is made before any of it is carried out, because a till numbers its orders across all members. It is
cheap enough that every process makes it for itself.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from random import Random
from typing import Any

from local.demo.people import ZONE, Habit, Person, person, rng_for
from local.demo.shop import CODES, COFFEE, FOOD, NEWEST, RETAIL, SHOPS, TEA, Product


class Deed(StrEnum):
    """What is asked of the services."""

    BUY = "buy"
    SPEND = "spend"
    ADJUST = "adjust"
    SUSPEND = "suspend"
    REINSTATE = "reinstate"
    CLOSE = "close"


@dataclass(slots=True)
class Event:
    """Something a member did, or had done."""

    deed: Deed
    at: datetime
    """When it was recorded."""
    body: dict[str, Any]
    key: str = ""


@dataclass(frozen=True, slots=True)
class Life:
    """A member and everything that happened to them, oldest first."""

    person: Person
    events: list[Event]


_A_WEEK = {Habit.OFFICE: 2.0, Habit.REGULAR: 2.4, Habit.WEEKEND: 0.55, Habit.OCCASIONAL: 0.16, Habit.ONCE: 0.0}
_LAST = timedelta(hours=22)
"""Nothing is recorded later on the last day."""

_GIFTS = ((300, "中杯拿铁券"), (600, "贝果套餐"), (1200, "常客马克杯"))
_CORRECTIONS: tuple[tuple[int, str, str, str], ...] = (
    (50, "goodwill", "拿铁洒了，给您赔个不是", "店员打翻，已当面道歉"),
    (88, "birthday", "生日快乐！", "生日月人工补发"),
    (-20, "correction", "重复积分已更正", "同一小票扫了两次"),
    (30, "survey", "感谢填写问卷", "秋季问卷"),
    (100, "goodwill", "久等了，请您喝一杯", "周末排队超过 20 分钟"),
)


def history(size: int, day: date) -> list[Life]:
    """The lives of `size` members, the last day of which is given."""
    lives = []
    for index in range(size):
        who = person(index, size, day)
        lives.append(Life(who, sorted(_life(who, day), key=lambda event: event.at)))
    _number_orders(lives)
    return lives


def _life(who: Person, day: date) -> Iterator[Event]:
    rng = rng_for(who.index, "life")
    end = datetime.combine(day, time(), ZONE) + _LAST
    ended_at, ending = _ending(who, rng, end)
    end = min(end, ended_at - timedelta(hours=3))
    points = 0  # never more than the account holds: multipliers are left out, and expiry comes later than a year
    for at in _visits(who, rng, end):
        buy, earned = _purchase(who, rng, at, end, points)
        points += earned
        yield buy
        if points >= 400 and rng.random() < 0.05:
            cost, gift = rng.choice([each for each in _GIFTS if each[0] <= points] or [_GIFTS[0]])
            if cost <= points:
                points -= cost
                yield Event(Deed.SPEND, buy.at + timedelta(minutes=4), {"points": cost, "reference": gift})
        if rng.random() < 0.012:
            amount, code, member_note, internal = rng.choice(_CORRECTIONS)
            if amount > 0 or points > 200:
                points += min(amount, 0)
                body = {
                    "points": amount,
                    "reason_code": code,
                    "note_to_member": member_note,
                    "note_internal": internal,
                }
                yield Event(Deed.ADJUST, buy.at + timedelta(hours=1, minutes=rng.randrange(50)), body)
    yield from ending


def _visits(who: Person, rng: Random, end: datetime) -> Iterator[datetime]:
    """When somebody comes: first on the day they join, then as their habit has it, until they drift away."""
    yield who.joined_at + timedelta(minutes=3)
    if who.habit is Habit.ONCE:
        if rng.random() < 0.4 and (again := who.joined_at + timedelta(days=1 + rng.randrange(60))) < end:
            yield again
        return
    days = (end.date() - who.joined_at.date()).days
    stays = days if rng.random() < 0.75 else int(days * rng.random())
    eagerness = _A_WEEK[who.habit] * (0.6 + 0.8 * rng.random())
    for ago in range(1, stays + 1):
        on = who.joined_at.date() + timedelta(days=ago)
        if rng.random() < eagerness * _pull(who.habit, on) / 7:
            at = _hour(who.habit, rng, on)
            if at < end:
                yield at


def _pull(habit: Habit, on: date) -> float:
    """How much more or less somebody comes on a day of the week; over a week it averages about 1."""
    weekend = on.weekday() >= 5
    spring_festival = on.month == 2 and on.day <= 7
    pull = {
        Habit.OFFICE: 0.0 if weekend else 1.4,
        Habit.REGULAR: 0.45 if weekend else 1.22,
        Habit.WEEKEND: 3.0 if weekend else 0.2,
    }.get(habit, 1.5 if weekend else 0.8)
    return pull * (0.4 if spring_festival else 1.0)


def _hour(habit: Habit, rng: Random, on: date) -> datetime:
    """The time of a visit: coffee before work, or when there is time."""
    middle, spread = (8.6, 0.7) if on.weekday() < 5 else (11.5, 2.2)
    if habit is Habit.OFFICE:
        middle, spread = 9.5, 0.4
    elif rng.random() < 0.3:
        middle, spread = 14.5, 1.5
    hours = min(max(middle + spread * (rng.random() + rng.random() - 1) * 1.7, 7.2), 21.3)
    return datetime.combine(on, time(), ZONE) + timedelta(seconds=int(hours * 3600))


def _purchase(who: Person, rng: Random, at: datetime, end: datetime, points: int) -> tuple[Event, int]:
    """A purchase, and by how much it surely changes the balance."""
    lines = _basket(who.habit, rng)
    total = sum(line["quantity"] * line["unit_price_minor"] for line in lines)
    tender = min(points, 1_000, total // 100) // 100 * 100 if points >= 300 and rng.random() < 0.05 else 0
    late = timedelta(seconds=1 + rng.randrange(4))
    if rng.random() < 0.008:  # the till was offline
        late = timedelta(days=1 + rng.randrange(12 if rng.random() < 0.8 else 45), minutes=rng.randrange(400))
    body: dict[str, Any] = {
        "channel": "miniapp" if rng.random() < 0.22 else "pos",
        "shop_id": _shop(who, rng),
        "occurred_at": at.isoformat(),
        "currency": "CNY",
        "lines": lines,
        "paid_minor": total - tender,
    }
    if tender:
        body["points_tender"] = tender
    recorded_at = at + late
    return Event(Deed.BUY, recorded_at if recorded_at < end else at + timedelta(seconds=2), body), (
        0 if late > timedelta(days=1) and not tender else (total - tender) // 100 - tender
    )


def _basket(habit: Habit, rng: Random) -> list[dict[str, Any]]:
    if habit is Habit.OFFICE:
        return [
            _line(product, 1 + rng.randrange(2)) for product in _some(rng, (*COFFEE[:6], *FOOD), 4 + rng.randrange(2))
        ]
    lines = [_line(rng.choice(COFFEE if rng.random() < 0.88 else TEA))]
    if rng.random() < 0.35:
        lines.append(_line(rng.choice(FOOD)))
    if rng.random() < (0.25 if habit is Habit.WEEKEND else 0.08):
        extra = [product for product in (*COFFEE, *TEA, *FOOD) if product.sku not in {line["sku"] for line in lines}]
        lines += [_line(product) for product in _some(rng, extra, 1 + rng.randrange(2))]
    if rng.random() < 0.03:
        lines.append(_line(rng.choice(RETAIL)))
    return lines


def _some(rng: Random, products: Sequence[Product], count: int) -> list[Product]:
    return rng.sample(products, count)


def _line(product: Product, quantity: int = 1) -> dict[str, Any]:
    return {
        "sku": product.sku,
        "name": product.name,
        "category": product.category,
        "quantity": quantity,
        "unit_price_minor": product.price_minor,
    }


def _shop(who: Person, rng: Random) -> str:
    """The home shop mostly; elsewhere only in shops that were open from the start."""
    return who.shop_id if rng.random() < 0.85 else rng.choice([shop for shop in SHOPS if shop != NEWEST])


def _ending(who: Person, rng: Random, end: datetime) -> tuple[datetime, list[Event]]:
    """What becomes of a few memberships in the last weeks; when nothing more is recorded for them, and why."""
    at = end - timedelta(days=2 + rng.randrange(28), hours=rng.randrange(8))
    never = end + timedelta(days=1)
    if at < who.joined_at + timedelta(days=1):
        return never, []
    match who.ends:
        case "closed":
            return at, [Event(Deed.CLOSE, at, {"reason": "会员要求注销", "forfeit_points": True})]
        case "suspended":
            return at, [Event(Deed.SUSPEND, at, {"reason": "疑似刷单，核实中"})]
        case "reinstated":
            night = datetime.combine(at.date(), time(4, 30), ZONE)
            return never, [
                Event(Deed.SUSPEND, night, {"reason": "手机号被他人投诉"}),
                Event(Deed.REINSTATE, night + timedelta(minutes=40), {"reason": "已核实本人"}),
            ]
    return never, []


def _number_orders(lives: list[Life]) -> None:
    """Number each till's orders through the day, and give every other command a key of its own."""
    purchases = [event for life in lives for event in life.events if event.deed is Deed.BUY]
    counts: Counter[str] = Counter()
    for event in sorted(purchases, key=lambda event: str(event.body["occurred_at"])):
        body = event.body
        series = f"{CODES[body['shop_id']]}-{body['occurred_at'][:10].replace('-', '')}"
        counts[body["channel"] + series] += 1
        body["order_no"] = f"{series}-{counts[body['channel'] + series]:04d}"
    for life in lives:
        for number, event in enumerate(life.events):
            event.key = f"demo-{life.person.index}-{number}"
